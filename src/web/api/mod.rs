//! Serves the snapshot as JSON.
//!
//! A request scans the whole snapshot to count matching rows, but builds only the rows that it
//! returns. So its memory is bounded by the limit, however many mappings there are.

mod query;

use std::cell::LazyCell;
use std::collections::BTreeMap;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::query::Query;
use super::reply::Reply;
use super::sources::Sources;
use crate::snapshot::rows::{Finding, FindingRow, OriginRow, ZoneItem, ZoneRow};
use crate::snapshot::{PlanRow, Prune, ZoneState};
use crate::words::words;

/// Responses that are built or sent at once; further requests get 503. The largest responses are a
/// few megabytes, and clients may read slowly.
pub(super) const MAX_ANSWERS: usize = 16;

words! {
    /// The resources of the API, with their paths below `/api/v1/`.
    pub(super) enum Resource {
        /// Zones; with a filter on mappings, those that have a matching mapping.
        Zones = "zones",
        /// Mappings.
        Mappings = "mappings",
        /// Findings.
        Findings = "findings",
        /// Expected origins, or the addresses that are left out.
        Origins = "origins",
        /// Changes, newest first.
        Changes = "changes",
        /// The plans of zones whose mappings are known. The size of a plan depends on the findings.
        Plan = "plan",
    }
}

impl Resource {
    /// Parses the query of a request; each resource accepts its own parameters.
    pub(super) fn query(self, text: &str) -> Result<Query, String> {
        let parameters = match self {
            Self::Zones | Self::Mappings => "zone vendor region origin_ip limit offset",
            Self::Findings => "zone vendor region origin_ip finding limit offset",
            Self::Origins => "zone vendor region origin_ip left_out limit offset",
            Self::Changes => "zone origin_ip kind finding since until limit offset",
            Self::Plan => "zone prune limit offset",
        };
        Query::parse(text, parameters)
    }
}

/// A window of the matching rows, keyed by the name of their resource.
#[derive(Debug, Serialize)]
struct Listing<R> {
    total: usize,
    limit: usize,
    offset: usize,
    #[serde(flatten)]
    rows: BTreeMap<&'static str, Vec<R>>,
}

/// The response if too many others are being built or sent.
pub(super) fn busy() -> Reply {
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!("{MAX_ANSWERS} requests are being answered already; try again"),
    )
}

/// The response to an invalid request.
pub(super) fn invalid(error: &str) -> Reply {
    refuse(StatusCode::BAD_REQUEST, error)
}

fn refuse(status: StatusCode, error: &str) -> Reply {
    Reply::json(status, &json!({ "error": error }))
}

/// Lists a resource as of `now`.
pub(super) fn list(sources: &Sources, resource: Resource, query: &Query, now: Timestamp) -> Reply {
    let directory = &sources.snapshot.directory();
    // Changes are listed without them.
    let zones = LazyCell::new(|| query.zones(directory).collect::<Vec<_>>());
    let states = || zones.iter().map(|(_, state)| state);
    match resource {
        Resource::Zones => {
            let has_mapping = |state: &ZoneState| {
                let mut mappings = state.mappings().iter();
                query.takes_any_mapping() || mappings.any(|mapping| query.takes_mapping(mapping))
            };
            let matching = zones.iter().filter(|(_, state)| has_mapping(state));
            reply("zones", query, matching, |(slot, state)| {
                ZoneRow::of(state, slot.next_poll(), now)
            })
        }
        Resource::Mappings => {
            let matching = states().flat_map(|state| {
                let mappings = state.mappings().iter().map(move |mapping| (state, mapping));
                mappings.filter(|(_, mapping)| query.takes_mapping(mapping))
            });
            reply("mappings", query, matching, |(state, mapping)| {
                ZoneItem::of(state, mapping)
            })
        }
        Resource::Findings => {
            let matching = states().flat_map(|state| {
                let findings = Finding::all(state, now).map(move |finding| (state, finding));
                findings.filter(|(_, finding)| query.takes_finding(*finding))
            });
            reply("findings", query, matching, |(state, finding)| {
                FindingRow::of(state, finding)
            })
        }
        Resource::Origins if query.left_out == Some(true) => {
            let matching = states().flat_map(|state| {
                let found = state.findings().into_iter();
                let left_out = found.flat_map(|found| &found.left_out);
                let left_out = left_out.map(move |left_out| (state, left_out));
                left_out.filter(|(_, left_out)| query.takes_left_out(left_out))
            });
            reply("origins", query, matching, |(state, left_out)| {
                ZoneItem::of(state, left_out)
            })
        }
        Resource::Origins => {
            let matching = states().flat_map(|state| {
                let found = state.findings().into_iter();
                let origins = found.flat_map(|found| &found.origins);
                let origins = origins.map(move |origin| (state, origin));
                origins.filter(|(_, origin)| query.takes_origin(origin))
            });
            reply("origins", query, matching, |(state, origin)| {
                ZoneItem::of(state, OriginRow::of(state, origin))
            })
        }
        Resource::Changes => {
            let page = sources.history.query(&query.filter, now);
            let rows = page.changes.iter().map(|change| &**change).collect();
            listing("changes", query, page.total, rows)
        }
        Resource::Plan => {
            let prune = match query.prune {
                Some(true) => Prune::Unused,
                _ => Prune::Nothing,
            };
            let known = states().filter(|state| state.data.is_some());
            reply("zones", query, known, |state| {
                PlanRow::of(state, prune, now)
            })
        }
    }
}

/// Counts all matching rows and builds those in the window.
fn reply<T, R: Serialize>(
    name: &'static str,
    query: &Query,
    matching: impl Iterator<Item = T>,
    build: impl Fn(T) -> R,
) -> Reply {
    let (total, rows) = query.window(matching, build);
    listing(name, query, total, rows)
}

fn listing<R: Serialize>(name: &'static str, query: &Query, total: usize, rows: Vec<R>) -> Reply {
    let listing = Listing {
        total,
        limit: query.filter.limit,
        offset: query.filter.offset,
        rows: BTreeMap::from([(name, rows)]),
    };
    Reply::json(StatusCode::OK, &listing)
}
