//! `/api/v1/changes`

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::query::Query;
use crate::history::{self, Change, History};

pub(super) const PARAMETERS: &str = "zone origin_ip kind finding since until limit offset";

/// A change in the response.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct ChangeRow {
    #[serde(serialize_with = "shared")]
    change: Arc<Change>,
}

fn shared<S: serde::Serializer>(change: &Arc<Change>, serializer: S) -> Result<S::Ok, S::Error> {
    change.as_ref().serialize(serializer)
}

/// The matching changes, newest first.
pub(super) fn list(history: &History, query: &Query, now: Timestamp) -> (usize, Vec<ChangeRow>) {
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
    let page = history.query(&wanted, now);
    let rows = page.changes.into_iter().map(|change| ChangeRow { change });
    (page.total, rows.collect())
}
