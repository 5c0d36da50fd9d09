//! `/api/v1/mappings`

use super::query::Query;
use crate::snapshot::Directory;
use crate::snapshot::rows::MappingRow;

/// The matching mappings.
pub(super) fn list(directory: &Directory, query: &Query) -> (usize, Vec<MappingRow>) {
    let zones: Vec<_> = query.zones(directory).map(|(_, state)| state).collect();
    let matching = zones.iter().flat_map(|state| {
        let mappings = state.mappings().iter();
        mappings
            .filter(|mapping| query.takes_mapping(mapping))
            .map(move |mapping| (state, mapping))
    });
    query.window(matching, |(state, mapping)| MappingRow::of(state, mapping))
}
