//! One change of a mapping or a finding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{HostName, OriginIp, Region, Vendor, ZoneId, ZoneName, timestamp};
use crate::findings::{Check, FindingKind};
use crate::words::words;

/// A change, as `GET /api/v1/changes` returns it. `None` (null in JSON) means not applicable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Increases with each change, also across restarts if there is storage.
    pub id: u64,
    /// When the poll that saw the change ended.
    pub time: Timestamp,
    /// The zone's name at that time.
    pub zone: ZoneName,
    /// The zone's identifier.
    pub zone_id: ZoneId,
    /// What changed.
    #[serde(flatten)]
    pub details: Details,
    /// Who made the change, if the audit log shows it.
    pub actor: Option<Actor>,
}

/// What changed between two successful polls of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The kind of change.
    pub kind: ChangeKind,
    /// The origin's address; `None` for a finding about a host or a whole zone.
    pub origin_ip: Option<OriginIp>,
    /// The vendor after the change; for a finding, that of the mapping it is about.
    pub vendor: Option<Vendor>,
    /// The region after the change; for a finding, that of the mapping it is about.
    pub region: Option<Region>,
    /// The vendor before the change.
    pub previous_vendor: Option<Vendor>,
    /// The region before the change.
    pub previous_region: Option<Region>,
    /// When the mapping was last written, if the API returns it.
    #[serde(with = "timestamp::option")]
    pub modified_on: Option<Timestamp>,
    /// The finding that appeared or cleared.
    pub finding: Option<FindingKind>,
    /// The check that a misplaced mapping fails.
    pub check: Option<Check>,
    /// The origin host that the finding is about, or that resolved to its address.
    pub host: Option<HostName>,
}

impl Details {
    /// A change of this kind, without details.
    pub fn new(kind: ChangeKind) -> Self {
        Self {
            kind,
            origin_ip: None,
            vendor: None,
            region: None,
            previous_vendor: None,
            previous_region: None,
            modified_on: None,
            finding: None,
            check: None,
            host: None,
        }
    }
}

/// Who made a change, as Cloudflare's audit log names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user`, `account`, `cloudflare_admin`, `system`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The e-mail address or the token's name.
    pub name: String,
    /// How it was made: `api_token`, `dash`, …
    pub context: String,
    /// When it was made.
    #[serde(with = "timestamp")]
    pub time: Timestamp,
}

words! {
    /// The kind of a change.
    pub enum ChangeKind {
        /// A new mapping.
        MappingAdded = "mapping_added",
        /// A mapping that no longer exists.
        MappingRemoved = "mapping_removed",
        /// A mapping with a different vendor or region.
        MappingChanged = "mapping_changed",
        /// A new finding.
        FindingAppeared = "finding_appeared",
        /// A finding that no longer applies.
        FindingCleared = "finding_cleared",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_every_field_and_null_for_what_does_not_apply() {
        let mut details = Details::new(ChangeKind::MappingRemoved);
        details.origin_ip = Some(OriginIp::parse("192.0.2.1").unwrap());
        details.previous_vendor = Some(Vendor::Aws);
        details.previous_region = Some(Region::parse("us-east-1").unwrap());
        let change = Change {
            id: 7,
            time: "2026-03-01T12:00:00Z".parse().unwrap(),
            zone: ZoneName::parse("example.com").unwrap(),
            zone_id: ZoneId::parse("abc").unwrap(),
            details,
            actor: Some(Actor {
                kind: "user".to_owned(),
                name: "ops@example.com".to_owned(),
                context: "dash".to_owned(),
                time: "2026-03-01T11:59:00Z".parse().unwrap(),
            }),
        };
        let expected = serde_json::json!({
            "id": 7, "time": "2026-03-01T12:00:00Z", "zone": "example.com", "zone_id": "abc",
            "kind": "mapping_removed", "origin_ip": "192.0.2.1", "vendor": null, "region": null,
            "previous_vendor": "aws", "previous_region": "us-east-1", "modified_on": null,
            "finding": null, "check": null, "host": null,
            "actor": { "type": "user", "name": "ops@example.com", "context": "dash",
                       "time": "2026-03-01T11:59:00Z" },
        });
        assert_eq!(serde_json::to_value(&change).unwrap(), expected);
    }

    #[test]
    fn words_are_read_back() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ChangeKind::parse("Mapping_Added"), None);
    }
}
