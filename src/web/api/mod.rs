//! Serves the snapshot as JSON.
//!
//! A request scans the whole snapshot to count matching rows, but builds only the rows that it
//! returns. So its memory is bounded by the limit, however many mappings there are.

mod changes;
mod findings;
mod mappings;
mod origins;
mod plan;
mod query;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use self::query::Query;
use super::quota::Quota;
use super::render_pool::RenderPool;
use super::reply::Reply;
use super::sources::Sources;
use crate::words::words;

/// Responses that are built or sent at once; further requests get 503. The largest responses are a
/// few megabytes, and clients may read slowly.
pub(super) const MAX_ANSWERS: usize = 16;

words! {
    /// The resources of the API, with their paths below `/api/v1/`.
    pub(super) enum Resource {
        /// [`zones`]
        Zones = "zones",
        /// [`mappings`]
        Mappings = "mappings",
        /// [`findings`]
        Findings = "findings",
        /// [`origins`]
        Origins = "origins",
        /// [`changes`]
        Changes = "changes",
        /// [`plan`]
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

/// The JSON API.
pub(super) struct Api {
    pub(super) sources: Arc<Sources>,
    pub(super) pool: RenderPool,
    pub(super) quota: Quota,
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

impl Api {
    /// Answers a request as of `now`.
    pub(super) async fn answer(&self, resource: Resource, query: &str, now: Timestamp) -> Reply {
        let Some(lease) = self.quota.acquire().await else {
            return refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("{MAX_ANSWERS} requests are being answered already; try again"),
            );
        };
        let query = match resource.query(query) {
            Ok(query) => query,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error),
        };
        let sources = Arc::clone(&self.sources);
        let make = move || list(&sources, resource, &query, now).with_lease(lease);
        self.pool.reply(make).await
    }
}

fn refuse(status: StatusCode, error: &str) -> Reply {
    Reply::json(status, &json!({ "error": error }))
}

fn list(sources: &Sources, resource: Resource, query: &Query, now: Timestamp) -> Reply {
    let directory = &sources.snapshot.directory();
    match resource {
        Resource::Zones => reply("zones", query, zones::list(directory, query, now)),
        Resource::Mappings => reply("mappings", query, mappings::list(directory, query)),
        Resource::Findings => reply("findings", query, findings::list(directory, query, now)),
        Resource::Origins if query.left_out == Some(true) => {
            reply("origins", query, origins::left_out(directory, query))
        }
        Resource::Origins => reply("origins", query, origins::expected(directory, query)),
        Resource::Changes => {
            let page = changes::page(&sources.history, query, now);
            let rows = page.changes.iter().map(|change| &**change).collect();
            reply("changes", query, (page.total, rows))
        }
        Resource::Plan => reply("zones", query, plan::list(directory, query, now)),
    }
}

fn reply<R: Serialize>(name: &'static str, query: &Query, (total, rows): (usize, Vec<R>)) -> Reply {
    let listing = Listing {
        total,
        limit: query.limit,
        offset: query.offset,
        rows: BTreeMap::from([(name, rows)]),
    };
    Reply::json(StatusCode::OK, &listing)
}
