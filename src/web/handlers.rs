//! From a request to its reply.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tracing::error;

use super::Settings;
use super::encoding::negotiate;
use super::landing::{self, Links, Query};
use super::metrics::{Handler, Metrics};
use super::reply::Reply;
use crate::exposition::{Encoding, RenderError};
use crate::snapshot::Snapshot;

/// A body in the making.
pub type Rendering = Pin<Box<dyn Future<Output = Result<Bytes, RenderError>> + Send>>;

/// Renders the metrics as of now.
pub type Render = Arc<dyn Fn(Encoding) -> Rendering + Send + Sync>;

/// What the routes show.
pub struct Handlers {
    telemetry_path: String,
    max_requests: usize,
    scrapes: Arc<Semaphore>,
    render: Render,
    snapshot: Snapshot,
    ready: watch::Receiver<bool>,
    metrics: Metrics,
}

impl Handlers {
    /// `render` makes the body of a scrape; `ready` turns true when the first round has ended.
    pub fn new(
        settings: &Settings,
        render: Render,
        snapshot: Snapshot,
        ready: watch::Receiver<bool>,
        metrics: Metrics,
    ) -> Self {
        let scrapes = match settings.max_requests {
            0 => Semaphore::MAX_PERMITS,
            limit => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            telemetry_path: settings.telemetry_path.clone(),
            max_requests: settings.max_requests,
            scrapes: Arc::new(Semaphore::new(scrapes)),
            render,
            snapshot,
            ready,
            metrics,
        }
    }

    /// Answers a request, whose body is of no interest to any route, and counts it.
    pub(super) async fn answer(&self, request: &Parts) -> Reply {
        let handler = self.route(request.uri.path());
        let reply = match handler {
            Handler::Other => Reply::text(
                StatusCode::NOT_FOUND,
                "There is nothing at this path. The page at / links to what there is.",
            ),
            _ if !matches!(request.method, Method::GET | Method::HEAD) => {
                Reply::method_not_allowed("GET, HEAD")
            }
            Handler::Metrics => self.scrape(negotiate(&request.headers)).await,
            Handler::Healthy => Reply::text(StatusCode::OK, "Healthy"),
            Handler::Ready => self.readiness(),
            Handler::Landing => self.landing(request.uri.query()),
        };
        self.metrics.count(handler, reply.status());
        reply
    }

    fn route(&self, path: &str) -> Handler {
        match path {
            "/-/healthy" => Handler::Healthy,
            "/-/ready" => Handler::Ready,
            _ if path == self.telemetry_path => Handler::Metrics,
            "/" => Handler::Landing,
            _ => Handler::Other,
        }
    }

    async fn scrape(&self, encoding: Encoding) -> Reply {
        let Ok(permit) = Arc::clone(&self.scrapes).try_acquire_owned() else {
            return Reply::text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!(
                    "{} scrapes are being served already, as many as --web.max-requests allows.",
                    self.max_requests
                ),
            );
        };
        match (self.render)(encoding).await {
            Ok(body) => Reply::metrics(body, encoding, permit),
            Err(error) => {
                error!(%error, "a scrape could not be answered");
                Reply::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The metrics could not be rendered.",
                )
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

    fn landing(&self, query: Option<&str>) -> Reply {
        let links = Links {
            metrics: &self.telemetry_path,
            ready: *self.ready.borrow(),
        };
        let query = Query::parse(query.unwrap_or_default());
        let directory = self.snapshot.directory();
        Reply::page(landing::page(&directory, &query, &links, Timestamp::now()))
    }
}
