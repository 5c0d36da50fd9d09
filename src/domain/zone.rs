//! Zones, as the API describes them.

use std::sync::Arc;

use super::{ZoneId, ZoneName};

/// A zone as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The identifier.
    pub id: ZoneId,
    /// The name, or the identifier until the name is known.
    pub name: ZoneName,
    /// `active`, `pending`, `moved`, …; empty if unknown.
    pub status: Arc<str>,
    /// The name of the plan; empty if unknown.
    pub plan: Arc<str>,
    /// The identifier of the Cloudflare account that owns the zone, if known.
    pub owner: Option<Arc<str>>,
}

impl Zone {
    /// A zone of which only the identifier is known.
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

    /// Whether a configured name, in any spelling, or identifier refers to this zone.
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
