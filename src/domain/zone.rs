//! Zones, as the API describes them.

use std::sync::Arc;

use super::{ZoneId, ZoneName};

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

    /// Whether the configuration means this zone: by its name in any spelling, or by its identifier.
    pub fn answers_to(&self, name_or_id: &str) -> bool {
        self.name.matches(name_or_id) || self.id.as_str() == name_or_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
