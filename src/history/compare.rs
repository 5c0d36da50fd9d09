//! From two good polls of a zone to the changes between them: pure.

use std::cmp::Ordering;

use super::{ChangeKind, Details};
use crate::domain::{Mapping, ZoneMappings};
use crate::snapshot::ChangeCounts;

/// The mappings that were added, removed or changed from `old` to `new`, by address. Another
/// `modified_on` alone is no change.
pub fn mapping_changes(old: &ZoneMappings, new: &ZoneMappings) -> Vec<Details> {
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

/// How many mappings these changes added, removed and changed.
pub fn count(changes: &[Details]) -> ChangeCounts {
    let of = |kind| changes.iter().filter(|change| change.kind == kind).count() as u64;
    ChangeCounts {
        added: of(ChangeKind::MappingAdded),
        removed: of(ChangeKind::MappingRemoved),
        changed: of(ChangeKind::MappingChanged),
    }
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
            let counts = count(&mapping_changes(&old, &new));
            let expected = old.changes(&new);
            prop_assert_eq!(counts.added, expected.added as u64);
            prop_assert_eq!(counts.removed, expected.removed as u64);
            prop_assert_eq!(counts.changed, expected.changed as u64);
        }
    }
}
