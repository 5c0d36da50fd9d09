//! `/api/v1/zones`

use jiff::Timestamp;

use super::query::Query;
use crate::snapshot::Directory;
use crate::snapshot::rows::ZoneRow;

/// The matching zones; with a filter on mappings, those that have a matching mapping.
pub(super) fn list(directory: &Directory, query: &Query, now: Timestamp) -> (usize, Vec<ZoneRow>) {
    let matching = query.zones(directory).filter(|(_, state)| {
        let mut mappings = state.mappings().iter();
        query.takes_any_mapping() || mappings.any(|mapping| query.takes_mapping(mapping))
    });
    query.window(matching, |(slot, state)| {
        ZoneRow::of(&state, slot.next_poll(), now)
    })
}
