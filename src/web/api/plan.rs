//! `/api/v1/plan`

use jiff::Timestamp;

use super::query::Query;
use crate::snapshot::{Directory, PlanRow, Prune};

/// The plans of the matching zones whose mappings are known. The size of a plan depends on the
/// zone's findings.
pub(super) fn list(directory: &Directory, query: &Query, now: Timestamp) -> (usize, Vec<PlanRow>) {
    let prune = match query.prune {
        Some(true) => Prune::Unused,
        _ => Prune::Nothing,
    };
    let zones = query.zones(directory).map(|(_, state)| state);
    let known = zones.filter(|state| state.data.is_some());
    let (total, plans) = query.window(known, |state| PlanRow::of(&state, prune, now));
    (total, plans.into_iter().flatten().collect())
}
