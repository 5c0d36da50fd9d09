//! The entry point of the fuzzer.

use super::record;
use crate::domain::ZoneId;

/// Decodes the bytes as a value of each table.
pub fn value(bytes: &[u8]) {
    drop(record::decode_mappings(bytes));
    drop(record::decode_activities(bytes));
    drop(record::decode_change(1, bytes));
    drop(record::decode_findings(bytes));
    if let Ok(id) = ZoneId::parse("0123456789abcdef") {
        drop(record::decode_zone(id, bytes));
    }
}
