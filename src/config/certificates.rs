//! `SSL_CERT_FILE` and `SSL_CERT_DIR`, which the TLS library reads by itself. It ignores what it
//! cannot read, and would then trust other authorities than intended.

use std::path::Path;

use super::environment::Environment;
use crate::config_tree::{ConfigError, Place};
use crate::http_client;

const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// The variables that cannot be used.
pub(super) fn mistakes(environment: &Environment) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    if let Some(path) = environment.get(FILE)
        && let Err(error) = http_client::check_ca_file(Path::new(path))
    {
        mistakes.push(ConfigError::whole(Place::variable(FILE), error.to_string()));
    }
    if let Some(folders) = environment.get(FOLDERS)
        && !std::env::split_paths(folders).any(|folder| folder.is_dir())
    {
        let problem = format!("expected a directory of certificate authorities, found {folders:?}");
        mistakes.push(ConfigError::whole(Place::variable(FOLDERS), problem));
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, value: &str) -> Vec<String> {
        let environment = Environment::new([(name, value)], None);
        let mistakes = mistakes(&environment);
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_library_would_ignore_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("good.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("empty.pem"), "").unwrap();
        assert!(found(FILE, &path("good.pem")).is_empty());
        for bad in ["empty.pem", "missing.pem", ""] {
            let found = found(FILE, &path(bad));
            assert!(
                found.len() == 1 && found[0].contains("SSL_CERT_FILE"),
                "{bad}: {found:?}"
            );
        }
        let list = format!("{}:{}", path("missing"), path(""));
        assert!(found(FOLDERS, &list).is_empty());
        assert_eq!(found(FOLDERS, &path("missing")).len(), 1);
        assert_eq!(found(FOLDERS, &path("good.pem")).len(), 1);
    }
}
