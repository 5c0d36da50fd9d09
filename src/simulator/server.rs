//! Serves a world over HTTP.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress, Status};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Failure, Outcome};
use super::call;
use super::fault::{self, Fault, FaultKind, Subject};
use super::gate::{self, Allowance, Meter};
use super::listing::Query;
use super::route::{self, BASE_PATH, Operation, Route};
use super::trick::{self, Body, Reply, Takeover};
use super::world::{RateLimit, World};
use super::zones::VisibleZones;
use crate::domain::ZoneId;

/// The number of requests to remember. The oldest are forgotten first.
const REMEMBERED_REQUESTS: usize = 100_000;
/// Larger request bodies are rejected. The largest batch has about 10 kB.
const REQUEST_BODY_LIMIT: usize = 1 << 20;
/// The pause after a failed accept, to avoid a busy loop while file descriptors are exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The largest window of deflate, which every client supports (RFC 1950, section 2.2).
const WINDOW_BITS: u8 = 15;

/// A running simulation. Clones are handles of the same one.
#[derive(Clone)]
pub struct Simulator {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    world: World,
    faults: Vec<Fault>,
    meter: Meter,
    requests: VecDeque<RecordedRequest>,
    visible: VisibleZones,
}

/// A received request, without secrets.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// When it was received.
    pub at: Instant,
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent; empty if there is none.
    pub query: String,
    /// The call; `None` if the path does not belong to the API.
    pub operation: Option<Operation>,
    /// The identifier of the zone in the path.
    pub zone: Option<String>,
    /// The identifier of the credential; `None` if it was not accepted.
    pub credential: Option<String>,
}

impl Simulator {
    /// Serves a world on a listener until the shutdown, which cuts open connections. Fails if the
    /// listener has no address.
    pub fn start(
        listener: TcpListener,
        world: World,
        shutdown: CancellationToken,
    ) -> std::io::Result<Self> {
        let state = State {
            world,
            faults: Vec::new(),
            meter: Meter::default(),
            requests: VecDeque::new(),
            visible: VisibleZones::default(),
        };
        let simulator = Self {
            address: listener.local_addr()?,
            state: Arc::new(Mutex::new(state)),
        };
        tokio::spawn(accept(simulator.clone(), listener, shutdown));
        Ok(simulator)
    }

    /// Serves a world on a free port of this host. Fails if no port is free.
    pub async fn local(world: World, shutdown: CancellationToken) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Self::start(listener, world, shutdown)
    }

    /// The base URL of the API, without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}{BASE_PATH}", self.address)
    }

    /// The URL of one of the world's files.
    pub fn file_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Changes the world atomically.
    pub fn update<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.state();
        state.visible = VisibleZones::default();
        change(&mut state.world)
    }

    /// Reads the world.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.state().world)
    }

    /// The requests so far, at most the latest 100,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.iter().cloned().collect()
    }

    /// The number of remembered requests of a call.
    pub fn count(&self, operation: Operation) -> usize {
        let state = self.state();
        let made = state.requests.iter();
        made.filter(|request| request.operation == Some(operation))
            .count()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// Makes requests fail.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Ignores poisoning: a test that panics while it holds the lock must not hide its own message.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(simulator: Simulator, listener: TcpListener, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let served = serve(simulator.clone(), stream);
                tokio::spawn(shutdown.clone().run_until_cancelled_owned(served));
            }
            Err(error) => {
                tracing::warn!(%error, "the simulation could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Takeover>> + Send>>;

async fn serve(simulator: Simulator, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return; // The client is gone already.
    }
    let service = service_fn(move |request| -> Answering {
        let simulator = simulator.clone();
        Box::pin(async move { simulator.answer(request).await })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let takeover = ended
        .as_ref()
        .err()
        .and_then(|error| error.source()?.downcast_ref::<Takeover>());
    if let Some(Takeover { bytes, reset }) = takeover {
        // The client may have closed the connection; that is not an error.
        drop(stream.write_all(bytes).await);
        if *reset {
            drop(stream.set_zero_linger());
            return;
        }
    }
    drop(stream.shutdown().await);
}

impl Simulator {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Takeover> {
        let (head, body) = request.into_parts();
        let now = Timestamp::now();
        let mut query = Query::parse(head.uri.query().unwrap_or_default());
        let found = route::find(&head.method, head.uri.path());
        let reception = {
            let mut state = self.state();
            if let Some(file) = file(&state.world, &head) {
                return Ok(file.regular());
            }
            state.receive(&head, found.as_ref().ok(), query.page())
        };
        if !reception.latency.is_zero() {
            tokio::time::sleep(reception.latency).await;
        }
        let page = query.page().unwrap_or(1);
        if let Some(FaultKind::RepeatedRows) = reception.fault {
            query.set("page", "1".to_owned());
        }
        let body = Limited::new(body, REQUEST_BODY_LIMIT).collect().await;
        let outcome = reception.credential.and_then(|credential| {
            let route = found?;
            let body = body.map_err(|_| Failure::bad_body("Request body too large or cut"))?;
            let body = body.to_bytes();
            let State { world, visible, .. } = &mut *self.state();
            let outcome = call::carry_out(world, visible, &credential, &route, &query, &body, now);
            if outcome.is_ok() && head.method != Method::GET {
                let path = head.uri.path();
                world.audit(&credential, &head.method, path, &route, &body, now);
            }
            outcome
        });
        match reception.fault {
            Some(kind) => {
                let reply = reply(reception.headers, outcome, false);
                trick::play(reply, kind, page, now).await
            }
            None => Ok(reply(reception.headers, outcome, reception.compress).regular()),
        }
    }
}

/// The facts about a request that are known before it is executed.
struct Reception {
    /// The identifier of the credential, or the response if it is rejected.
    credential: Result<String, Failure>,
    headers: HeaderMap,
    fault: Option<FaultKind>,
    latency: Duration,
    compress: bool,
}

impl State {
    /// Accepts a request: authenticates it, counts it, and finds its fault.
    fn receive(
        &mut self,
        head: &Parts,
        route: Option<&Route<'_>>,
        page: Option<usize>,
    ) -> Reception {
        let limit = self.world.rate_limit;
        let credential = gate::authenticate(&self.world, &head.headers);
        let credential = credential.map(|known| known.id.clone());
        self.record(head, route, credential.as_deref().ok());
        let allowance = match &credential {
            Ok(id) => self.meter.count(id, limit, Instant::now()),
            Err(_) => Allowance::untouched(limit),
        };
        let mut reception = Reception {
            credential,
            headers: usual_headers(limit, allowance),
            fault: None,
            latency: self.world.latency,
            compress: self.world.gzip && accepts_gzip(&head.headers),
        };
        if allowance.blocked {
            reception.credential = Err(blocked(allowance));
        } else if let Some(route) = route {
            let zone = ZoneId::parse(&route.zone).ok();
            let zone = zone.and_then(|id| self.world.zones.get(&id));
            let subject = Subject {
                operation: route.operation,
                zone_id: &route.zone,
                zone_name: zone.map_or("", |zone| zone.zone.name.as_str()),
                credential: reception.credential.as_deref().unwrap_or_default(),
                page,
            };
            reception.fault = fault::strike(&mut self.faults, &subject);
        }
        reception
    }

    fn record(&mut self, head: &Parts, route: Option<&Route<'_>>, credential: Option<&str>) {
        if self.requests.len() == REMEMBERED_REQUESTS {
            self.requests.pop_front();
        }
        let zone = route.map(|route| route.zone.to_string());
        self.requests.push_back(RecordedRequest {
            at: Instant::now(),
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            operation: route.map(|route| route.operation),
            zone: zone.filter(|id| !id.is_empty()),
            credential: credential.map(str::to_owned),
        });
    }
}

/// The response with one of the world's files, if the path is that of a file.
fn file(world: &World, head: &Parts) -> Option<Reply> {
    let file = world.files.get(head.uri.path())?;
    let mut reply = Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: file.body.to_vec(),
    };
    set(&mut reply.headers, CONTENT_TYPE, &file.content_type);
    if let Some(etag) = &file.etag {
        set(&mut reply.headers, ETAG, etag);
        let known = head.headers.get(IF_NONE_MATCH);
        if known.is_some_and(|sent| sent == etag.as_str()) {
            reply.status = StatusCode::NOT_MODIFIED;
            reply.body.clear();
        }
    }
    Some(reply)
}

/// The headers of every response of the API.
fn usual_headers(limit: RateLimit, allowance: Allowance) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let left = format!(
        "\"default\";r={};t={}",
        allowance.remaining,
        whole_seconds(allowance.reset)
    );
    let policy = format!(
        "\"default\";q={};w={}",
        limit.requests,
        whole_seconds(limit.window)
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set(&mut headers, HeaderName::from_static("ratelimit"), &left);
    set(
        &mut headers,
        HeaderName::from_static("ratelimit-policy"),
        &policy,
    );
    headers
}

/// Rounds up, so that waiting this long is always enough.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn blocked(allowance: Allowance) -> Failure {
    let mut failure = Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        971,
        "Please wait and consider throttling your request speed",
    );
    failure.retry_after = Some(whole_seconds(allowance.reset).to_string());
    failure
}

fn reply(mut headers: HeaderMap, outcome: Outcome, compress: bool) -> Reply {
    let (status, body) = match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(failure) => {
            if let Some(allow) = &failure.allow {
                set(&mut headers, ALLOW, allow);
            }
            if let Some(retry_after) = &failure.retry_after {
                set(&mut headers, RETRY_AFTER, retry_after);
            }
            (failure.status, failure.render())
        }
    };
    let body = if compress {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        compressed(&body)
    } else {
        body
    };
    Reply {
        status,
        headers,
        body,
    }
}

thread_local! {
    /// Reused: allocating its large aligned buffers for each response would fragment glibc's heap,
    /// and the memory of a demo that runs for hours would grow.
    static COMPRESSOR: RefCell<Compress> =
        RefCell::new(Compress::new_gzip(Compression::fast(), WINDOW_BITS));
}

fn compressed(body: &[u8]) -> Vec<u8> {
    // The most that deflate adds to incompressible data, and the gzip header and trailer.
    let slack = body.len() / 64 + 64;
    let mut output = Vec::with_capacity(body.len() + slack);
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        let status = compressor.compress_vec(body, &mut output, FlushCompress::Finish);
        assert_eq!(status.expect("writing into memory"), Status::StreamEnd);
    });
    output
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|codings| codings.split(',').any(|coding| coding.trim() == "gzip"))
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
