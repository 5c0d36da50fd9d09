//! The mappings of one zone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{OriginIp, Region, Vendor};

/// An origin of a zone and the cloud region that Cloudflare assigns to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The cloud vendor.
    pub vendor: Vendor,
    /// The vendor's region.
    pub region: Region,
    /// When the mapping was last written; the API may omit it.
    pub modified_on: Option<Timestamp>,
}

/// All mappings of a zone from one complete read, sorted by address, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneMappings {
    sorted: Box<[Mapping]>,
}

/// The mapping of an address in an older and in a newer read; `None` where there is none.
pub type Difference<'a> = (Option<&'a Mapping>, Option<&'a Mapping>);

/// Two rows have the same address but different vendors or regions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is listed twice with different vendors or regions")]
pub struct ConflictingRows(pub OriginIp);

impl ZoneMappings {
    /// Sorts the rows and merges duplicates of an address that agree on vendor and region, keeping
    /// the later `modified_on`.
    pub fn from_rows(mut rows: Vec<Mapping>) -> Result<Self, ConflictingRows> {
        rows.sort_by(|a, b| (a.origin_ip, b.modified_on).cmp(&(b.origin_ip, a.modified_on)));
        for pair in rows.windows(2) {
            if let [a, b] = pair
                && a.origin_ip == b.origin_ip
                && (&a.vendor, &a.region) != (&b.vendor, &b.region)
            {
                return Err(ConflictingRows(a.origin_ip));
            }
        }
        rows.dedup_by_key(|row| row.origin_ip);
        Ok(Self {
            sorted: rows.into_boxed_slice(),
        })
    }

    /// The mappings sorted by address, IPv4 first.
    pub fn as_slice(&self) -> &[Mapping] {
        &self.sorted
    }

    /// The number of mappings.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The mapping of one address.
    pub fn get(&self, ip: OriginIp) -> Option<&Mapping> {
        let at = self.sorted.binary_search_by_key(&ip, |m| m.origin_ip);
        self.sorted.get(at.ok()?)
    }

    /// What was added, removed or changed from this read to a newer one, by address. A different
    /// `modified_on` alone does not count.
    pub fn differences<'a>(&'a self, newer: &'a Self) -> Vec<Difference<'a>> {
        let mut differences = Vec::new();
        let mut old = self.sorted.iter().peekable();
        for new in &newer.sorted {
            while let Some(removed) = old.next_if(|o| o.origin_ip < new.origin_ip) {
                differences.push((Some(removed), None));
            }
            let before = old.next_if(|o| o.origin_ip == new.origin_ip);
            let is_same = |o: &Mapping| (&o.vendor, &o.region) == (&new.vendor, &new.region);
            if !before.is_some_and(is_same) {
                differences.push((before, Some(new)));
            }
        }
        differences.extend(old.map(|removed| (Some(removed), None)));
        differences
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn row(ip: &str, region: &str, modified_on: Option<&str>) -> Mapping {
        Mapping {
            origin_ip: OriginIp::parse(ip).unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse(region).unwrap(),
            modified_on: modified_on.map(|t| t.parse().unwrap()),
        }
    }

    #[test]
    fn rows_are_sorted_by_address_and_found_by_it() {
        let rows = vec![
            row("2001:db8::1", "a", None),
            row("192.0.2.10", "b", None),
            row("192.0.2.9", "c", None),
        ];
        let zone = ZoneMappings::from_rows(rows).unwrap();
        let shown: Vec<_> = zone
            .as_slice()
            .iter()
            .map(|m| m.origin_ip.to_string())
            .collect();
        assert_eq!(shown, ["192.0.2.9", "192.0.2.10", "2001:db8::1"]);
        let found = zone.get(OriginIp::parse("192.0.2.10").unwrap()).unwrap();
        assert_eq!(found.region.as_str(), "b");
        assert_eq!(zone.get(OriginIp::parse("192.0.2.11").unwrap()), None);
    }

    #[test]
    fn one_address_in_two_spellings_is_one_mapping_with_the_later_time() {
        let zone = ZoneMappings::from_rows(vec![
            row("192.0.2.1", "a", None),
            row("::ffff:192.0.2.1", "a", Some("2026-03-01T12:00:00Z")),
            row("::FFFF:c000:0201", "a", Some("2026-02-01T12:00:00Z")),
        ])
        .unwrap();
        assert_eq!(
            zone.as_slice(),
            [row("192.0.2.1", "a", Some("2026-03-01T12:00:00Z"))]
        );
    }

    #[test]
    fn rows_that_disagree_are_an_error() {
        let rows = vec![
            row("2001:db8::1", "a", None),
            row("2001:DB8::0:1", "b", None),
        ];
        assert_eq!(
            ZoneMappings::from_rows(rows),
            Err(ConflictingRows(OriginIp::parse("2001:db8::1").unwrap()))
        );
    }

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    fn zone(rows: &[(&str, &str)]) -> ZoneMappings {
        ZoneMappings::from_rows(rows.iter().map(|(ip, r)| row(ip, r, None)).collect()).unwrap()
    }

    #[test]
    fn changes_are_what_came_went_and_moved() {
        let old = zone(&[
            ("192.0.2.1", "a"),
            ("192.0.2.2", "a"),
            ("192.0.2.4", "a"),
            ("2001:db8::1", "a"),
        ]);
        let new = zone(&[("192.0.2.2", "b"), ("192.0.2.3", "a"), ("192.0.2.4", "a")]);
        let at = |text| (old.get(ip(text)), new.get(ip(text)));
        let expected = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"].map(at);
        assert_eq!(old.differences(&new), expected);
        assert_eq!(old.differences(&old), []);
    }

    #[test]
    fn another_time_of_change_alone_is_no_change() {
        let old = zone(&[("192.0.2.1", "a")]);
        let touched = row("192.0.2.1", "a", Some("2026-03-01T12:00:00Z"));
        let new = ZoneMappings::from_rows(vec![touched]).unwrap();
        assert_eq!(old.differences(&new), []);
    }

    proptest! {
        #[test]
        fn changes_agree_with_a_comparison_address_by_address(
            old in prop::collection::btree_map(0_u8..20, 0_u8..3, 0..20),
            new in prop::collection::btree_map(0_u8..20, 0_u8..3, 0..20),
        ) {
            let make = |rows: &BTreeMap<u8, u8>| {
                let rows = rows.iter().map(|(ip, region)| {
                    row(&format!("192.0.2.{ip}"), &region.to_string(), None)
                });
                ZoneMappings::from_rows(rows.collect()).unwrap()
            };
            let (older, newer) = (make(&old), make(&new));
            let differs = |last: &u8| old.get(last) != new.get(last);
            let expected: Vec<Difference<'_>> = (0..20)
                .filter(differs)
                .map(|last| ip(&format!("192.0.2.{last}")))
                .map(|ip| (older.get(ip), newer.get(ip)))
                .collect();
            prop_assert_eq!(older.differences(&newer), expected);
        }
    }
}
