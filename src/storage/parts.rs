//! What other modules keep in the storage: JSON values by kind and key.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use crate::words::words;

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

/// The key of one value.
pub(super) type PartKey = (Kind, String);

/// Encodes a value, on the storage's own thread.
pub(super) type Encode = Box<dyn FnOnce() -> Option<Bytes> + Send>;

pub(super) fn encoder(value: impl Serialize + Send + 'static) -> Encode {
    Box::new(move || match serde_json::to_vec(&value) {
        // The value stays in memory, without what the buffer was too large.
        Ok(bytes) => Some(bytes.into_boxed_slice().into()),
        Err(error) => {
            warn!(%error, "a value cannot be stored");
            None
        }
    })
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
    serde_json::from_slice(bytes)
        .inspect_err(|error| warn!(kind = kind.as_str(), key, %error, "a stored value is not read"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
