//! The file of `--web.config.file`: TLS, users, headers and a rate limit, in the shared format of
//! the Prometheus exporters (exporter-toolkit, `docs/web-configuration.md`).
//!
//! It accepts and rejects the same files, except if rustls does not support a setting; then the
//! error says so.

mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use bcrypt::HashParts;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::SignedDuration;

use serde::Deserialize;

use self::tls::TlsKeys;
use crate::config_tree::{
    ConfigError, ConfigErrors, Entries, Format, Located, Number, Place, Reader, parsed_types,
};
use crate::file_io;

pub use tls::{ClientAuth, Pem, TlsSettings};

/// The largest file: a few hundred certificates and users.
const MAX_BYTES: usize = 1 << 20;

/// The settings of the file.
#[derive(Debug)]
pub struct WebConfig {
    /// The TLS settings; `None` without TLS.
    pub tls: Option<TlsSettings>,
    /// Whether to offer HTTP/2 to TLS clients.
    pub http2: bool,
    /// Headers that are added to every response.
    pub headers: HeaderMap,
    /// Users with access, by name; if empty, everyone has access.
    pub users: BTreeMap<String, PasswordHash>,
    /// The rate limit of all requests together.
    pub rate_limit: Option<RateLimit>,
}

/// A password's bcrypt hash. `Debug` hides it, because weak passwords can be recovered from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Parses a hash as written by `htpasswd -B`; `None` if it is invalid.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: HashParts = text.parse().ok()?;
        // The range of valid costs (bcrypt, "A Future-Adaptable Password Scheme").
        (4..=31)
            .contains(&parts.get_cost())
            .then(|| Self(text.to_owned()))
    }

    /// Whether the password matches. Takes a core for as long as the hash's cost demands.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.0).unwrap_or(false)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A token bucket: one request per interval, and bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The time after which one more request is allowed.
    pub interval: Duration,
    /// The number of requests that are allowed at once.
    pub burst: u32,
}

/// The keys of the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    tls_server_config: Option<Located<TlsKeys>>,
    http_server_config: HttpKeys,
    basic_auth_users: Entries<User>,
    rate_limit: RateLimitKeys,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpKeys {
    http2: Option<Boolean>,
    headers: Entries<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RateLimitKeys {
    interval: Option<GoDuration>,
    burst: Option<Number<0, { u32::MAX }>>,
}

parsed_types! {
    /// The booleans of YAML 1.1, which the Go exporters accept.
    #[derive(Clone, Copy)]
    Boolean(bool) = |text| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Ok(true),
        "false" | "no" | "off" | "n" => Ok(false),
        _ => Err("true or false"),
    };
    User(PasswordHash) = |text| {
        PasswordHash::parse(text).ok_or("a password's bcrypt hash, such as htpasswd -B makes")
    };
    /// A duration in Go's syntax; a bare number counts nanoseconds.
    GoDuration(SignedDuration) = |text| {
        let nanoseconds = || text.parse().ok().map(SignedDuration::from_nanos);
        let duration = text.parse().ok().or_else(nanoseconds);
        duration.ok_or("a duration, such as 1s")
    };
}

impl WebConfig {
    /// Loads and validates a file. The files that it names are relative to it, and not read yet.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let place = Place::file(&path.to_string_lossy());
        let text = read(path).map_err(|problem| ConfigError::whole(place.clone(), problem))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, &place, folder)
    }

    pub(super) fn parse(text: &str, place: &Place, folder: &Path) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(Format::Yaml.parse(text, place)?);
        let keys: Keys = reader.read()?;
        let http2 = keys.http_server_config.http2.is_none_or(|http2| http2.0);
        let tls = keys.tls_server_config;
        let users = keys.basic_auth_users.into_iter();
        let config = Self {
            tls: tls.and_then(|tls| TlsSettings::new(tls, http2, folder, &mut reader)),
            http2,
            headers: headers(keys.http_server_config.headers, &mut reader),
            users: users.map(|(name, hash)| (name, hash.value.0)).collect(),
            rate_limit: rate_limit(&keys.rate_limit),
        };
        reader.mistakes().map_or(Ok(config), Err)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file_io::bounded(path, MAX_BYTES)
        .map_err(|error| format!("cannot read the file: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// Only the security headers of the shared format can be set.
fn headers(keys: Entries<String>, reader: &mut Reader) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (key, Located { at, value }) in keys {
        // The format accepts no other spelling of these names.
        let values: &[&str] = match key.as_str() {
            "X-Content-Type-Options" => &["nosniff"],
            "X-Frame-Options" => &["deny", "sameorigin"],
            "Strict-Transport-Security" | "X-XSS-Protection" | "Content-Security-Policy" => &[],
            _ => {
                reader.push(at.error("this header cannot be configured"));
                continue;
            }
        };
        if !values.is_empty() && !values.contains(&value.as_str()) {
            reader.push(at.expected(values.join(" or "), &value));
            continue;
        }
        match (HeaderName::from_str(&key), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            _ => reader.push(at.expected("the value of a header", &value)),
        }
    }
    headers
}

/// No limit without an interval. As in the Go exporters, a negative one sets no limit either.
fn rate_limit(keys: &RateLimitKeys) -> Option<RateLimit> {
    let interval = Duration::try_from(keys.interval.as_ref()?.0).ok()?;
    (!interval.is_zero()).then(|| RateLimit {
        interval,
        burst: keys.burst.map_or(0, |burst| burst.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$10$qDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPzG";

    pub(super) fn parse(text: &str) -> Result<WebConfig, String> {
        let place = Place::file("web.yml");
        WebConfig::parse(text, &place, Path::new("/etc/exporter"))
            .map_err(|errors| errors.to_string())
    }

    pub(super) fn error(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let config = parse("").unwrap();
        assert!(config.tls.is_none() && config.users.is_empty() && config.http2);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let errors = error(
            "tls_server_confg: {}\n\
             http_server_config: { http2: maybe, headers: { Server: x, X-Frame-Options: no } }\n\
             basic_auth_users: { alice: secret-word }\n\
             rate_limit: { interval: often, burst: -1 }\n",
        );
        for part in [
            "web.yml:1: tls_server_confg: unknown key, did you mean \"tls_server_config\"?",
            "http_server_config.http2: expected true or false, found \"maybe\"",
            "headers.Server: this header cannot be configured",
            "headers.X-Frame-Options: expected deny or sameorigin, found \"no\"",
            "basic_auth_users.alice: expected a password's bcrypt hash",
            "rate_limit.interval: expected a duration, such as 1s, found \"often\"",
            "rate_limit.burst: expected a whole number",
        ] {
            assert!(errors.contains(part), "{part}\n{errors}");
        }
        assert!(!errors.contains("secret-word"), "{errors}");
        assert!(error("junk").contains("expected a map"));
    }

    #[test]
    fn headers_are_those_that_harden_a_page() {
        let config = parse(
            "http_server_config:\n  http2: off\n  headers:\n    X-Frame-Options: deny\n    \
             Strict-Transport-Security: max-age=31536000; includeSubDomains\n    \
             X-Content-Type-Options: nosniff\n    X-XSS-Protection: 1\n    \
             Content-Security-Policy: \"default-src 'self'\"\n",
        )
        .unwrap();
        assert!(!config.http2);
        assert_eq!(config.headers.len(), 5);
        assert_eq!(config.headers["x-xss-protection"], "1");
        assert!(
            error("http_server_config: { headers: { x-frame-options: deny } }")
                .contains("cannot be configured")
        );
    }

    #[test]
    fn users_have_hashes_that_do_not_print() {
        let config = parse(&format!("basic_auth_users:\n  alice: {HASH}\n")).unwrap();
        assert_eq!(config.users["alice"], PasswordHash(HASH.to_owned()));
        assert!(!format!("{config:?}").contains("$2y$"));
        for bad in [
            "doe",
            "",
            "$2y$03$qDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPzG",
        ] {
            assert!(parse(&format!("basic_auth_users: {{ alice: \"{bad}\" }}")).is_err());
        }
    }

    #[test]
    fn a_rate_limit_needs_an_interval() {
        let limit = |text: &str| parse(&format!("rate_limit: {text}")).unwrap().rate_limit;
        let second = Some(RateLimit {
            interval: Duration::from_secs(1),
            burst: 20,
        });
        assert_eq!(limit("{ interval: 1s, burst: 20 }"), second);
        assert_eq!(limit("{ interval: 1000000000, burst: 20 }"), second);
        for none in [
            "{}",
            "{ burst: 20 }",
            "{ interval: 0, burst: 20 }",
            "{ interval: 0s }",
        ] {
            assert_eq!(limit(none), None, "{none}");
        }
        let longer = limit("{ interval: 1m30s, burst: 1 }").unwrap();
        assert_eq!(longer.interval, Duration::from_secs(90));
        assert_eq!(limit("{ interval: 1s }").unwrap().burst, 0);
    }
}
