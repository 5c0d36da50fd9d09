//! `/api/v1/findings`

use jiff::Timestamp;

use super::query::Query;
use crate::snapshot::Directory;
use crate::snapshot::rows::{Finding, FindingRow};

/// The matching findings.
pub(super) fn list(
    directory: &Directory,
    query: &Query,
    now: Timestamp,
) -> (usize, Vec<FindingRow>) {
    let zones: Vec<_> = query.zones(directory).map(|(_, state)| state).collect();
    let matching = zones.iter().flat_map(|state| {
        Finding::all(state, now)
            .filter(|finding| query.takes_finding(*finding))
            .map(move |finding| (state, finding))
    });
    query.window(matching, |(state, finding)| FindingRow::of(state, finding))
}
