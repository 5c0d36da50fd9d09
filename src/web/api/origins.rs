//! `/api/v1/origins`

use super::query::Query;
use crate::snapshot::Directory;
use crate::snapshot::rows::{LeftOutRow, OriginRow};

/// The matching expected origins.
pub(super) fn expected(directory: &Directory, query: &Query) -> (usize, Vec<OriginRow>) {
    let zones: Vec<_> = query.zones(directory).map(|(_, state)| state).collect();
    let matching = zones.iter().flat_map(|state| {
        let findings = state.findings().into_iter();
        findings
            .flat_map(|findings| &findings.origins)
            .filter(|origin| query.takes_origin(origin))
            .map(move |origin| (state, origin))
    });
    query.window(matching, |(state, origin)| OriginRow::of(state, origin))
}

/// The matching addresses that are left out.
pub(super) fn left_out(directory: &Directory, query: &Query) -> (usize, Vec<LeftOutRow>) {
    let zones: Vec<_> = query.zones(directory).map(|(_, state)| state).collect();
    let matching = zones.iter().flat_map(|state| {
        let findings = state.findings().into_iter();
        findings
            .flat_map(|findings| &findings.left_out)
            .filter(|left_out| query.takes_left_out(left_out))
            .map(move |left_out| (state, left_out))
    });
    query.window(matching, |(state, left_out)| {
        LeftOutRow::of(state, left_out)
    })
}
