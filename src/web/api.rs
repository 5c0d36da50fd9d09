//! The snapshot as JSON.
//!
//! A request walks over the whole snapshot to count what fits, and makes rows only of what it
//! shows, so its cost in memory is bounded by the limit however many mappings there are.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::api_query::{BadQuery, Filter, Window};
use super::heavy::HeavyReplies;
use super::reply::Reply;
use crate::snapshot::rows::{Finding, FindingRow, MappingRow, ZoneRow};
use crate::snapshot::{Directory, Snapshot, ZoneSlot, ZoneState};

/// Answers that are made or sent at once; more requests get 503. The largest answers are some
/// megabytes, and clients may be slow in taking them.
const MOST_AT_ONCE: usize = 16;

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Zones,
    Mappings,
    Findings,
}

impl Resource {
    /// The resource of this name in the path.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "zones" => Some(Self::Zones),
            "mappings" => Some(Self::Mappings),
            "findings" => Some(Self::Findings),
            _ => None,
        }
    }
}

/// Lists the snapshot.
pub(super) struct Api {
    snapshot: Snapshot,
    heavy: HeavyReplies,
    permits: Arc<Semaphore>,
}

#[derive(Debug, Serialize)]
struct Listing {
    total: usize,
    limit: usize,
    offset: usize,
    #[serde(flatten)]
    rows: Rows,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Rows {
    Zones(Vec<ZoneRow>),
    Mappings(Vec<MappingRow>),
    Findings(Vec<FindingRow>),
}

#[derive(Debug, Serialize)]
struct Refusal {
    error: String,
}

type Zone = (Arc<ZoneSlot>, Arc<ZoneState>);

impl Api {
    pub(super) fn new(snapshot: Snapshot, heavy: HeavyReplies) -> Self {
        Self {
            snapshot,
            heavy,
            permits: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }

    /// Answers a request as of `now`.
    pub(super) async fn answer(&self, resource: Resource, query: &str, now: Timestamp) -> Reply {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{MOST_AT_ONCE} requests are being answered already; try again"),
            );
        };
        let (snapshot, query) = (self.snapshot.clone(), query.to_owned());
        let make = move || match list(&snapshot.directory(), resource, &query, now) {
            Ok(listing) => Reply::json(StatusCode::OK, &listing, Some(permit)),
            Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
        };
        self.heavy.reply(make).await
    }
}

fn refuse(status: StatusCode, error: String) -> Reply {
    Reply::json(status, &Refusal { error }, None)
}

fn list(
    directory: &Directory,
    resource: Resource,
    query: &str,
    now: Timestamp,
) -> Result<Listing, BadQuery> {
    let (filter, window) = Filter::parse(query, resource)?;
    let zones: Vec<Zone> = directory
        .zones
        .iter()
        .map(|slot| (Arc::clone(slot), slot.load()))
        .filter(|(_, state)| filter.takes_zone(state))
        .collect();
    let (total, rows) = match resource {
        Resource::Zones => list_zones(&zones, &filter, window, now),
        Resource::Mappings => list_mappings(&zones, &filter, window),
        Resource::Findings => list_findings(&zones, &filter, window, now),
    };
    Ok(Listing {
        total,
        limit: window.limit,
        offset: window.offset,
        rows,
    })
}

/// With a filter on mappings, the zones that have a mapping which fits.
fn list_zones(zones: &[Zone], filter: &Filter, window: Window, now: Timestamp) -> (usize, Rows) {
    let fitting = zones.iter().filter(|(_, state)| {
        let mut mappings = state.data.iter().flat_map(|data| data.mappings.as_slice());
        filter.takes_any_mapping() || mappings.any(|mapping| filter.takes_mapping(mapping))
    });
    let row = |(slot, state): &Zone| ZoneRow::of(state, slot.next_poll(), now);
    let (total, rows) = window.cut(fitting, row);
    (total, Rows::Zones(rows))
}

fn list_mappings(zones: &[Zone], filter: &Filter, window: Window) -> (usize, Rows) {
    let fitting = zones.iter().flat_map(|(_, state)| {
        let mappings = state.data.iter().flat_map(|data| data.mappings.as_slice());
        mappings
            .filter(|mapping| filter.takes_mapping(mapping))
            .map(move |mapping| (state, mapping))
    });
    let (total, rows) = window.cut(fitting, |(state, mapping)| MappingRow::of(state, mapping));
    (total, Rows::Mappings(rows))
}

fn list_findings(zones: &[Zone], filter: &Filter, window: Window, now: Timestamp) -> (usize, Rows) {
    let fitting = zones.iter().flat_map(|(_, state)| {
        Finding::all(state, now)
            .filter(|finding| filter.takes_finding(*finding))
            .map(move |finding| (state, finding))
    });
    let (total, rows) = window.cut(fitting, |(state, finding)| FindingRow::of(state, finding));
    (total, Rows::Findings(rows))
}
