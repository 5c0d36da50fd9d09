//! The proxy variables, which reqwest reads by itself. It ignores those it cannot use, and
//! credentials would then be sent without the proxy.

use url::Url;

use super::environment::Environment;
use crate::config_tree::{ConfigError, Place};

/// In upper or lower case.
const VARIABLES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"];

/// The proxy variables that cannot be used. Their values are not shown, because they may contain a
/// password.
pub(super) fn mistakes(environment: &Environment) -> Vec<ConfigError> {
    let names = VARIABLES.into_iter();
    let names = names.flat_map(|name| [name.to_owned(), name.to_ascii_lowercase()]);
    let is_wrong = |name: &String| environment.get(name).is_some_and(|value| !is_usable(value));
    let mistake = |name: String| {
        let problem = "expected the address of an HTTP proxy, such as \
                       \"http://proxy.example.com:3128\", with special characters of its user and \
                       password percent-encoded";
        ConfigError::whole(Place::variable(&name), problem)
    };
    names.filter(is_wrong).map(mistake).collect()
}

fn is_usable(value: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == char::REPLACEMENT_CHARACTER;
    if value.contains(is_bad) {
        return false;
    }
    let url = match value.contains("://") {
        true => Url::parse(value),
        // Without a scheme, the value is a host and port.
        false if value.trim_end_matches('/').contains('/') => return false,
        false if value.ends_with("//") => return false,
        false => Url::parse(&format!("http://{value}")),
    };
    url.is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_the_library_would_ignore_is_refused() {
        for usable in [
            "http://proxy:3128",
            "https://user:pass%20word@proxy.example.com:443/",
            "proxy.example.com:3128",
            "user:password@proxy:3128",
            "http://[::1]:3128",
            "192.0.2.1",
        ] {
            assert!(is_usable(usable), "{usable}");
        }
        for unusable in [
            "http://proxy:3128 ",
            "http://user:pass word@proxy:3128",
            "http://user:p\u{fffd}ss@proxy:3128",
            "ftp://proxy",
            "socks5://proxy:1080",
            "http//",
            "http//proxy:3128",
            "http://",
            "http:///",
            "://proxy",
            "http://proxy:port",
            "http://proxy:99999",
            "http://user:p#ss@proxy:3128",
        ] {
            assert!(!is_usable(unusable), "{unusable}");
        }
    }
}
