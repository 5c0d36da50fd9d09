//! Configuration files: their names, and the paths in them.

use std::path::Path;
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{Credentials, Secret};
use cloudflare_origin_region_exporter::config::{ConfigErrors, Settings};

use crate::support::load_path;

#[test]
fn relative_paths_of_a_file_start_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = load_file(
        &folder.path().join("a.yaml"),
        "cloudflare: {ca_file: ca.pem}\naccounts: [{name: a, api_token_file: token}]",
    )
    .unwrap();
    assert_eq!(
        settings.cloudflare.ca_file,
        Some(folder.path().join("ca.pem"))
    );
    assert!(matches!(
        &settings.accounts[0].credentials,
        Credentials::Token(Secret::File(path)) if *path == folder.path().join("token")
    ));
}

#[test]
fn a_file_of_any_other_ending_is_yaml() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config", "config.conf", "config.YML"] {
        let text = "poll: {interval: 7m}\naccounts: [{name: a, api_token: t}]";
        let settings = load_file(&folder.path().join(name), text).unwrap();
        assert_eq!(settings.poller.interval, Duration::from_mins(7), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |name: &str| {
        let path = folder.path().join(name);
        let error = load_path(&path).unwrap_err().to_string();
        error.replace(&format!("{}: ", path.display()), "")
    };
    assert!(problem("absent.yaml").starts_with("cannot read the configuration file: No such file"));
    std::fs::write(folder.path().join("b.yaml"), b"a: \xff").unwrap();
    assert_eq!(problem("b.yaml"), "is not UTF-8 (byte 3)");
    let large = std::fs::File::create(folder.path().join("c.yaml")).unwrap();
    large.set_len(1 << 40).unwrap();
    assert_eq!(
        problem("c.yaml"),
        "cannot read the configuration file: it is larger than 16 MiB"
    );
}

fn load_file(path: &Path, text: &str) -> Result<Settings, ConfigErrors> {
    std::fs::write(path, text).unwrap();
    load_path(path)
}
