//! Maps paths to handlers.

use std::sync::Arc;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use prometheus::{IntCounterVec, Registry};

use super::Settings;
use super::api::{self, Resource};
use super::cross_site::is_cross_site;
use super::pages::{self, Page};
use super::probe::Probes;
use super::protection::InForce;
use super::quota::Quota;
use super::reload;
use super::render_pool::RenderPool;
use super::reply::Reply;
use super::scrape::Scrapes;
use super::server::{Connection, Peer};
use super::sources::Sources;
use crate::metric_families::HTTP_REQUESTS;

/// Routes and answers requests.
pub struct Router {
    telemetry_path: String,
    scrapes: Scrapes,
    pool: RenderPool,
    answers: Quota,
    pages: Quota,
    probes: Probes,
    enable_lifecycle: bool,
    sources: Arc<Sources>,
    requests: IntCounterVec,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Metrics,
    Healthy,
    Ready,
    Reload,
    Page(Page),
    Api(Resource),
    Probe,
    NotFound,
}

impl Router {
    /// A router over `sources`. Fails if its counter is already registered.
    pub fn new(
        settings: &Settings,
        sources: Sources,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            telemetry_path: settings.telemetry_path.clone(),
            scrapes: Scrapes::new(sources.exposition.clone(), settings.max_requests),
            pool: RenderPool::new(),
            answers: Quota::new(api::MAX_ANSWERS),
            pages: Quota::new(pages::MAX_PAGES),
            probes: Probes::default(),
            enable_lifecycle: settings.enable_lifecycle,
            sources: Arc::new(sources),
            requests: HTTP_REQUESTS.register(registry)?,
        })
    }

    /// Answers and counts a request; no route reads request bodies. Health and readiness need no
    /// password, ignore the rate limit and are served on reserved places: monitors of this process
    /// have no password and must not be turned away because of other clients.
    pub(super) async fn answer(
        &self,
        request: &Parts,
        client: &Connection,
        protection: &InForce,
    ) -> Reply {
        let route = self.route(request.uri.path());
        let handler = route.handler();
        let refusal = match route {
            Route::Healthy | Route::Ready => None,
            _ if client.reserved => Some(Reply::unavailable(
                "All places for connections are taken. Try again.",
            )),
            _ => protection.refusal(&request.headers, client.peer).await,
        };
        let reply = match refusal {
            Some(refusal) => refusal,
            None => self.reply(route, request, client.peer).await,
        };
        let status = reply.status();
        let counter = self.requests.with_label_values(&[handler, status.as_str()]);
        counter.inc();
        reply
    }

    async fn reply(&self, route: Route, request: &Parts, peer: Peer) -> Reply {
        let query = request.uri.query().unwrap_or_default();
        match route {
            Route::NotFound => Reply::text(
                StatusCode::NOT_FOUND,
                "Nothing is served at this path. The page at / links to everything.",
            ),
            Route::Reload | Route::Probe if is_cross_site(request) => Reply::text(
                StatusCode::FORBIDDEN,
                "A page of another site sent this request; this path does not answer those.",
            ),
            Route::Reload => {
                let reload = self.enable_lifecycle.then_some(&self.sources.reload);
                reload::answer(reload, &request.method).await
            }
            _ if !matches!(request.method, Method::GET | Method::HEAD) => {
                Reply::method_not_allowed("GET, HEAD")
            }
            Route::Metrics => self.scrapes.answer(&request.headers).await,
            Route::Healthy => Reply::text(StatusCode::OK, "Healthy"),
            Route::Ready if *self.sources.ready.borrow() => Reply::text(StatusCode::OK, "Ready"),
            Route::Ready => {
                Reply::unavailable("Not ready: the first round of polls has not ended yet.")
            }
            Route::Page(page) => {
                let (sources, metrics) = (Arc::clone(&self.sources), self.telemetry_path.clone());
                let query = query.to_owned();
                let render = move || pages::render(&page, &query, &sources, &metrics);
                let reply = self.pool.reply(&self.pages, render).await;
                reply.unwrap_or_else(|| {
                    Reply::unavailable("Too many pages are being read. Try again.")
                })
            }
            Route::Api(resource) => {
                let query = match resource.query(query) {
                    Ok(query) => query,
                    Err(error) => return api::invalid(&error),
                };
                let sources = Arc::clone(&self.sources);
                let list = move || api::list(&sources, resource, &query, Timestamp::now());
                let reply = self.pool.reply(&self.answers, list).await;
                reply.unwrap_or_else(api::busy)
            }
            Route::Probe => {
                let headers = &request.headers;
                self.probes
                    .answer(query, headers, peer, &self.sources)
                    .await
            }
        }
    }

    /// If the metrics are at `/`, there are no pages, because they all link to `/`.
    fn route(&self, path: &str) -> Route {
        match path {
            "/-/healthy" => Route::Healthy,
            "/-/ready" => Route::Ready,
            "/-/reload" => Route::Reload,
            "/probe" => Route::Probe,
            _ if path == self.telemetry_path => Route::Metrics,
            _ => {
                let page = Page::at(path).filter(|_| self.telemetry_path != "/");
                let resource = || Resource::parse(path.strip_prefix("/api/v1/")?);
                page.map(Route::Page)
                    .or_else(|| resource().map(Route::Api))
                    .unwrap_or(Route::NotFound)
            }
        }
    }
}

impl Route {
    /// The value of the label `handler`.
    fn handler(&self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Page(_) => "landing",
            Self::Api(_) => "api",
            Self::Probe => "probe",
            Self::NotFound => "other",
        }
    }
}
