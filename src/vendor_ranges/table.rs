//! Address prefixes and their places.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use prefix_trie::joint::JointPrefixMap;
use serde::{Deserialize, Serialize};

use super::Format;
use super::stored::{read_prefixes, write_prefixes};
use crate::domain::{OriginIp, RangeVerdict, Region};

/// The prefixes of every vendor whose file was loaded.
#[derive(Debug, Clone, Default)]
pub struct RangeTable {
    vendors: BTreeMap<Format, Arc<VendorTable>>,
}

impl RangeTable {
    /// This table with one vendor's prefixes replaced.
    #[must_use]
    pub fn with(&self, format: Format, table: Arc<VendorTable>) -> Self {
        let mut vendors = self.vendors.clone();
        vendors.insert(format, table);
        Self { vendors }
    }

    /// One vendor's prefixes.
    pub fn get(&self, format: Format) -> Option<&Arc<VendorTable>> {
        self.vendors.get(&format)
    }

    /// Whether every vendor's file was loaded.
    pub fn is_complete(&self) -> bool {
        self.vendors.len() == Format::ALL.len()
    }

    /// The verdict of the longest prefix that contains the address. If two vendors published the
    /// same prefix, which they do not, the first by name would win.
    pub fn verdict(&self, ip: OriginIp) -> RangeVerdict {
        let host = IpNet::from(ip.addr());
        let mut longest: Option<(u8, Format, Option<&Region>)> = None;
        for (format, table) in &self.vendors {
            if let Some((net, place)) = table.prefixes.get_lpm(&host) {
                let length = net.prefix_len();
                if longest.is_none_or(|(longest, ..)| length > longest) {
                    longest = Some((length, *format, table.region(*place)));
                }
            }
        }
        match longest {
            Some((_, format, Some(region))) => {
                RangeVerdict::InRegion(format.vendor(), region.clone())
            }
            Some((_, format, None)) => RangeVerdict::InVendor(format.vendor()),
            None if self.is_complete() => RangeVerdict::NotInRanges,
            None => RangeVerdict::Unknown,
        }
    }
}

/// Prefixes with their places.
pub(super) type Prefixes = JointPrefixMap<IpNet, Place>;

/// The prefixes of one vendor.
#[derive(Debug, Serialize, Deserialize)]
pub struct VendorTable {
    #[serde(serialize_with = "write_prefixes", deserialize_with = "read_prefixes")]
    pub(super) prefixes: Prefixes,
    pub(super) regions: Vec<Region>,
    /// When the vendor published the file, if it says so.
    pub published: Option<Timestamp>,
    /// The number of invalid rows in the file.
    pub rejected: usize,
}

impl VendorTable {
    /// The region of a place, if it is in one.
    pub(super) fn region(&self, place: Place) -> Option<&Region> {
        match place {
            Place::Region(index) => self.regions.get(usize::from(index)),
            Place::Nowhere | Place::Several | Place::Edge => None,
        }
    }

    /// The number of prefixes, without duplicates.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there are no prefixes.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The memory that the table takes, in bytes, without region names.
    pub fn memory(&self) -> usize {
        self.prefixes.t1.mem_size() + self.prefixes.t2.mem_size()
    }
}

/// What is known of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// Only the vendor.
    Nowhere,
    /// The vendor and the region, by its index in the table's list of regions.
    Region(u16),
    /// Several regions, which is treated like none.
    Several,
    /// An edge service, which is anycast: its addresses are not in any region.
    Edge,
}

impl Place {
    /// Merges two rows of one prefix. An edge service has no region, whatever the other row says. A
    /// region wins over none, and two different regions contradict each other. The order of the
    /// rows does not matter.
    pub(super) fn merge(&mut self, other: Self) {
        match (*self, other) {
            (Self::Edge, _) | (_, Self::Nowhere) => {}
            (_, Self::Edge) => *self = Self::Edge,
            (Self::Nowhere, _) => *self = other,
            (known, other) if known == other => {}
            _ => *self = Self::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Vendor;
    use crate::vendor_ranges::rows::Rows;

    fn table(rows: &[(&str, &str)]) -> Arc<VendorTable> {
        let mut read = Rows::default();
        for (net, region) in rows {
            let place = match Region::parse(region) {
                Ok(_) if *region == "edge" => Place::Edge,
                Ok(region) => read.place_of(region),
                Err(_) => Place::Nowhere,
            };
            read.add(Some(net), place);
        }
        Arc::new(read.into_table(None))
    }

    fn complete(aws: &[(&str, &str)], gcp: &[(&str, &str)]) -> RangeTable {
        RangeTable::default()
            .with(Format::Aws, table(aws))
            .with(Format::Gcp, table(gcp))
            .with(Format::Azure, table(&[]))
            .with(Format::Oci, table(&[]))
    }

    fn verdict(table: &RangeTable, ip: &str) -> RangeVerdict {
        table.verdict(OriginIp::parse(ip).unwrap())
    }

    fn in_region(vendor: Vendor, region: &str) -> RangeVerdict {
        RangeVerdict::InRegion(vendor, Region::parse(region).unwrap())
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table = complete(
            &[
                ("198.51.0.0/16", ""),
                ("198.51.100.0/24", "us-east-1"),
                ("198.51.100.128/25", "eu-west-1"),
                ("2001:db8::/32", "us-east-1"),
                ("2001:db8:1::/48", ""),
            ],
            &[("198.51.100.200/32", "us-central1")],
        );
        let aws = Vendor::Aws;
        for (ip, expected) in [
            ("198.51.1.1", RangeVerdict::InVendor(aws.clone())),
            ("198.51.100.1", in_region(aws.clone(), "us-east-1")),
            ("::ffff:198.51.100.1", in_region(aws.clone(), "us-east-1")),
            ("198.51.100.129", in_region(aws.clone(), "eu-west-1")),
            ("198.51.100.200", in_region(Vendor::Gcp, "us-central1")),
            ("2001:db8::1", in_region(aws.clone(), "us-east-1")),
            ("2001:db8:1::1", RangeVerdict::InVendor(aws)),
            ("192.0.2.1", RangeVerdict::NotInRanges),
            ("2001:db9::1", RangeVerdict::NotInRanges),
        ] {
            assert_eq!(verdict(&table, ip), expected, "{ip}");
        }
    }

    #[test]
    fn an_address_of_an_edge_service_is_in_no_region_whatever_lies_around_it() {
        let table = complete(
            &[
                ("198.51.100.0/24", "us-east-1"),
                ("198.51.100.0/26", "edge"),
                ("198.51.100.0/26", "us-east-1"),
                ("198.51.100.16/28", "us-east-1"),
                ("2001:db8::/32", "us-east-1"),
                ("2001:db8:1::/48", "edge"),
            ],
            &[("198.51.100.32/32", "us-central1")],
        );
        let aws = || RangeVerdict::InVendor(Vendor::Aws);
        let us_east = || in_region(Vendor::Aws, "us-east-1");
        for (ip, expected) in [
            ("198.51.100.1", aws()),
            // A part of the block, which the vendor uses in a region.
            ("198.51.100.17", us_east()),
            ("198.51.100.64", us_east()),
            ("198.51.100.32", in_region(Vendor::Gcp, "us-central1")),
            ("2001:db8:1::1", aws()),
            ("2001:db8:2::1", us_east()),
        ] {
            assert_eq!(verdict(&table, ip), expected, "{ip}");
        }
    }

    #[test]
    fn an_address_that_no_file_has_is_unknown_until_all_are_loaded() {
        let table = RangeTable::default().with(Format::Aws, table(&[("192.0.2.0/24", "r")]));
        assert!(!table.is_complete());
        assert_eq!(verdict(&table, "192.0.2.1"), in_region(Vendor::Aws, "r"));
        assert_eq!(verdict(&table, "198.51.100.1"), RangeVerdict::Unknown);
    }

    #[test]
    fn of_equal_prefixes_a_region_is_more_than_none_and_two_regions_are_none() {
        let orders: [&[&str]; 6] = [
            &["", "a"],
            &["a", ""],
            &["a", "b"],
            &["a", "b", "a"],
            &["", "a", "b", ""],
            &["a", "a"],
        ];
        let known = [true, true, false, false, false, true];
        for (regions, known) in orders.into_iter().zip(known) {
            let rows: Vec<_> = regions
                .iter()
                .map(|region| ("192.0.2.0/24", *region))
                .collect();
            let table = complete(&rows, &[]);
            let expected = if known {
                in_region(Vendor::Aws, "a")
            } else {
                RangeVerdict::InVendor(Vendor::Aws)
            };
            assert_eq!(verdict(&table, "192.0.2.1"), expected, "{regions:?}");
            assert_eq!(table.get(Format::Aws).unwrap().len(), 1);
        }
    }

    proptest! {
        #[test]
        fn a_look_up_agrees_with_a_search_through_all_prefixes(
            rows in prop::collection::vec((any::<u32>(), 0_u8..=32, 0_u8..4), 0..60),
            ip: u32,
            near in any::<prop::sample::Index>(),
        ) {
            let nets: Vec<(IpNet, String)> = rows
                .iter()
                .map(|(bits, length, region)| {
                    let net = IpNet::new(std::net::Ipv4Addr::from(*bits).into(), *length).unwrap();
                    (net.trunc(), region.to_string())
                })
                .collect();
            // Half of the time an address that some prefix contains.
            let ip = match nets.get(near.index(nets.len().max(1))) {
                Some((net, _)) if ip % 2 == 0 => net.addr(),
                _ => std::net::Ipv4Addr::from(ip).into(),
            };
            let texts: Vec<_> = nets.iter().map(|(net, region)| (net.to_string(), region)).collect();
            let rows: Vec<_> = texts.iter().map(|(net, region)| (net.as_str(), region.as_str())).collect();
            let table = complete(&rows, &[]);
            let length = nets.iter().filter(|(net, _)| net.contains(&ip)).map(|(net, _)| net.prefix_len()).max();
            let regions: HashSet<_> = nets
                .iter()
                .filter(|(net, _)| net.contains(&ip) && Some(net.prefix_len()) == length)
                .map(|(_, region)| region.as_str())
                .collect();
            let expected = match regions.iter().collect::<Vec<_>>().as_slice() {
                [] => RangeVerdict::NotInRanges,
                [region] => in_region(Vendor::Aws, region),
                _ => RangeVerdict::InVendor(Vendor::Aws),
            };
            prop_assert_eq!(table.verdict(OriginIp::from(ip)), expected);
        }
    }
}
