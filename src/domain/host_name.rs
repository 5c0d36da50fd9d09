//! Host names of origins.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::names::as_text;

/// A host name in normal form: ASCII (IDNA), lower case, without the root dot, 1 to 253 characters.
/// Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

impl HostName {
    /// Parses a name in any case, in Unicode or ASCII, with or without the root dot. `None` if it
    /// is not a host name: an address, an empty label, a label of more than 63 characters, or a
    /// character that is not allowed. Underscores are allowed, as DNS records use them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let name = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY).ok()?;
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let valid = name.len() <= 253
            && name.split('.').all(label)
            && name.parse::<std::net::IpAddr>().is_err();
        valid.then(|| Self(name.as_ref().into()))
    }

    /// Whether the name cannot lead to an origin's address, because Cloudflare serves it itself
    /// (tunnels, Pages, Workers, R2).
    pub fn has_no_origin_address(&self) -> bool {
        let is_below = |suffix: &str| {
            let name = self.0.strip_suffix(suffix);
            name.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        ["cfargotunnel.com", "pages.dev", "workers.dev", "r2.dev"]
            .into_iter()
            .any(is_below)
    }

    /// The name, without the root dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

as_text!(HostName, |text: &str| Self::parse(text)
    .ok_or("is not a host name"));

/// The name of a DNS record or load balancer: a host name, or a wildcard (`*.example.com`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordName {
    host: HostName,
    is_wildcard: bool,
}

impl RecordName {
    /// Parses a name like [`HostName::parse`]; its first label may be `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let base = text.strip_prefix("*.");
        HostName::parse(base.unwrap_or(text)).map(|host| Self {
            host,
            is_wildcard: base.is_some(),
        })
    }

    /// The name itself, or the base of a wildcard.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_wildcard { "*." } else { "" })?;
        self.host.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_form() {
        for text in ["Origin.Example.NET", "origin.example.net."] {
            assert_eq!(
                HostName::parse(text).unwrap().as_str(),
                "origin.example.net"
            );
        }
        let unicode = HostName::parse("BÜCHER.example").unwrap();
        assert_eq!(unicode, HostName::parse("xn--bcher-kva.example").unwrap());
        assert!(HostName::parse("_acme.example").is_some());
    }

    #[test]
    fn a_record_may_be_a_wildcard() {
        let wildcard = RecordName::parse("*.Example.com").unwrap();
        assert_eq!(wildcard.to_string(), "*.example.com");
        assert!(wildcard.is_wildcard());
        assert_eq!(wildcard.host().as_str(), "example.com");
        assert!(!RecordName::parse("example.com.").unwrap().is_wildcard());
        assert_eq!(RecordName::parse("a.*.example.com"), None);
    }

    #[test]
    fn names_that_cloudflare_serves_itself_have_no_origin_address() {
        for (name, none) in [
            ("6ff42ae2.cfargotunnel.com", true),
            ("Site.Pages.dev.", true),
            ("api.team.workers.dev", true),
            ("public.r2.dev", true),
            ("pub-1234.r2.dev", true),
            ("notpages.dev", false),
            ("pages.dev.example.com", false),
            ("origin.example.com", false),
        ] {
            let host = HostName::parse(name).unwrap();
            assert_eq!(host.has_no_origin_address(), none, "{name}");
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        for text in ["", ".", "a..b", "192.0.2.1", "a b.example", "a/b", &long] {
            assert_eq!(HostName::parse(text), None, "{text}");
        }
    }
}
