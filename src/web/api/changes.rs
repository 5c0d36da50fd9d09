//! `/api/v1/changes`

use jiff::Timestamp;

use super::query::Query;
use crate::history::{self, History, Page};

/// The matching changes, newest first.
pub(super) fn page(history: &History, query: &Query, now: Timestamp) -> Page {
    let wanted = history::Query {
        zone: query.zone.clone(),
        origin_ip: query.origin_ip,
        kind: query.kind,
        finding: query.finding,
        since: query.since,
        until: query.until,
        limit: query.limit,
        offset: query.offset,
    };
    history.query(&wanted, now)
}
