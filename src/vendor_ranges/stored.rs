//! A vendor's prefixes, in a form that survives a restart.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RangeSource;
use super::fetch::Version;
use super::rows::{Row, Rows, fold_rows};
use super::table::{Place, Prefixes, VendorTable};

/// The most prefixes of a table that is stored. The largest published file has 26,000.
const MAX_PREFIXES: usize = 250_000;

/// A vendor's prefixes, and the version that lets the next refresh detect that nothing changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredRanges {
    /// Where they were read, without anything that may be secret.
    source: String,
    pub(super) version: Option<Version>,
    table: Arc<VendorTable>,
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
        table: Arc<VendorTable>,
    ) -> Option<Self> {
        (table.len() <= MAX_PREFIXES).then(|| Self {
            source: source.to_string(),
            version: version.filter(|version| may_be_stored(version)).cloned(),
            table,
        })
    }

    /// The table, if it was read from `source` and is not empty.
    pub(super) fn table(&self, source: &RangeSource) -> Option<&Arc<VendorTable>> {
        let is_usable = self.source == source.to_string() && !self.table.is_empty();
        is_usable.then_some(&self.table)
    }
}

/// Writes prefixes one by one. A copy as text would take as much memory again.
pub(super) fn write_prefixes<S: Serializer>(
    prefixes: &Prefixes,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(prefixes)
}

/// Reads prefixes one by one.
pub(super) fn read_prefixes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Prefixes, D::Error> {
    fold_rows::<StoredPrefix, D>(deserializer).map(Rows::into_prefixes)
}

#[derive(Deserialize)]
struct StoredPrefix(IpNet, Place);

impl Row for StoredPrefix {
    type List = Rows;

    fn keep(self, rows: &mut Rows) {
        rows.add_net(self.0.trunc(), self.1);
    }
}

/// Whether the version names no address that may contain a secret. Otherwise it is not stored, and
/// the file is read again after a restart.
fn may_be_stored(version: &Version) -> bool {
    !version.url.contains(['@', '?', '#'])
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
        Version {
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
            let table = Arc::new(format.parse(file.as_slice()).unwrap());
            let stored = StoredRanges::new(&from, Some(&version), Arc::clone(&table)).unwrap();
            let json = serde_json::to_vec(&stored).unwrap();
            let read: StoredRanges = serde_json::from_slice(&json).unwrap();
            let again = read.table(&from).unwrap();
            assert!(table.len() > 1, "{vendor}");
            let whole = |table: &VendorTable| serde_json::to_value(table).unwrap();
            assert_eq!(whole(again), whole(&table), "{vendor}");
            assert_eq!(again.published, table.published);
            assert_eq!(again.rejected, table.rejected);
            assert_eq!(read.version, Some(version.clone()));
        }
    }

    #[test]
    fn another_source_and_what_cannot_be_read_have_no_table() {
        let from = source("https://ranges.example/x.json");
        let file = br#"{"prefixes": [{"ipv4Prefix": "34.1.0.0/16", "scope": "us-west1"}]}"#;
        let table = Arc::new(Format::Gcp.parse(file.as_slice()).unwrap());
        let good = StoredRanges::new(&from, None, table).unwrap();
        assert!(good.table(&from).is_some());
        assert!(
            good.table(&source("https://other.example/x.json"))
                .is_none()
        );
        let json = serde_json::to_string(&good).unwrap();
        let read = |json: &str| serde_json::from_str::<StoredRanges>(json);
        assert!(read(&json).unwrap().table(&from).is_some());
        assert!(read(&json.replace("34.1.0.0/16", "34.1.0.0/x")).is_err());
        let prefix = r#"["34.1.0.0/16",{"Region":0}]"#;
        assert!(json.contains(prefix), "{json}");
        let empty = read(&json.replace(prefix, "")).unwrap();
        assert!(empty.table(&from).is_none());
    }

    #[test]
    fn an_address_that_may_be_secret_is_not_stored() {
        let file = br#"{"prefixes": [{"ipv4Prefix": "34.1.0.0/16", "scope": "us-west1"}]}"#;
        let table = Arc::new(Format::Gcp.parse(file.as_slice()).unwrap());
        for url in [
            "https://user:hunter2@ranges.example/x.json",
            "https://ranges.example/x.json?sig=hunter2",
            "https://ranges.example/x.json#hunter2",
        ] {
            let stored = StoredRanges::new(&source(url), Some(&version(url)), Arc::clone(&table));
            let stored = stored.unwrap();
            let json = serde_json::to_string(&stored).unwrap();
            assert!(!json.contains("hunter2"), "{json}");
            assert!(stored.table(&source(url)).is_some());
            assert_eq!(stored.version, None);
        }
    }
}
