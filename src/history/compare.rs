//! Compares two successful polls of a zone. Pure: no I/O and no clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{ChangeKind, Details, FindingKind};
use crate::domain::{Difference, HostName, OriginIp};
use crate::findings::Check;
use crate::snapshot::{Finding, ZoneState, is_judged};

/// The changes between two states of a zone: mappings, then findings. The first read of a zone is
/// not a change, and neither is anything that only became known or unknown.
pub fn zone_changes(old: &ZoneState, new: &ZoneState) -> Vec<Details> {
    let (Some(old_data), Some(new_data)) = (&old.data, &new.data) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    if !Arc::ptr_eq(&old_data.mappings, &new_data.mappings) {
        let differences = old_data.mappings.differences(&new_data.mappings);
        changes.extend(differences.into_iter().map(mapping_change));
    }
    // After the first successful poll, findings may appear only because more data arrives.
    let settled = good_polls(new) > 1;
    if settled
        && (!Arc::ptr_eq(&old_data.mappings, &new_data.mappings)
            || !Arc::ptr_eq(&old_data.findings, &new_data.findings)
            || old.tiered_cache != new.tiered_cache
            || old.stale_after != new.stale_after
            || !stale(old).eq(stale(new)))
    {
        finding_changes(old, new, &mut changes);
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

fn key(finding: Finding<'_>) -> Key {
    let host = match finding {
        Finding::Rotating(rotating) => Some(rotating.host.clone()),
        _ => None,
    };
    (finding.kind(), finding.origin_ip(), finding.check(), host)
}

/// The findings as of the zone's last poll.
fn findings(state: &ZoneState) -> impl Iterator<Item = Finding<'_>> {
    let ended = state.last_poll.as_ref().map(|poll| poll.ended);
    Finding::all(state, ended.unwrap_or(Timestamp::MIN))
}

fn stale(state: &ZoneState) -> impl Iterator<Item = Option<OriginIp>> {
    findings(state)
        .filter(|finding| finding.kind() == FindingKind::Stale)
        .map(Finding::origin_ip)
}

/// Whether this finding could be judged in the state.
fn could_be_judged(state: &ZoneState, finding: Finding<'_>) -> bool {
    let Some(found) = state.findings() else {
        return false;
    };
    match finding {
        Finding::Missing(origin) => {
            found.expected.contains_key(&origin.source())
                && !found.undetermined.contains(&origin.origin_ip)
        }
        Finding::Wrong(wrong) => found.checks.contains(&wrong.check),
        _ => is_judged(state, finding.kind()),
    }
}

fn finding_changes(old: &ZoneState, new: &ZoneState, changes: &mut Vec<Details>) {
    let of = |state| -> BTreeMap<_, _> { findings(state).map(|row| (key(row), row)).collect() };
    let (before, after) = (of(old), of(new));
    let mut compare =
        |kind, state, other, findings: &BTreeMap<Key, _>, others: &BTreeMap<Key, _>| {
            for (key, finding) in findings {
                if !others.contains_key(key) && could_be_judged(other, *finding) {
                    changes.push(finding_change(kind, state, *finding));
                }
            }
        };
    compare(ChangeKind::FindingCleared, old, new, &before, &after);
    compare(ChangeKind::FindingAppeared, new, old, &after, &before);
}

fn finding_change(kind: ChangeKind, state: &ZoneState, finding: Finding<'_>) -> Details {
    let (vendor, region) = finding.mapped_to().unzip();
    let mappings = state.data.as_ref().map(|data| &data.mappings);
    let mapping = mappings.and_then(|mappings| mappings.get(finding.origin_ip()?));
    Details {
        origin_ip: finding.origin_ip(),
        vendor: vendor.cloned(),
        region: region.cloned(),
        modified_on: mapping.and_then(|mapping| mapping.modified_on),
        finding: Some(finding.kind()),
        check: finding.check(),
        host: finding.host().cloned(),
        ..Details::new(kind)
    }
}

fn mapping_change((old, new): Difference<'_>) -> Details {
    let kind = match (old, new) {
        (None, _) => ChangeKind::MappingAdded,
        (_, None) => ChangeKind::MappingRemoved,
        (Some(_), Some(_)) => ChangeKind::MappingChanged,
    };
    Details {
        origin_ip: new.or(old).map(|mapping| mapping.origin_ip),
        vendor: new.map(|new| new.vendor.clone()),
        region: new.map(|new| new.region.clone()),
        previous_vendor: old.map(|old| old.vendor.clone()),
        previous_region: old.map(|old| old.region.clone()),
        modified_on: new.and_then(|new| new.modified_on),
        ..Details::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Mapping, Region, Vendor, ZoneMappings};

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
        let old = zone([(1, 0), (2, 0), (4, 0)]);
        let new = zone([(2, 1), (3, 0), (4, 0)]);
        let differences = old.differences(&new).into_iter();
        let shown: Vec<_> = differences
            .map(mapping_change)
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
}
