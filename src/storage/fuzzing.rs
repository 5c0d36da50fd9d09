//! The entry point of the fuzzer.

use std::time::Duration;

use super::record;
use crate::domain::{AccountName, Zone, ZoneId};
use crate::snapshot::{StaleAfter, ZoneState};

/// Decodes the bytes as a value of each table.
pub fn value(bytes: &[u8]) {
    drop(record::decode_mappings(bytes));
    drop(record::decode_change(1, bytes));
    drop(record::decode_findings(bytes));
    drop(record::decode_zone("0123456789abcdef", bytes));
    let (Ok(id), Ok(account)) = (ZoneId::parse("abc"), AccountName::parse("default")) else {
        return;
    };
    let zone = Zone::unknown(id);
    let mut state = ZoneState::new(zone, account, Duration::ZERO, StaleAfter::Never);
    for activity in record::decode_activities(bytes).unwrap_or_default() {
        drop(activity.apply(&mut state));
    }
}
