//! The snapshot as plain rows, for JSON and tables. Field names are those of the metrics' labels.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

pub use super::finding::Finding;
use super::finding::{is_idle, is_judged, stale_mappings};
use crate::domain::{HostName, HostState, OriginIp, Region, Vendor};
use crate::findings::{
    Check, Effect, ExpectedOrigin, ExpectedPlace, FindingKind, MAX_UNRESOLVED_HOSTS, Source,
    Sources, ZoneFindings,
};
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
    /// As reported by the API; empty if not known.
    pub status: String,
    /// As reported by the API; empty if not known.
    pub plan: String,
    /// Whether the last poll succeeded; `null` before the first.
    pub up: Option<bool>,
    /// When the last poll ended.
    pub last_poll: Option<Timestamp>,
    /// How long it took, in seconds.
    pub poll_duration_seconds: Option<f64>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// When the next poll is due; `null` if none is planned.
    pub next_poll: Option<Timestamp>,
    /// The interval between its polls, in seconds.
    pub poll_interval_seconds: f64,
    /// Why the last poll failed.
    pub error: Option<String>,
    /// Number of mappings; `null` if none are known, because the zone could not be read.
    pub mappings: Option<usize>,
    /// Expected origins without a mapping; `null` if nothing is expected.
    pub missing: Option<usize>,
    /// Origins whose mapping disagrees with a check.
    pub wrong: Option<usize>,
    /// Mappings older than the zone's threshold; `null` if it has none.
    pub stale: Option<usize>,
    /// The age in seconds above which a mapping is stale; `null` if mappings never are.
    pub stale_after_seconds: Option<f64>,
    /// Expected origins by source (`config`, `load_balancer`, `rule`, `dns`).
    pub expected_origins: BTreeMap<&'static str, usize>,
    /// Mappings that the vendors' ranges could not verify, by reason.
    pub unverified_mappings: BTreeMap<&'static str, usize>,
    /// What the sources name, but is not an expected origin, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Rows of the API, since the start, that are not valid mappings.
    pub rejected_rows: u64,
    /// Whether tiered caching is on; `null` if not known.
    pub tiered_cache_enabled: Option<bool>,
    /// Whether the smart topology is on; `null` if not known.
    pub smart_tiered_cache_enabled: Option<bool>,
    /// Whether the zone has mappings without effect, because tiered cache is off; `null` if not
    /// known.
    pub idle: Option<bool>,
    /// Mappings of addresses that no source names any more; `null` if not known.
    pub unused: Option<usize>,
    /// Origin hosts by state; empty if no source of hosts was read.
    pub origin_hosts: BTreeMap<&'static str, usize>,
    /// The names of the hosts that are `failing`, have `no_address` or are `rotating`, at most
    /// [`MAX_UNRESOLVED_HOSTS`] per state.
    pub origin_host_names: BTreeMap<&'static str, Vec<String>>,
    /// Declarations of a vendor or region that Cloudflare does not support.
    pub unsupported_declarations: Vec<String>,
}

/// Something of a zone, with the zone's name and identifier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZoneItem<T> {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// The mapping, origin or whatever else it is.
    #[serde(flatten)]
    pub item: T,
}

/// One thing that is wrong with a zone's mappings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingRow {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// The kind.
    pub finding: FindingKind,
    /// The origin's address; `null` for rotating hosts and idle mappings.
    pub origin_ip: Option<String>,
    /// The origin host that led to a missing origin, or that is rotating.
    pub host: Option<String>,
    /// Where the missing origin or the rotating host was found.
    pub source: Option<Source>,
    /// The check that the wrong mapping fails.
    pub check: Option<Check>,
    /// Whether Tiered Cache uses other upper tiers because the mapping is wrong.
    pub effect: Option<Effect>,
    /// The vendor of the mapping.
    pub vendor: Option<String>,
    /// The region of the mapping.
    pub region: Option<String>,
    /// The expected vendor, if known.
    pub expected_vendor: Option<String>,
    /// The expected region, if known.
    pub expected_region: Option<String>,
    /// When the stale or unused mapping was last written.
    pub modified_on: Option<Timestamp>,
    /// How many addresses the rotating host has.
    pub addresses: Option<usize>,
}

/// An expected origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OriginRow<'a> {
    /// The address.
    pub origin_ip: OriginIp,
    /// The sources that name it, in order of precedence.
    pub sources: Sources,
    /// The origin hosts that lead to it, sorted by name.
    pub hosts: &'a [HostName],
    /// The expected vendor, if known.
    pub expected_vendor: Option<&'a Vendor>,
    /// The expected region, if known.
    pub expected_region: Option<&'a Region>,
    /// The strongest check that knows the place; `null` if nothing is known of it.
    pub check: Option<Check>,
    /// Whether it has a mapping.
    pub mapped: bool,
}

impl ZoneRow {
    /// The zone as of `now`.
    pub fn of(state: &ZoneState, next_poll: Option<Timestamp>, now: Timestamp) -> Self {
        let findings = state.findings();
        let none = ZoneFindings::default();
        let found = findings.unwrap_or(&none);
        let judged = |kind| findings.filter(|_| is_judged(state, kind));
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
            missing: judged(FindingKind::Missing).map(|f| f.missing.len()),
            wrong: judged(FindingKind::Wrong).map(ZoneFindings::wrong_origins),
            stale: stale_mappings(state, now).map(Iterator::count),
            stale_after_seconds: match state.stale_after {
                StaleAfter::Never => None,
                StaleAfter::Age(age) => Some(age.as_secs_f64()),
            },
            expected_origins: by_word(&found.expected, |source| source.as_str()),
            unverified_mappings: by_word(&found.unverified, |why| why.as_str()),
            left_out: by_word(&found.left_out_by_reason(), |why| why.as_str()),
            rejected_rows: state.rejected_rows,
            tiered_cache_enabled: state.tiered_cache.enabled,
            smart_tiered_cache_enabled: state.tiered_cache.smart_enabled,
            idle: is_idle(state),
            unused: found.unused.as_ref().map(Vec::len),
            origin_hosts: found
                .hosts
                .as_ref()
                .map(|hosts| by_word(hosts, |state| state.as_str()))
                .unwrap_or_default(),
            origin_host_names: host_names(found),
            unsupported_declarations: texts(&found.unsupported_declarations),
        }
    }

    /// Whether the zone cannot be read or something is wrong with its mappings.
    pub fn has_problem(&self) -> bool {
        let rotating = self.origin_hosts.get("rotating").copied();
        let findings = [self.missing, self.wrong, self.stale, self.unused, rotating];
        self.up == Some(false)
            || self.idle == Some(true)
            || findings.into_iter().flatten().any(|count| count > 0)
    }
}

impl<T> ZoneItem<T> {
    /// Something of this zone.
    pub fn of(state: &ZoneState, item: T) -> Self {
        Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            item,
        }
    }
}

impl FindingRow {
    /// A finding of the zone.
    pub fn of(state: &ZoneState, finding: Finding<'_>) -> Self {
        let (vendor, region) = finding.mapped_to().unzip();
        let mut row = Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            finding: finding.kind(),
            origin_ip: finding.origin_ip().map(|ip| ip.to_string()),
            host: finding.host().map(ToString::to_string),
            source: None,
            check: finding.check(),
            effect: None,
            vendor: vendor.map(ToString::to_string),
            region: region.map(ToString::to_string),
            expected_vendor: None,
            expected_region: None,
            modified_on: None,
            addresses: None,
        };
        match finding {
            Finding::Missing(origin) => {
                row.source = Some(origin.source());
                row.expect(&origin.place);
            }
            Finding::Wrong(wrong) => {
                row.effect = Some(wrong.effect);
                row.expect(&wrong.expected);
            }
            Finding::Stale(mapping) | Finding::Unused(mapping) => {
                row.modified_on = mapping.modified_on;
            }
            Finding::Rotating(rotating) => {
                row.source = rotating.sources.iter().next();
                row.addresses = Some(rotating.addresses);
            }
            Finding::Idle => {}
        }
        row
    }

    fn expect(&mut self, place: &ExpectedPlace) {
        self.expected_vendor = place.vendor.as_ref().map(ToString::to_string);
        self.expected_region = place.region.as_ref().map(ToString::to_string);
    }

    /// A short description of what is wrong.
    pub fn in_words(&self) -> String {
        let host = self.host.as_deref().unwrap_or_default();
        let source = self.source.map(Source::as_str).unwrap_or_default();
        let check = self.check.map(Check::as_str).unwrap_or_default();
        match self.finding {
            FindingKind::Missing if self.host.is_some() => {
                format!("missing (expected by {source}, host {host})")
            }
            FindingKind::Missing => format!("missing (expected by {source})"),
            FindingKind::Wrong if self.effect == Some(Effect::SameTiers) => {
                format!("wrong (by {check}, same upper tiers)")
            }
            FindingKind::Wrong => format!("wrong (by {check})"),
            FindingKind::Stale => match self.modified_on {
                Some(at) => format!("stale (last modified {at})"),
                None => "stale".to_owned(),
            },
            FindingKind::Unused => "unused (no source names the address)".to_owned(),
            FindingKind::Rotating => {
                let addresses = self.addresses.unwrap_or_default();
                format!("rotating ({host} has {addresses} addresses)")
            }
            FindingKind::Idle => "idle (tiered cache is off)".to_owned(),
        }
    }
}

impl<'a> OriginRow<'a> {
    /// An expected origin of the zone.
    pub fn of(state: &ZoneState, origin: &'a ExpectedOrigin) -> Self {
        let mappings = state.data.as_ref().map(|data| &data.mappings);
        Self {
            origin_ip: origin.origin_ip,
            sources: origin.sources,
            hosts: &origin.hosts,
            expected_vendor: origin.place.vendor.as_ref(),
            expected_region: origin.place.region.as_ref(),
            check: origin.check,
            mapped: mappings.is_some_and(|mappings| mappings.get(origin.origin_ip).is_some()),
        }
    }
}

/// The origin hosts that need attention, by state.
fn host_names(findings: &ZoneFindings) -> BTreeMap<&'static str, Vec<String>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let unresolved = &findings.unresolved_hosts;
    let unresolved = unresolved.iter().map(|host| (host.state, &host.host));
    let rotating = findings.rotating.iter().take(MAX_UNRESOLVED_HOSTS);
    let rotating = rotating.map(|host| (HostState::Rotating, &host.host));
    for (state, host) in unresolved.chain(rotating) {
        let of_state = names.entry(state.as_str()).or_default();
        of_state.push(host.to_string());
    }
    names
}

fn texts<'a>(values: impl IntoIterator<Item = &'a (impl ToString + 'a)>) -> Vec<String> {
    values.into_iter().map(ToString::to_string).collect()
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
