//! Zones: their identifiers, names and what the API says of them.

use std::fmt;
use std::sync::Arc;

use super::names::{InvalidName, label};

/// The identifier of a zone. Cloudflare's are 32 hexadecimal digits; anything that can stand in a
/// URL's path as it is, up to 64 bytes, is taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(Arc<str>);

impl ZoneId {
    const MAX_BYTES: usize = 64;

    /// Takes 1 to 64 letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let id = label(text, Self::MAX_BYTES)?;
        if id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            Ok(Self(id))
        } else {
            Err(InvalidName::BadCharacter)
        }
    }

    /// The identifier as the API spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a zone, such as `example.com`. Shown as the API gives it; it may hold anything, so
/// whoever prints it escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneName(Arc<str>);

impl ZoneName {
    /// The longest name of the DNS (RFC 1035, section 2.3.4).
    const MAX_BYTES: usize = 255;

    /// Takes a name of 1 to 255 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        label(text, Self::MAX_BYTES).map(Self)
    }

    /// The name as the API spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the named zone, in any case.
    pub fn matches(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl From<&ZoneId> for ZoneName {
    /// The identifier in the name's place, for a zone whose name is not known yet.
    fn from(id: &ZoneId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A zone as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The identifier.
    pub id: ZoneId,
    /// The name; the identifier in its place until it is known.
    pub name: ZoneName,
    /// `active`, `pending`, `moved`, …; empty where not known.
    pub status: Arc<str>,
    /// The plan's name; empty where not known.
    pub plan: Arc<str>,
    /// The identifier of the Cloudflare account that owns the zone, where known.
    pub owner: Option<Arc<str>>,
}

impl Zone {
    /// A zone of which nothing but the identifier is known.
    pub fn unknown(id: ZoneId) -> Self {
        let empty: Arc<str> = Arc::from("");
        Self {
            name: ZoneName::from(&id),
            id,
            status: Arc::clone(&empty),
            plan: empty,
            owner: None,
        }
    }

    /// Whether Cloudflare serves this zone.
    pub fn is_active(&self) -> bool {
        &*self.status == "active"
    }

    /// Whether the configuration means this zone: by its name in any case, or by its identifier.
    pub fn answers_to(&self, name_or_id: &str) -> bool {
        self.name.matches(name_or_id) || self.id.as_str() == name_or_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_stand_in_a_path() {
        assert_eq!(
            ZoneId::parse("023e105f4ecef8ad9ca31a8372d0c353")
                .unwrap()
                .as_str()
                .len(),
            32
        );
        for bad in ["", "a/b", "a?b", "..%2f", "a b", &"a".repeat(65)] {
            assert!(ZoneId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_zone_answers_to_its_name_in_any_case_and_to_its_id() {
        let mut zone = Zone::unknown(ZoneId::parse("abc").unwrap());
        assert_eq!(zone.name.as_str(), "abc");
        zone.name = ZoneName::parse("Example.com").unwrap();
        assert!(zone.answers_to("example.COM"));
        assert!(zone.answers_to("abc"));
        assert!(!zone.answers_to("ABC"));
        assert!(!zone.answers_to("www.example.com"));
    }
}
