//! From a request to its reply: which path is whose.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use tokio::sync::watch;

use super::Settings;
use super::api::{Api, Resource};
use super::docs;
use super::heavy::HeavyReplies;
use super::landing::{self, Landing};
use super::metrics::{Handler, Metrics};
use super::page::Site;
use super::probe::{LookUp, Probes};
use super::protection::InForce;
use super::reload::{self, Reload};
use super::reply::Reply;
use super::scrape::{Render, Scrapes};
use super::zone_page;
use crate::cloudflare::AccountStatus;
use crate::snapshot::{Directory, Snapshot};

/// Tells how the accounts stand with Cloudflare now.
pub type Accounts = Arc<dyn Fn() -> Vec<AccountStatus> + Send + Sync>;

/// What the routes show and what they trigger.
pub struct Sources {
    /// Makes the body of a scrape.
    pub render: Render,
    /// The zones.
    pub snapshot: Snapshot,
    /// Turns true when the first round of polls has ended.
    pub ready: watch::Receiver<bool>,
    /// The accounts.
    pub accounts: Accounts,
    /// Asks Cloudflare for one mapping.
    pub look_up: LookUp,
    /// Reads the configuration again; served where the settings allow it.
    pub reload: Reload,
}

/// Answers requests.
pub struct Handlers {
    telemetry_path: String,
    scrapes: Scrapes,
    api: Api,
    heavy: HeavyReplies,
    probes: Probes,
    snapshot: Snapshot,
    ready: watch::Receiver<bool>,
    accounts: Accounts,
    reload: Option<Reload>,
    metrics: Metrics,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Metrics,
    Healthy,
    Ready,
    Reload,
    Landing,
    /// The page of the zone with this identifier.
    Zone(&'a str),
    /// The documentation under this name.
    Docs(&'a str),
    Api(Resource),
    Probe,
    Nothing,
}

impl Handlers {
    /// Answers with what `sources` give.
    pub fn new(settings: &Settings, sources: Sources, metrics: Metrics) -> Self {
        let heavy = HeavyReplies::new();
        Self {
            telemetry_path: settings.telemetry_path.clone(),
            scrapes: Scrapes::new(sources.render, settings.max_requests),
            api: Api::new(sources.snapshot.clone(), heavy.clone()),
            heavy,
            probes: Probes::new(sources.look_up, sources.snapshot.clone()),
            snapshot: sources.snapshot,
            ready: sources.ready,
            accounts: sources.accounts,
            reload: settings.enable_lifecycle.then_some(sources.reload),
            metrics,
        }
    }

    /// Answers a request, whose body is of no interest to any route, and counts it. What watches
    /// over this process has no password and must not be turned away by other clients' requests.
    pub(super) async fn answer(&self, request: &Parts, protection: &InForce) -> Reply {
        let route = self.route(request.uri.path());
        let refusal = match route {
            Route::Healthy | Route::Ready => None,
            _ => protection.refusal(&request.headers).await,
        };
        let reply = match refusal {
            Some(refusal) => refusal,
            None => self.reply(route, request).await,
        };
        self.metrics.count(route.handler(), reply.status());
        reply
    }

    async fn reply(&self, route: Route<'_>, request: &Parts) -> Reply {
        let query = request.uri.query().unwrap_or_default();
        match route {
            Route::Nothing => Reply::text(
                StatusCode::NOT_FOUND,
                "There is nothing at this path. The page at / links to what there is.",
            ),
            Route::Reload => reload::answer(self.reload.as_ref(), &request.method).await,
            _ if !matches!(request.method, Method::GET | Method::HEAD) => {
                Reply::method_not_allowed("GET, HEAD")
            }
            Route::Metrics => self.scrapes.answer(&request.headers).await,
            Route::Healthy => Reply::text(StatusCode::OK, "Healthy"),
            Route::Ready => self.readiness(),
            Route::Landing => self.landing(query).await,
            Route::Zone(id) => self.zone(id, query).await,
            Route::Docs(name) => docs::answer(name, &self.site()),
            Route::Api(resource) => self.api.answer(resource, query, Timestamp::now()).await,
            Route::Probe => self.probes.answer(query, &request.headers).await,
        }
    }

    /// Metrics at `/` take the place of the pages, all of which link there.
    fn route<'a>(&self, path: &'a str) -> Route<'a> {
        let pages = self.telemetry_path != "/";
        match path {
            "/-/healthy" => Route::Healthy,
            "/-/ready" => Route::Ready,
            "/-/reload" => Route::Reload,
            "/probe" => Route::Probe,
            _ if path == self.telemetry_path => Route::Metrics,
            "/" => Route::Landing,
            _ => {
                if let Some(resource) = path.strip_prefix("/api/v1/") {
                    Resource::named(resource).map_or(Route::Nothing, Route::Api)
                } else if let Some(id) = path.strip_prefix("/zones/").filter(|_| pages) {
                    Route::Zone(id)
                } else if let Some(name) = path.strip_prefix("/docs/").filter(|_| pages) {
                    Route::Docs(name)
                } else {
                    Route::Nothing
                }
            }
        }
    }

    fn readiness(&self) -> Reply {
        if *self.ready.borrow() {
            Reply::text(StatusCode::OK, "Ready")
        } else {
            Reply::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not ready: the first round of polls has not ended yet.",
            )
        }
    }

    fn site(&self) -> Site<'_> {
        Site {
            metrics: &self.telemetry_path,
            ready: *self.ready.borrow(),
        }
    }

    async fn landing(&self, query: &str) -> Reply {
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

    async fn zone(&self, id: &str, query: &str) -> Reply {
        let (id, query) = (id.to_owned(), zone_page::Query::parse(query));
        self.page(move |directory, site| {
            let Some(slot) = directory.zones.iter().find(|slot| slot.id.as_str() == id) else {
                return Reply::page(StatusCode::NOT_FOUND, zone_page::not_found(site));
            };
            let page = zone_page::page(slot, &query, site, Timestamp::now());
            Reply::page(StatusCode::OK, page)
        })
        .await
    }

    async fn page(
        &self,
        make: impl FnOnce(&Directory, &Site<'_>) -> Reply + Send + 'static,
    ) -> Reply {
        let (snapshot, metrics) = (self.snapshot.clone(), self.telemetry_path.clone());
        let ready = *self.ready.borrow();
        let make = move || {
            let site = Site {
                metrics: &metrics,
                ready,
            };
            make(&snapshot.directory(), &site)
        };
        self.heavy.reply(make).await
    }
}

impl Route<'_> {
    fn handler(self) -> Handler {
        match self {
            Self::Metrics => Handler::Metrics,
            Self::Healthy => Handler::Healthy,
            Self::Ready => Handler::Ready,
            Self::Reload => Handler::Reload,
            Self::Landing | Self::Zone(_) | Self::Docs(_) => Handler::Landing,
            Self::Api(_) => Handler::Api,
            Self::Probe => Handler::Probe,
            Self::Nothing => Handler::Other,
        }
    }
}
