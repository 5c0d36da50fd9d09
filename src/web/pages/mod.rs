//! The HTML pages.

mod change_table;
mod changes;
mod docs;
mod finding_table;
mod findings;
mod landing;
mod layout;
mod markdown;
mod origins;
mod plan;
mod zone;

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use self::landing::Landing;
use self::layout::Site;
use super::quota::Quota;
use super::render_pool::RenderPool;
use super::reply::Reply;
use crate::cloudflare::AccountStatus;
use crate::history::History;
use crate::snapshot::{Directory, Snapshot};

/// Pages that are built or sent at once; further requests get 503. A page has up to 120 kB.
pub(super) const MAX_PAGES: usize = 64;

/// Returns the current status of all accounts.
pub type Accounts = Arc<dyn Fn() -> Vec<AccountStatus> + Send + Sync>;

/// Returns the base URL of Cloudflare's API.
pub type ApiUrl = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves the pages.
pub(super) struct Pages {
    pub(super) snapshot: Snapshot,
    pub(super) history: History,
    pub(super) accounts: Accounts,
    pub(super) api_url: ApiUrl,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) pool: RenderPool,
    pub(super) quota: Quota,
    /// The path of the metrics, to which every page links.
    pub(super) telemetry_path: String,
}

impl Pages {
    /// The page of zones and accounts.
    pub(super) async fn landing(&self, query: &str) -> Reply {
        let query = landing::Query::parse(query);
        let accounts = Arc::clone(&self.accounts);
        self.page(move |directory, site| {
            let landing = Landing {
                directory,
                accounts: &accounts(),
                now: Timestamp::now(),
            };
            Reply::page(StatusCode::OK, landing.page(&query, site))
        })
        .await
    }

    /// The page of findings in all zones.
    pub(super) async fn findings(&self, query: &str) -> Reply {
        let query = findings::Query::parse(query);
        self.page(move |directory, site| {
            let page = findings::page(directory, &query, site, Timestamp::now());
            Reply::page(StatusCode::OK, page)
        })
        .await
    }

    /// The page of changes, newest first.
    pub(super) async fn changes(&self, query: &str) -> Reply {
        let query = changes::Query::parse(query);
        let history = self.history.clone();
        self.page(move |_, site| {
            let page = changes::page(&history, &query, site, Timestamp::now());
            Reply::page(StatusCode::OK, page)
        })
        .await
    }

    /// The page of the zone with this percent-encoded name or identifier.
    pub(super) async fn zone(&self, zone: &str, query: &str) -> Reply {
        let zone = percent_decode_str(zone).decode_utf8_lossy().into_owned();
        let query = zone::Query::parse(query);
        let (history, api_url) = (self.history.clone(), Arc::clone(&self.api_url));
        self.page(move |directory, site| match *directory.find(&zone) {
            [slot] => {
                let page = zone::Page {
                    slot,
                    history: &history,
                    api_url: &api_url(),
                    now: Timestamp::now(),
                };
                Reply::page(StatusCode::OK, page.render(&query, site))
            }
            [] => Reply::page(StatusCode::NOT_FOUND, zone::not_found(site)),
            ref zones => {
                let page = zone::ambiguous(zones, site);
                Reply::page(StatusCode::MULTIPLE_CHOICES, page)
            }
        })
        .await
    }

    /// The documentation page with this name; a list of all pages if it is empty.
    pub(super) async fn docs(&self, name: &str) -> Reply {
        let name = name.to_owned();
        self.page(move |_, site| docs::answer(&name, site)).await
    }

    async fn page(
        &self,
        make: impl FnOnce(&Directory, &Site<'_>) -> Reply + Send + 'static,
    ) -> Reply {
        let Some(lease) = self.quota.acquire().await else {
            return Reply::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many pages are being read. Try again.",
            );
        };
        let (snapshot, metrics) = (self.snapshot.clone(), self.telemetry_path.clone());
        let ready = *self.ready.borrow();
        let make = move || {
            let site = Site {
                metrics: &metrics,
                ready,
            };
            make(&snapshot.directory(), &site).with_lease(lease)
        };
        self.pool.reply(make).await
    }
}

/// Parses a query as every page does, for `fuzzing`.
pub(super) fn parse_query(text: &str) {
    landing::Query::parse(text);
    findings::Query::parse(text);
    changes::Query::parse(text);
    zone::Query::parse(text);
}
