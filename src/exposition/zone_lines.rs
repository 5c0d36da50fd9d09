//! The families of a zone that are derived from its state alone: all except the detail of each
//! mapping and those that change with time.

use std::collections::BTreeMap;

use super::text::{Samples, unix_seconds};
use crate::domain::{HostName, Mapping, Region, Vendor};
use crate::findings::{Check, ExpectedPlace, Unverified, ZoneFindings};
use crate::metric_families::{self, Family};
use crate::snapshot::{StaleAfter, ZoneState};

/// The maximum number of `missing_mapping`, `wrong_mapping` and `unused_mapping` series of one
/// zone, for each family. The corresponding counts are complete.
const MAX_LISTED: usize = 500;

type Writer = fn(&ZoneState, &mut Samples<'_>);

/// The families, in the order in which they are exposed, and the functions that write their
/// samples.
const WRITERS: [(&Family, Writer); 23] = [
    (&metric_families::ZONE_INFO, zone_info),
    (&metric_families::ZONE_UP, zone_up),
    (&metric_families::ZONE_LAST_SUCCESS, zone_last_success),
    (&metric_families::ZONE_POLL_DURATION, zone_poll_duration),
    (&metric_families::ZONE_POLL_INTERVAL, zone_poll_interval),
    (&metric_families::ZONE_POLLS, zone_polls),
    (&metric_families::ZONE_POLL_ERRORS, zone_poll_errors),
    (&metric_families::ZONE_REJECTED_ROWS, zone_rejected_rows),
    (&metric_families::ZONE_MAPPINGS, zone_mappings),
    (&metric_families::MAPPINGS, mappings),
    (&metric_families::MAPPING_CHANGES, mapping_changes),
    (&metric_families::EXPECTED_ORIGINS, expected_origins),
    (&metric_families::MISSING_MAPPINGS, missing_mappings),
    (&metric_families::MISSING_MAPPING, missing_mapping),
    (&metric_families::WRONG_MAPPINGS, wrong_mappings),
    (&metric_families::WRONG_MAPPING, wrong_mapping),
    (&metric_families::UNUSED_MAPPINGS, unused_mappings),
    (&metric_families::UNUSED_MAPPING, unused_mapping),
    (&metric_families::ORIGIN_HOSTS, origin_hosts),
    (&metric_families::UNVERIFIED_MAPPINGS, unverified_mappings),
    (&metric_families::STALE_AFTER, stale_after),
    (&metric_families::TIERED_CACHE_ENABLED, tiered_cache_enabled),
    (
        &metric_families::SMART_TIERED_CACHE_ENABLED,
        smart_tiered_cache_enabled,
    ),
];

pub(super) const FAMILIES: usize = WRITERS.len();

/// The families, in the order in which they are exposed.
pub(super) fn all() -> impl ExactSizeIterator<Item = &'static Family> {
    WRITERS.iter().map(|(family, _)| *family)
}

/// One zone's lines, family by family.
#[derive(Debug)]
pub(super) struct ZoneLines {
    text: Box<str>,
    /// Where each family's lines end in the text.
    ends: [usize; FAMILIES],
}

impl ZoneLines {
    /// Writes the lines. `labels` are the rendered labels that every line of the zone starts with.
    pub(super) fn write(state: &ZoneState, labels: &str) -> Self {
        let mut text = String::new();
        let ends = WRITERS.map(|(family, write)| {
            write(state, &mut Samples::new(&mut text, family, labels));
            text.len()
        });
        Self {
            text: text.into_boxed_str(),
            ends,
        }
    }

    /// The length of all lines, in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The lines of the family at `index` of [`all`].
    pub(super) fn of(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).copied();
        let start = index.checked_sub(1).and_then(end).unwrap_or_default();
        let end = end(index).unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }
}

/// The mappings of each vendor and region.
pub(super) fn by_place(mappings: &[Mapping]) -> BTreeMap<(&Vendor, &Region), Vec<&Mapping>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for mapping in mappings {
        let place = (&mapping.vendor, &mapping.region);
        places.entry(place).or_default().push(mapping);
    }
    places
}

fn zone_info(state: &ZoneState, out: &mut Samples<'_>) {
    let zone = &state.zone;
    out.add(&[state.account.as_str(), &zone.status, &zone.plan], 1);
}

fn zone_up(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(poll) = &state.last_poll {
        out.add(&[], u8::from(poll.error.is_none()));
    }
}

fn zone_last_success(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(time) = state.last_success {
        out.add(&[], unix_seconds(time));
    }
}

fn zone_poll_duration(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(poll) = &state.last_poll {
        out.add(&[], poll.duration.as_secs_f64());
    }
}

fn zone_poll_interval(state: &ZoneState, out: &mut Samples<'_>) {
    out.add(&[], state.interval.as_secs_f64());
}

fn zone_polls(state: &ZoneState, out: &mut Samples<'_>) {
    out.add(&[], state.polls);
}

fn zone_poll_errors(state: &ZoneState, out: &mut Samples<'_>) {
    for (reason, count) in &state.errors {
        out.add(&[reason.as_str()], count);
    }
}

fn zone_rejected_rows(state: &ZoneState, out: &mut Samples<'_>) {
    out.add(&[], state.rejected_rows);
}

fn zone_mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(data) = &state.data {
        out.add(&[], data.mappings.len());
    }
}

fn mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(data) = &state.data {
        for ((vendor, region), mappings) in by_place(data.mappings.as_slice()) {
            out.add(&[vendor.as_str(), region.as_str()], mappings.len());
        }
    }
}

fn mapping_changes(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(changes) = state.changes {
        out.add(&["added"], changes.added);
        out.add(&["removed"], changes.removed);
        out.add(&["changed"], changes.changed);
    }
}

fn expected_origins(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(findings) = findings(state) {
        for (source, count) in &findings.expected {
            out.add(&[source.as_str()], count);
        }
    }
}

fn missing_mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(findings) = findings(state)
        && !findings.expected.is_empty()
    {
        out.add(&[], findings.missing.len());
    }
}

fn missing_mapping(state: &ZoneState, out: &mut Samples<'_>) {
    let missing = findings(state).map_or(&[][..], |findings| &findings.missing);
    for origin in missing.iter().take(MAX_LISTED) {
        let ip = origin.origin_ip.to_string();
        let (vendor, region) = expected_labels(&origin.place);
        let source = origin.source().as_str();
        let host = origin.host().map(HostName::as_str).unwrap_or_default();
        out.add(&[&ip, source, host, vendor, region], 1);
    }
}

fn wrong_mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(findings) = findings(state) {
        for check in &findings.checks {
            let wrong = findings.wrong.iter().filter(|wrong| wrong.check == *check);
            out.add(&[check.as_str()], wrong.count());
        }
    }
}

fn wrong_mapping(state: &ZoneState, out: &mut Samples<'_>) {
    let wrong = findings(state).map_or(&[][..], |findings| &findings.wrong);
    for mapping in wrong.iter().take(MAX_LISTED) {
        let ip = mapping.origin_ip.to_string();
        let (expected_vendor, expected_region) = expected_labels(&mapping.expected);
        let labels = [
            ip.as_str(),
            mapping.vendor.as_str(),
            mapping.region.as_str(),
            expected_vendor,
            expected_region,
            mapping.check.as_str(),
            mapping.effect.as_str(),
        ];
        out.add(&labels, 1);
    }
}

fn unused_mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(unused) = findings(state).and_then(|findings| findings.unused.as_ref()) {
        out.add(&[], unused.len());
    }
}

fn unused_mapping(state: &ZoneState, out: &mut Samples<'_>) {
    let unused = findings(state).and_then(|findings| findings.unused.as_deref());
    for mapping in unused.into_iter().flatten().take(MAX_LISTED) {
        let ip = mapping.origin_ip.to_string();
        out.add(&[&ip, mapping.vendor.as_str(), mapping.region.as_str()], 1);
    }
}

fn origin_hosts(state: &ZoneState, out: &mut Samples<'_>) {
    let hosts = findings(state).and_then(|findings| findings.hosts.as_ref());
    for (state, count) in hosts.into_iter().flatten() {
        out.add(&[state.as_str()], count);
    }
}

fn unverified_mappings(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(findings) = findings(state)
        && findings.checks.contains(&Check::VendorRanges)
    {
        for reason in Unverified::ALL {
            let count = findings.unverified.get(&reason).unwrap_or(&0);
            out.add(&[reason.as_str()], count);
        }
    }
}

fn stale_after(state: &ZoneState, out: &mut Samples<'_>) {
    if let (Some(_), StaleAfter::Age(age)) = (&state.data, state.stale_after) {
        out.add(&[], age.as_secs_f64());
    }
}

fn tiered_cache_enabled(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(enabled) = state.tiered_cache.enabled {
        out.add(&[], u8::from(enabled));
    }
}

fn smart_tiered_cache_enabled(state: &ZoneState, out: &mut Samples<'_>) {
    if let Some(enabled) = state.tiered_cache.smart_enabled {
        out.add(&[], u8::from(enabled));
    }
}

fn findings(state: &ZoneState) -> Option<&ZoneFindings> {
    state.data.as_ref().map(|data| &*data.findings)
}

/// The vendor and region that a check expects; empty where it expects none in particular.
fn expected_labels(place: &ExpectedPlace) -> (&str, &str) {
    (
        place.vendor.as_ref().map_or("", Vendor::as_str),
        place.region.as_ref().map_or("", Region::as_str),
    )
}
