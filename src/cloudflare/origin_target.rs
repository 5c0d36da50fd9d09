//! The targets of records, pools and rules.

use crate::domain::{HostName, OriginIp};

/// An origin, given by address or host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginTarget {
    /// An address.
    Address(OriginIp),
    /// A host name.
    Host(HostName),
}

impl OriginTarget {
    /// Parses an address in any spelling or a host name; `None` if the text is neither.
    pub fn parse(text: &str) -> Option<Self> {
        match OriginIp::parse(text) {
            Ok(ip) => Some(Self::Address(ip)),
            Err(_) => HostName::parse(text.trim()).map(Self::Host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_an_address_a_host_name_or_neither() {
        let ip = OriginIp::parse("192.0.2.1").unwrap();
        assert_eq!(
            OriginTarget::parse("::ffff:192.0.2.1"),
            Some(OriginTarget::Address(ip))
        );
        let host = HostName::parse("origin.example.com").unwrap();
        assert_eq!(
            OriginTarget::parse("Origin.example.com."),
            Some(OriginTarget::Host(host))
        );
        for neither in ["", "192.0.2.1:80", "https://example.com", "a b"] {
            assert_eq!(OriginTarget::parse(neither), None, "{neither}");
        }
    }
}
