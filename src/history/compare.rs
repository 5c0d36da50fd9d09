//! Compares two successful polls of a zone. Pure: no I/O and no clock.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{ChangeKind, Details, FindingKind};
use crate::domain::{HostName, Mapping, OriginIp, ZoneMappings};
use crate::findings::{Check, ExpectedOrigin, ZoneFindings};
use crate::snapshot::{StaleAfter, ZoneData, ZoneState};

/// The changes between two states of a zone: mappings, then findings. The first read of a zone is
/// not a change, and neither is anything that only became known or unknown.
pub fn zone_changes(old: &ZoneState, new: &ZoneState) -> Vec<Details> {
    let (Some(old_data), Some(new_data)) = (&old.data, &new.data) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    if !Arc::ptr_eq(&old_data.mappings, &new_data.mappings) {
        changes = mapping_changes(&old_data.mappings, &new_data.mappings);
    }
    // After the first successful poll, findings may appear only because more data arrives.
    let settled = good_polls(new) > 1;
    if settled
        && (!Arc::ptr_eq(&old_data.mappings, &new_data.mappings)
            || !Arc::ptr_eq(&old_data.findings, &new_data.findings)
            || old.tiered_cache != new.tiered_cache
            || old.stale_after != new.stale_after
            || ages_past_the_threshold(old, new, &new_data.mappings))
    {
        finding_changes(
            &Judged::new(old, old_data),
            &Judged::new(new, new_data),
            &mut changes,
        );
    }
    changes
}

fn good_polls(state: &ZoneState) -> u64 {
    state.polls.saturating_sub(state.errors.values().sum())
}

/// What identifies a finding within its zone.
type Key = (
    FindingKind,
    Option<OriginIp>,
    Option<Check>,
    Option<HostName>,
);

/// A zone's findings, and which kinds of findings could be evaluated.
struct Judged<'a> {
    state: &'a ZoneState,
    data: &'a ZoneData,
}

impl<'a> Judged<'a> {
    fn new(state: &'a ZoneState, data: &'a ZoneData) -> Self {
        Self { state, data }
    }

    fn findings(&self) -> &ZoneFindings {
        &self.data.findings
    }

    fn all(&self) -> BTreeMap<Key, Finding<'_>> {
        let findings = self.findings();
        let mut all = BTreeMap::new();
        for origin in &findings.missing {
            let key = (FindingKind::Missing, Some(origin.origin_ip), None, None);
            all.insert(key, Finding::Missing(origin));
        }
        for wrong in &findings.wrong {
            let mapping = self.data.mappings.get(wrong.origin_ip);
            let key = (
                FindingKind::Wrong,
                Some(wrong.origin_ip),
                Some(wrong.check),
                None,
            );
            all.insert(key, Finding::of(mapping));
        }
        for mapping in findings.unused.iter().flatten() {
            let key = (FindingKind::Unused, Some(mapping.origin_ip), None, None);
            all.insert(key, Finding::Of(mapping));
        }
        for rotating in &findings.rotating {
            let key = (
                FindingKind::Rotating,
                None,
                None,
                Some(rotating.host.clone()),
            );
            all.insert(key, Finding::Alone);
        }
        for mapping in self.data.mappings.as_slice() {
            if is_stale(self.state, mapping) {
                let key = (FindingKind::Stale, Some(mapping.origin_ip), None, None);
                all.insert(key, Finding::Of(mapping));
            }
        }
        let is_idle = self.state.tiered_cache.makes_mappings_idle() == Some(true);
        if is_idle && !self.data.mappings.is_empty() {
            all.insert((FindingKind::Idle, None, None, None), Finding::Alone);
        }
        all
    }

    /// Whether the poll could have found this finding.
    fn could_be_judged(&self, (kind, _, check, _): &Key, finding: &Finding<'_>) -> bool {
        let findings = self.findings();
        match kind {
            FindingKind::Missing => match finding {
                Finding::Missing(origin) => {
                    findings.expected.contains_key(&origin.source())
                        && !findings.undetermined.contains(&origin.origin_ip)
                }
                Finding::Of(_) | Finding::Alone => true,
            },
            FindingKind::Wrong => check.is_some_and(|check| findings.checks.contains(&check)),
            FindingKind::Unused => findings.unused.is_some(),
            FindingKind::Rotating => findings.hosts.is_some(),
            FindingKind::Stale => self.state.stale_after != StaleAfter::Never,
            FindingKind::Idle => self.state.tiered_cache.makes_mappings_idle().is_some(),
        }
    }
}

/// What a finding is about.
enum Finding<'a> {
    Missing(&'a ExpectedOrigin),
    Of(&'a Mapping),
    Alone,
}

impl<'a> Finding<'a> {
    fn of(mapping: Option<&'a Mapping>) -> Self {
        mapping.map_or(Self::Alone, Self::Of)
    }
}

fn finding_changes(old: &Judged<'_>, new: &Judged<'_>, changes: &mut Vec<Details>) {
    let (before, after) = (old.all(), new.all());
    let cleared = before.iter().filter(|(key, _)| !after.contains_key(*key));
    for (key, finding) in cleared.filter(|(key, finding)| new.could_be_judged(key, finding)) {
        changes.push(finding_change(ChangeKind::FindingCleared, key, finding));
    }
    let appeared = after.iter().filter(|(key, _)| !before.contains_key(*key));
    for (key, finding) in appeared.filter(|(key, finding)| old.could_be_judged(key, finding)) {
        changes.push(finding_change(ChangeKind::FindingAppeared, key, finding));
    }
}

fn finding_change(kind: ChangeKind, key: &Key, finding: &Finding<'_>) -> Details {
    let (finding_kind, origin_ip, check, host) = key.clone();
    let mapping = match finding {
        Finding::Of(mapping) => Some(*mapping),
        Finding::Missing(_) | Finding::Alone => None,
    };
    let led_by = match finding {
        Finding::Missing(origin) => origin.host().cloned(),
        Finding::Of(_) | Finding::Alone => None,
    };
    Details {
        origin_ip,
        vendor: mapping.map(|mapping| mapping.vendor.clone()),
        region: mapping.map(|mapping| mapping.region.clone()),
        modified_on: mapping.and_then(|mapping| mapping.modified_on),
        finding: Some(finding_kind),
        check,
        host: host.or(led_by),
        ..Details::new(kind)
    }
}

/// Whether the mapping was older than the threshold when the zone was last polled.
fn is_stale(state: &ZoneState, mapping: &Mapping) -> bool {
    let StaleAfter::Age(threshold) = state.stale_after else {
        return false;
    };
    let as_of = state.last_poll.as_ref().map(|poll| poll.ended);
    let exceeds = |as_of: Timestamp, modified_on: Timestamp| {
        as_of.duration_since(modified_on)
            > jiff::SignedDuration::try_from(threshold).unwrap_or(jiff::SignedDuration::MAX)
    };
    as_of
        .zip(mapping.modified_on)
        .is_some_and(|(as_of, modified_on)| exceeds(as_of, modified_on))
}

/// Whether an unchanged mapping became stale between the two polls.
fn ages_past_the_threshold(old: &ZoneState, new: &ZoneState, mappings: &ZoneMappings) -> bool {
    let mut mappings = mappings.as_slice().iter();
    mappings.any(|mapping| is_stale(old, mapping) != is_stale(new, mapping))
}

/// The mappings that were added, removed or changed from `old` to `new`, by address. A different
/// `modified_on` alone is not a change.
fn mapping_changes(old: &ZoneMappings, new: &ZoneMappings) -> Vec<Details> {
    let (mut old, mut new) = (old.as_slice(), new.as_slice());
    let mut changes = Vec::new();
    loop {
        let (a, b) = (old.split_first(), new.split_first());
        let order = match (a, b) {
            (Some((a, _)), Some((b, _))) => a.origin_ip.cmp(&b.origin_ip),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return changes,
        };
        let a = a.filter(|_| order.is_le());
        let b = b.filter(|_| order.is_ge());
        changes.extend(mapping_change(a.map(|(a, _)| a), b.map(|(b, _)| b)));
        old = a.map_or(old, |(_, rest)| rest);
        new = b.map_or(new, |(_, rest)| rest);
    }
}

fn mapping_change(old: Option<&Mapping>, new: Option<&Mapping>) -> Option<Details> {
    let kind = match (old, new) {
        (None, Some(_)) => ChangeKind::MappingAdded,
        (Some(_), None) => ChangeKind::MappingRemoved,
        (Some(old), Some(new)) if (&old.vendor, &old.region) != (&new.vendor, &new.region) => {
            ChangeKind::MappingChanged
        }
        _ => return None,
    };
    Some(Details {
        origin_ip: new.or(old).map(|mapping| mapping.origin_ip),
        vendor: new.map(|new| new.vendor.clone()),
        region: new.map(|new| new.region.clone()),
        previous_vendor: old.map(|old| old.vendor.clone()),
        previous_region: old.map(|old| old.region.clone()),
        modified_on: new.and_then(|new| new.modified_on),
        ..Details::new(kind)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{OriginIp, Region, Vendor};

    fn zone(rows: impl IntoIterator<Item = (u8, u8)>) -> ZoneMappings {
        let rows = rows.into_iter().map(|(ip, region)| Mapping {
            origin_ip: OriginIp::parse(&format!("192.0.2.{ip}")).unwrap(),
            vendor: Vendor::Gcp,
            region: Region::parse(&format!("region-{region}")).unwrap(),
            modified_on: Some("2026-03-01T12:00:00Z".parse().unwrap()),
        });
        ZoneMappings::from_rows(rows.collect()).unwrap()
    }

    #[test]
    fn each_kind_names_what_applies() {
        let changes = mapping_changes(
            &zone([(1, 0), (2, 0), (4, 0)]),
            &zone([(2, 1), (3, 0), (4, 0)]),
        );
        let shown: Vec<_> = changes
            .iter()
            .map(|change| {
                let region = |region: &Option<Region>| region.as_ref().map(ToString::to_string);
                (
                    change.kind.as_str(),
                    change.origin_ip.unwrap().to_string(),
                    region(&change.previous_region),
                    region(&change.region),
                    change.modified_on.is_some(),
                )
            })
            .collect();
        let region = |number: u8| Some(format!("region-{number}"));
        assert_eq!(
            shown,
            [
                (
                    "mapping_removed",
                    "192.0.2.1".to_owned(),
                    region(0),
                    None,
                    false
                ),
                (
                    "mapping_changed",
                    "192.0.2.2".to_owned(),
                    region(0),
                    region(1),
                    true
                ),
                (
                    "mapping_added",
                    "192.0.2.3".to_owned(),
                    None,
                    region(0),
                    true
                ),
            ]
        );
    }

    proptest! {
        #[test]
        fn the_changes_agree_with_the_counts_of_the_domain(
            old in prop::collection::btree_map(0u8..20, 0u8..3, 0..20),
            new in prop::collection::btree_map(0u8..20, 0u8..3, 0..20),
        ) {
            let (old, new) = (zone(old), zone(new));
            let changes = mapping_changes(&old, &new);
            let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
            let expected = old.changes(&new);
            prop_assert_eq!(count(ChangeKind::MappingAdded), expected.added);
            prop_assert_eq!(count(ChangeKind::MappingRemoved), expected.removed);
            prop_assert_eq!(count(ChangeKind::MappingChanged), expected.changed);
        }
    }
}
