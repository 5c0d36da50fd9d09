//! The snapshot as plain rows, for JSON and tables. Field names are those of the metrics' labels.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Mapping, OriginIp, Region, Vendor};
use crate::findings::{ExpectedOrigin, ExpectedPlace, WrongMapping, ZoneFindings};
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
    /// How long it took, in seconds.
    pub poll_duration_seconds: Option<f64>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// When the next poll is due; `null` where none is planned.
    pub next_poll: Option<Timestamp>,
    /// The interval between its polls, in seconds.
    pub poll_interval_seconds: f64,
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
    /// The age in seconds from which a mapping is stale; `null` where none ever is.
    pub stale_after_seconds: Option<f64>,
    /// Expected origins by source (`config`, `load_balancer`, `dns`).
    pub expected_origins: BTreeMap<&'static str, usize>,
    /// Mappings that the vendors' ranges could not judge, by reason.
    pub unverified_mappings: BTreeMap<&'static str, usize>,
    /// What the sources name and is no expected origin, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Rows of the API, since the start, that could not be read as a mapping.
    pub rejected_rows: u64,
    /// Whether tiered caching is on; `null` where not known.
    pub tiered_cache_enabled: Option<bool>,
    /// Whether the smart topology is on; `null` where not known.
    pub smart_tiered_cache_enabled: Option<bool>,
    /// Whether the zone has mappings that have no effect, because tiered cache is off; `null` if not
    /// known.
    pub idle: Option<bool>,
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
    /// The kind, one of [`Finding::KINDS`].
    pub finding: &'static str,
    /// The origin's address; `null` for idle mappings.
    pub origin_ip: Option<String>,
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

/// One thing that is wrong with a zone's mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<'a> {
    /// An expected origin without a mapping.
    Missing(&'a ExpectedOrigin),
    /// A mapping that disagrees with a check.
    Wrong(&'a WrongMapping),
    /// A mapping older than the zone's threshold.
    Stale(&'a Mapping),
    /// All mappings of the zone are without effect, because tiered cache is off.
    Idle,
}

impl<'a> Finding<'a> {
    /// The kinds of findings, as [`Self::kind`] names them.
    pub const KINDS: [&'static str; 4] = ["missing", "wrong", "stale", "idle"];

    /// What is wrong with the zone as of `now`, in the order of [`Self::KINDS`], then by address.
    pub fn all(state: &'a ZoneState, now: Timestamp) -> impl Iterator<Item = Self> {
        let findings = state.data.iter().map(|data| &*data.findings);
        let missing = findings.clone().flat_map(|f| &f.missing).map(Self::Missing);
        let wrong = findings.flat_map(|f| &f.wrong).map(Self::Wrong);
        let old = stale_mappings(state, now).into_iter().flatten();
        let idle = (is_idle(state) == Some(true)).then_some(Self::Idle);
        missing.chain(wrong).chain(old.map(Self::Stale)).chain(idle)
    }

    /// The kind, one of [`Self::KINDS`].
    pub fn kind(self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Wrong(_) => "wrong",
            Self::Stale(_) => "stale",
            Self::Idle => "idle",
        }
    }

    /// The origin's address; `None` if the finding is not about one origin.
    pub fn origin_ip(self) -> Option<OriginIp> {
        match self {
            Self::Missing(origin) => Some(origin.origin_ip),
            Self::Wrong(wrong) => Some(wrong.origin_ip),
            Self::Stale(mapping) => Some(mapping.origin_ip),
            Self::Idle => None,
        }
    }

    /// Vendor and region of the mapping; `None` if the finding is not about one mapping.
    pub fn mapped_to(self) -> Option<(&'a Vendor, &'a Region)> {
        match self {
            Self::Missing(_) | Self::Idle => None,
            Self::Wrong(wrong) => Some((&wrong.vendor, &wrong.region)),
            Self::Stale(mapping) => Some((&mapping.vendor, &mapping.region)),
        }
    }
}

impl ZoneRow {
    /// The zone as of `now`.
    pub fn of(state: &ZoneState, next_poll: Option<Timestamp>, now: Timestamp) -> Self {
        let findings = state.data.as_ref().map(|data| &*data.findings);
        let poll = state.last_poll.as_ref();
        Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            account: state.account.to_string(),
            status: state.zone.status.to_string(),
            plan: state.zone.plan.to_string(),
            up: poll.map(|poll| poll.error.is_none()),
            last_poll: poll.map(|poll| poll.ended),
            poll_duration_seconds: poll.map(|poll| poll.duration.as_secs_f64()),
            last_success: state.last_success,
            next_poll,
            poll_interval_seconds: state.interval.as_secs_f64(),
            error: poll.and_then(|poll| poll.error.clone()),
            mappings: state.data.as_ref().map(|data| data.mappings.len()),
            missing: findings
                .filter(|f| !f.expected.is_empty())
                .map(|f| f.missing.len()),
            wrong: findings
                .filter(|f| !f.checks.is_empty())
                .map(ZoneFindings::wrong_origins),
            stale: stale_mappings(state, now).map(Iterator::count),
            stale_after_seconds: match state.stale_after {
                StaleAfter::Never => None,
                StaleAfter::Age(age) => Some(age.as_secs_f64()),
            },
            expected_origins: findings
                .map(|f| by_word(&f.expected, |source| source.as_str()))
                .unwrap_or_default(),
            unverified_mappings: findings
                .map(|f| by_word(&f.unverified, |why| why.as_str()))
                .unwrap_or_default(),
            left_out: findings
                .map(|f| by_word(&f.left_out_by_reason(), |why| why.as_str()))
                .unwrap_or_default(),
            rejected_rows: state.rejected_rows,
            tiered_cache_enabled: state.tiered_cache.enabled,
            smart_tiered_cache_enabled: state.tiered_cache.smart_enabled,
            idle: is_idle(state),
        }
    }

    /// Whether the zone cannot be read or something is wrong with its mappings.
    pub fn has_problem(&self) -> bool {
        let findings = [self.missing, self.wrong, self.stale];
        self.up == Some(false)
            || self.idle == Some(true)
            || findings.into_iter().flatten().any(|count| count > 0)
    }
}

impl MappingRow {
    /// A mapping of the zone.
    pub fn of(state: &ZoneState, mapping: &Mapping) -> Self {
        Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            origin_ip: mapping.origin_ip.to_string(),
            vendor: mapping.vendor.to_string(),
            region: mapping.region.to_string(),
            modified_on: mapping.modified_on,
        }
    }
}

impl FindingRow {
    /// A finding of the zone.
    pub fn of(state: &ZoneState, finding: Finding<'_>) -> Self {
        let (vendor, region) = finding.mapped_to().unzip();
        let expected = match finding {
            Finding::Missing(origin) => origin.place.clone(),
            Finding::Wrong(wrong) => wrong.expected.clone(),
            Finding::Stale(_) | Finding::Idle => ExpectedPlace::default(),
        };
        Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            finding: finding.kind(),
            origin_ip: finding.origin_ip().map(|ip| ip.to_string()),
            source: match finding {
                Finding::Missing(origin) => Some(origin.source().as_str()),
                _ => None,
            },
            check: match finding {
                Finding::Wrong(wrong) => Some(wrong.check.as_str()),
                _ => None,
            },
            vendor: vendor.map(ToString::to_string),
            region: region.map(ToString::to_string),
            expected_vendor: expected.vendor.map(|vendor| vendor.to_string()),
            expected_region: expected.region.map(|region| region.to_string()),
            modified_on: match finding {
                Finding::Stale(mapping) => mapping.modified_on,
                _ => None,
            },
        }
    }

    /// What is wrong, for people.
    pub fn in_words(&self) -> String {
        match (self.finding, self.source, self.check, self.modified_on) {
            ("missing", Some(source), ..) => format!("missing (expected by {source})"),
            ("wrong", _, Some(check), _) => format!("wrong (by {check})"),
            ("stale", _, _, Some(at)) => format!("stale (last modified {at})"),
            ("idle", ..) => "idle (tiered cache is off)".to_owned(),
            (finding, ..) => finding.to_owned(),
        }
    }
}

fn by_word<K>(
    counts: &BTreeMap<K, usize>,
    word: impl Fn(&K) -> &'static str,
) -> BTreeMap<&'static str, usize> {
    counts
        .iter()
        .map(|(key, &count)| (word(key), count))
        .collect()
}

/// Whether the zone's mappings have no effect; `None` if not known.
fn is_idle(state: &ZoneState) -> Option<bool> {
    let has_mappings = !state.data.as_ref()?.mappings.is_empty();
    match (state.tiered_cache.enabled, state.tiered_cache.smart_enabled) {
        (Some(false), _) | (_, Some(false)) => Some(has_mappings),
        (Some(true), Some(true)) => Some(false),
        _ => None,
    }
}

/// The mappings that are older than the zone's threshold; `None` where there is no threshold or
/// nothing is known.
fn stale_mappings(state: &ZoneState, now: Timestamp) -> Option<impl Iterator<Item = &Mapping>> {
    let StaleAfter::Age(age) = state.stale_after else {
        return None;
    };
    let data = state.data.as_ref()?;
    let since = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let old =
        move |mapping: &&Mapping| mapping.modified_on.is_some_and(|modified| modified < since);
    Some(data.mappings.as_slice().iter().filter(old))
}
