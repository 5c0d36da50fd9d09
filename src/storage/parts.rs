//! What other modules keep in the storage: JSON values by kind and key, large kinds compressed.

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Read as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::words::words;

/// The most bytes of a value that was compressed. The largest one has less than a megabyte.
const MAX_JSON_BYTES: u64 = 16 << 20;

words! {
    /// A kind of value of another module.
    pub enum Kind {
        /// What the sources of expected origins name for a zone, by zone identifier.
        Sources = "sources",
        /// An origin host, by its name.
        Host = "host",
        /// The ranges of a vendor, by vendor name.
        Ranges = "ranges",
        /// How the latest refresh of a vendor's ranges ended, by vendor name.
        RangesRefresh = "ranges_refresh",
        /// The requests in the rate limit's window and the end of a pause, by account name.
        Window = "window",
        /// The position in the audit log, by Cloudflare account identifier.
        AuditLog = "audit_log",
    }
}

impl Kind {
    /// Whether values are large and rarely written. They are compressed, because they stay in memory
    /// too.
    fn is_compressed(self) -> bool {
        self == Self::Ranges
    }
}

/// The key of one value.
pub(super) type PartKey = (Kind, String);

/// Encodes a value, on the storage's own thread.
pub(super) type Encode = Box<dyn FnOnce() -> Option<Bytes> + Send>;

pub(super) fn encoder(kind: Kind, value: impl Serialize + Send + 'static) -> Encode {
    Box::new(move || match encode(kind, &value) {
        // The value stays in memory, so it gets no more than it needs.
        Ok(bytes) => Some(bytes.into_boxed_slice().into()),
        Err(error) => {
            warn!(kind = kind.as_str(), %error, "a value cannot be stored");
            None
        }
    })
}

fn encode(kind: Kind, value: &impl Serialize) -> io::Result<Vec<u8>> {
    if !kind.is_compressed() {
        return Ok(serde_json::to_vec(value)?);
    }
    let gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut json = BufWriter::new(gzip);
    serde_json::to_writer(&mut json, value)?;
    json.into_inner()?.finish()
}

/// The values of an earlier process.
#[derive(Debug, Default, PartialEq)]
pub struct Parts {
    pub(super) values: BTreeMap<PartKey, Bytes>,
}

impl Parts {
    /// The value with this key, if there is one that can be decoded.
    pub fn get<T: DeserializeOwned>(&self, kind: Kind, key: &str) -> Option<T> {
        let bytes = self.values.get(&(kind, key.to_owned()))?;
        read(kind, key, bytes)
    }

    /// All values of one kind that can be decoded, by key.
    pub fn all<T: DeserializeOwned>(&self, kind: Kind) -> impl Iterator<Item = (&str, T)> {
        self.values
            .range((kind, String::new())..)
            .take_while(move |((found, _), _)| *found == kind)
            .filter_map(|((kind, key), bytes)| Some((key.as_str(), read(*kind, key, bytes)?)))
    }
}

/// Decodes a value. One that another version wrote differently is treated as missing.
fn read<T: DeserializeOwned>(kind: Kind, key: &str, bytes: &[u8]) -> Option<T> {
    decode(kind, bytes)
        .inspect_err(|error| warn!(kind = kind.as_str(), key, %error, "a stored value is not read"))
        .ok()
}

fn decode<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> serde_json::Result<T> {
    if kind.is_compressed() {
        let json = GzDecoder::new(bytes).take(MAX_JSON_BYTES);
        return serde_json::from_reader(BufReader::new(json));
    }
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_value_is_compressed_and_bounded() {
        let prefixes = "192.0.2.0/24 ".repeat(1_000);
        let bytes = encoder(Kind::Ranges, prefixes.clone())().unwrap();
        assert!(bytes.len() * 10 < prefixes.len(), "{}", bytes.len());
        assert_eq!(read(Kind::Ranges, "aws", &bytes), Some(prefixes));
        let plain = encoder(Kind::Window, "not compressed")().unwrap();
        assert_eq!(read::<String>(Kind::Ranges, "aws", &plain), None);
        let long = "x".repeat(usize::try_from(MAX_JSON_BYTES).unwrap());
        let bytes = encoder(Kind::Ranges, long)().unwrap();
        assert_eq!(read::<String>(Kind::Ranges, "aws", &bytes), None);
    }

    #[test]
    fn values_are_found_by_kind_and_key_and_bad_ones_are_left_out() {
        let mut parts = Parts::default();
        for (kind, key, json) in [
            (Kind::Host, "a.example", "1"),
            (Kind::Host, "b.example", "\"x\""),
            (Kind::Host, "c.example", "3"),
            (Kind::Window, "default", "4"),
        ] {
            let value = Bytes::from_static(json.as_bytes());
            parts.values.insert((kind, key.to_owned()), value);
        }
        assert_eq!(parts.get::<u32>(Kind::Host, "a.example"), Some(1));
        assert_eq!(parts.get::<u32>(Kind::Host, "b.example"), None);
        assert_eq!(parts.get::<u32>(Kind::Window, "a.example"), None);
        let hosts: Vec<_> = parts.all::<u32>(Kind::Host).collect();
        assert_eq!(hosts, [("a.example", 1), ("c.example", 3)]);
    }

    #[test]
    fn kinds_are_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}
