//! A vendor's prefixes, in a form that survives a restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RangeSource;
use super::fetch::Version;
use super::rows::Rows;
use super::table::{Place, VendorTable};
use crate::domain::Region;

/// The most prefixes of a table that is stored. The largest published file has 26,000, which take
/// half a megabyte.
const MAX_PREFIXES: usize = 250_000;

/// A vendor's prefixes, and the version that lets the next refresh detect that nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRanges {
    /// Where they were read, without anything that may be secret.
    source: String,
    version: Option<Version>,
    published: Option<Timestamp>,
    rejected: usize,
    /// Prefixes by region, separated by spaces.
    regions: BTreeMap<String, String>,
    /// Prefixes without a region.
    nowhere: String,
    /// Prefixes to which the file gives several regions.
    several: String,
    /// Prefixes of edge services.
    edge: String,
}

/// How the latest refresh of a vendor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefresh {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// When a refresh last succeeded.
    pub last_success: Timestamp,
}

impl StoredRanges {
    /// The stored form of a table that was read from `source`. `None` if it is too large.
    pub(super) fn new(
        source: &RangeSource,
        version: Option<&Version>,
        table: &VendorTable,
    ) -> Option<Self> {
        if table.len() > MAX_PREFIXES {
            return None;
        }
        let mut stored = Self {
            source: source.to_string(),
            version: version.filter(|version| may_be_stored(version)).cloned(),
            published: table.published(),
            rejected: table.rejected(),
            regions: BTreeMap::new(),
            nowhere: String::new(),
            several: String::new(),
            edge: String::new(),
        };
        for (net, place) in table.places() {
            let list = match place {
                Place::Nowhere => &mut stored.nowhere,
                Place::Several => &mut stored.several,
                Place::Edge => &mut stored.edge,
                Place::Region(_) => {
                    let region = table.region(place)?.to_string();
                    stored.regions.entry(region).or_default()
                }
            };
            let space = if list.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(list, "{space}{net}");
        }
        Some(stored)
    }

    /// The table, if it was read from `source` and all of it is valid.
    pub(super) fn table(&self, source: &RangeSource) -> Option<VendorTable> {
        if self.source != source.to_string() {
            return None;
        }
        let mut rows = Rows::with_rejected(self.rejected);
        for (region, list) in &self.regions {
            let place = rows.place_of(Region::parse(region).ok()?);
            add(&mut rows, list, place)?;
        }
        add(&mut rows, &self.nowhere, Place::Nowhere)?;
        add(&mut rows, &self.several, Place::Several)?;
        add(&mut rows, &self.edge, Place::Edge)?;
        let table = rows.into_table(self.published);
        (!table.is_empty()).then_some(table)
    }

    /// The version of the source.
    pub(super) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }
}

/// Adds the prefixes of a list. `None` if one is invalid, or if there are too many.
fn add(rows: &mut Rows, list: &str, place: Place) -> Option<()> {
    for net in list.split_ascii_whitespace() {
        if rows.len() >= MAX_PREFIXES {
            return None;
        }
        rows.add_net(net.parse().ok()?, place);
    }
    Some(())
}

/// Whether the version names no address that may contain a secret. Otherwise it is not stored, and
/// the file is read again after a restart.
fn may_be_stored(version: &Version) -> bool {
    match version {
        Version::Http { url, .. } => !url.contains(['@', '?', '#']),
        Version::File { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::vendor_ranges::Format;

    fn source(text: &str) -> RangeSource {
        RangeSource::Url(Url::parse(text).unwrap())
    }

    fn version(url: &str) -> Version {
        Version::Http {
            url: url.to_owned(),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
        }
    }

    #[test]
    fn a_table_of_each_vendor_is_read_back() {
        let from = source("https://ranges.example/x.json");
        let version = version("https://ranges.example/x.json");
        for format in Format::ALL {
            let vendor = format.vendor();
            let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");
            let file = std::fs::read(format!("{directory}/{vendor}.json")).unwrap();
            let table = format.parse(file.as_slice()).unwrap();
            let stored = StoredRanges::new(&from, Some(&version), &table).unwrap();
            let json = serde_json::to_vec(&stored).unwrap();
            let read: StoredRanges = serde_json::from_slice(&json).unwrap();
            let again = read.table(&from).unwrap();
            assert!(table.len() > 1, "{vendor}");
            let named = |table: &VendorTable| {
                let places = table.places();
                let named = places.map(|(net, place)| match table.region(place) {
                    Some(region) => (net, region.to_string()),
                    None => (net, format!("{place:?}")),
                });
                named.collect::<Vec<_>>()
            };
            assert_eq!(named(&again), named(&table), "{vendor}");
            assert_eq!(again.published(), table.published());
            assert_eq!(again.rejected(), table.rejected());
            assert_eq!(read.version(), Some(&version));
        }
    }

    #[test]
    fn another_source_and_what_cannot_be_read_have_no_table() {
        let from = source("https://ranges.example/x.json");
        let file = br#"{"prefixes": [{"ipv4Prefix": "34.1.0.0/16", "scope": "us-west1"}]}"#;
        let table = Format::Gcp.parse(file.as_slice()).unwrap();
        let good = StoredRanges::new(&from, None, &table).unwrap();
        assert!(good.table(&from).is_some());
        assert!(
            good.table(&source("https://other.example/x.json"))
                .is_none()
        );
        let bad = StoredRanges {
            edge: "34.1.0.0/16 x".to_owned(),
            ..good.clone()
        };
        assert!(bad.table(&from).is_none());
        let empty = StoredRanges {
            regions: BTreeMap::new(),
            ..good
        };
        assert!(empty.table(&from).is_none());
    }

    #[test]
    fn an_address_that_may_be_secret_is_not_stored() {
        let file = br#"{"prefixes": [{"ipv4Prefix": "34.1.0.0/16", "scope": "us-west1"}]}"#;
        let table = Format::Gcp.parse(file.as_slice()).unwrap();
        for url in [
            "https://user:hunter2@ranges.example/x.json",
            "https://ranges.example/x.json?sig=hunter2",
            "https://ranges.example/x.json#hunter2",
        ] {
            let stored = StoredRanges::new(&source(url), Some(&version(url)), &table).unwrap();
            let json = serde_json::to_string(&stored).unwrap();
            assert!(!json.contains("hunter2"), "{json}");
            assert!(stored.table(&source(url)).is_some());
            assert_eq!(stored.version(), None);
        }
    }
}
