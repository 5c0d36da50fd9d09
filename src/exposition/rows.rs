//! The snapshot as plain rows, for JSON and tables. Field names are those of the metrics' labels.

use jiff::Timestamp;
use serde::Serialize;

use crate::findings::{ExpectedPlace, Source};
use crate::snapshot::{StaleAfter, ZoneState};

/// One zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneRow {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// The account that polls it.
    pub account: String,
    /// As the API says; empty where not known.
    pub status: String,
    /// As the API says; empty where not known.
    pub plan: String,
    /// Whether the last poll succeeded; `null` before the first.
    pub up: Option<bool>,
    /// When the last poll ended.
    pub last_poll: Option<Timestamp>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// Why the last poll failed.
    pub error: Option<String>,
    /// Number of mappings; `null` where none are known, because the zone could not be read.
    pub mappings: Option<usize>,
    /// Expected origins without a mapping; `null` where nothing is expected.
    pub missing: Option<usize>,
    /// Origins whose mapping disagrees with a check.
    pub wrong: Option<usize>,
    /// Mappings older than the zone's threshold; `null` where it has none.
    pub stale: Option<usize>,
    /// Whether tiered caching is on; `null` where not known.
    pub tiered_cache_enabled: Option<bool>,
    /// Whether the smart topology is on; `null` where not known.
    pub smart_tiered_cache_enabled: Option<bool>,
}

/// One mapping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappingRow {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// The origin's address.
    pub origin_ip: String,
    /// The vendor that Cloudflare believes in.
    pub vendor: String,
    /// The region that Cloudflare believes in.
    pub region: String,
    /// When it was last written; `null` where the API does not say.
    pub modified_on: Option<Timestamp>,
}

/// One thing that is wrong with a zone's mappings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingRow {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// `missing`, `wrong` or `stale`.
    pub finding: &'static str,
    /// The origin's address.
    pub origin_ip: String,
    /// Where the missing origin was found.
    pub source: Option<&'static str>,
    /// The check that the wrong mapping fails.
    pub check: Option<&'static str>,
    /// The vendor that the mapping names.
    pub vendor: Option<String>,
    /// The region that the mapping names.
    pub region: Option<String>,
    /// The vendor that is expected, as far as it is known.
    pub expected_vendor: Option<String>,
    /// The region that is expected, as far as it is known.
    pub expected_region: Option<String>,
    /// When the mapping was last written.
    pub modified_on: Option<Timestamp>,
}

impl ZoneRow {
    /// The zone as of `now`.
    pub fn of(state: &ZoneState, now: Timestamp) -> Self {
        let findings = state.data.as_ref().map(|data| &data.findings);
        Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            account: state.account.to_string(),
            status: state.zone.status.to_string(),
            plan: state.zone.plan.to_string(),
            up: state.last_poll.as_ref().map(|poll| poll.error.is_none()),
            last_poll: state.last_poll.as_ref().map(|poll| poll.ended),
            last_success: state.last_success,
            error: state.last_poll.as_ref().and_then(|poll| poll.error.clone()),
            mappings: state.data.as_ref().map(|data| data.mappings.len()),
            missing: findings
                .filter(|f| !f.expected.is_empty())
                .map(|f| f.missing.len()),
            wrong: findings
                .filter(|f| !f.checks.is_empty())
                .map(|f| f.wrong_origins()),
            stale: stale_mappings(state, now).map(Iterator::count),
            tiered_cache_enabled: state.tiered_cache.enabled,
            smart_tiered_cache_enabled: state.tiered_cache.smart_enabled,
        }
    }
}

impl MappingRow {
    /// The zone's mappings, by address.
    pub fn of(state: &ZoneState) -> impl Iterator<Item = Self> + '_ {
        let mappings = state.data.iter().flat_map(|data| data.mappings.as_slice());
        mappings.map(|mapping| Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            origin_ip: mapping.origin_ip.to_string(),
            vendor: mapping.vendor.to_string(),
            region: mapping.region.to_string(),
            modified_on: mapping.modified_on,
        })
    }
}

impl FindingRow {
    /// What is wrong with the zone as of `now`: missing, then wrong, then stale, each by address.
    pub fn of(state: &ZoneState, now: Timestamp) -> Vec<Self> {
        let row = |finding, origin_ip: String| Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            finding,
            origin_ip,
            source: None,
            check: None,
            vendor: None,
            region: None,
            expected_vendor: None,
            expected_region: None,
            modified_on: None,
        };
        let findings = state.data.iter().map(|data| &data.findings);
        let missing = findings.clone().flat_map(|f| &f.missing).map(|origin| {
            let row = row("missing", origin.origin_ip.to_string());
            Self {
                source: Some(Source::as_str(origin.source)),
                ..row.expecting(&origin.place)
            }
        });
        let wrong = findings.flat_map(|f| &f.wrong).map(|wrong| Self {
            check: Some(wrong.check.as_str()),
            vendor: Some(wrong.vendor.to_string()),
            region: Some(wrong.region.to_string()),
            ..row("wrong", wrong.origin_ip.to_string()).expecting(&wrong.expected)
        });
        let old = stale_mappings(state, now)
            .into_iter()
            .flatten()
            .map(|mapping| Self {
                vendor: Some(mapping.vendor.to_string()),
                region: Some(mapping.region.to_string()),
                modified_on: mapping.modified_on,
                ..row("stale", mapping.origin_ip.to_string())
            });
        missing.chain(wrong).chain(old).collect()
    }

    /// What is wrong, for people.
    pub fn in_words(&self) -> String {
        match (self.finding, self.source, self.check, self.modified_on) {
            ("missing", Some(source), ..) => format!("missing (expected by {source})"),
            ("wrong", _, Some(check), _) => format!("wrong (by {check})"),
            ("stale", _, _, Some(at)) => format!("stale (last modified {at})"),
            (finding, ..) => finding.to_owned(),
        }
    }

    fn expecting(mut self, place: &ExpectedPlace) -> Self {
        self.expected_vendor = place.vendor.as_ref().map(ToString::to_string);
        self.expected_region = place.region.as_ref().map(ToString::to_string);
        self
    }
}

/// The mappings that are older than the zone's threshold; `None` where there is no threshold or
/// nothing is known.
fn stale_mappings(
    state: &ZoneState,
    now: Timestamp,
) -> Option<impl Iterator<Item = &crate::domain::Mapping>> {
    let StaleAfter::Age(age) = state.stale_after else {
        return None;
    };
    let data = state.data.as_ref()?;
    let since = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let old = move |mapping: &&crate::domain::Mapping| {
        mapping.modified_on.is_some_and(|modified| modified < since)
    };
    Some(data.mappings.as_slice().iter().filter(old))
}
