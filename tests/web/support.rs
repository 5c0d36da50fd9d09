//! A test server, and helpers for requests to it.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::AccountStatus;
use cloudflare_origin_region_exporter::exposition::{self, BuildInfo, Exposition, WHOLE_AT_MOST};
use cloudflare_origin_region_exporter::history::{self, History};
use cloudflare_origin_region_exporter::snapshot::Snapshot;
use cloudflare_origin_region_exporter::web::{
    Accounts, Limits, LookUp, Protection, Router, Settings, Sources, bind, serve,
};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The shortened timeouts of the server.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Part of every exposition.
pub(crate) const METRICS: &str = "# TYPE up gauge\nup 1\n";

pub(crate) struct Server {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) ready: watch::Sender<bool>,
    pub(crate) snapshot: Snapshot,
    pub(crate) history: History,
    pub(crate) registry: Registry,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) struct Options {
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) metrics: UpMetric,
    pub(crate) whole_at_most: usize,
    pub(crate) accounts: Accounts,
    pub(crate) look_up: LookUp,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Settings {
                listen: vec!["127.0.0.1:0".to_owned()],
                telemetry_path: "/metrics".to_owned(),
                max_requests: 40,
                web_config_file: None,
                systemd_socket: false,
                enable_lifecycle: false,
            },
            limits: Limits::default(),
            metrics: UpMetric::default(),
            whole_at_most: WHOLE_AT_MOST,
            accounts: accounts(Vec::new()),
            look_up: Arc::new(|_| Box::pin(async { Ok(None) })),
        }
    }
}

pub(crate) fn accounts(accounts: Vec<AccountStatus>) -> Accounts {
    Arc::new(move || accounts.clone())
}

/// A metric that can be large or slow to collect.
pub(crate) struct UpMetric {
    up: IntGauge,
    collections: IntCounter,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Default for UpMetric {
    fn default() -> Self {
        Self::of_bytes(1)
    }
}

impl UpMetric {
    /// A metric with a help text of this many bytes.
    pub(crate) fn of_bytes(count: usize) -> Self {
        let up = IntGauge::new("up", "x".repeat(count)).unwrap();
        up.set(1);
        Self {
            up,
            collections: IntCounter::new("collections", "Expositions.").unwrap(),
            gate: Arc::new((Mutex::new(true), Condvar::new())),
        }
    }

    /// The number of times that the metric was collected.
    pub(crate) fn collections(&self) -> IntCounter {
        self.collections.clone()
    }

    /// A metric whose collection waits until the gate opens.
    pub(crate) fn gated() -> (Self, Gate) {
        let metric = Self::default();
        *metric.gate.0.lock().unwrap() = false;
        let gate = Gate(Arc::clone(&metric.gate));
        (metric, gate)
    }
}

impl Collector for UpMetric {
    fn desc(&self) -> Vec<&Desc> {
        self.up.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (open, opened) = &*self.gate;
        drop(
            opened
                .wait_while(open.lock().unwrap(), |open| !*open)
                .unwrap(),
        );
        self.collections.inc();
        self.up.collect()
    }
}

/// A gate that opens for good when it is dropped.
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Drop for Gate {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

fn exposition(metrics: UpMetric, whole_at_most: usize, snapshot: &Snapshot) -> Exposition {
    let registry = Registry::new();
    registry.register(Box::new(metrics)).unwrap();
    let build = BuildInfo {
        version: "",
        revision: "",
        rustc: "",
    };
    let settings = exposition::Settings {
        detail: true,
        whole_at_most,
        build,
    };
    Exposition::new(settings, snapshot.clone(), registry)
}

impl Options {
    pub(crate) async fn start(self) -> Server {
        let mut protection = Protection::load(self.settings.web_config_file.as_deref()).unwrap();
        let listeners = bind(&self.settings).await.unwrap();
        let addresses = listeners.iter().map(|socket| socket.local_addr().unwrap());
        let addresses = addresses.collect();
        let (ready, ready_seen) = watch::channel(false);
        let snapshot = Snapshot::default();
        let history = History::new(&history::Settings::default(), 1000);
        let registry = Registry::new();
        protection.register(&registry).unwrap();
        let sources = Sources {
            exposition: exposition(self.metrics, self.whole_at_most, &snapshot),
            snapshot: snapshot.clone(),
            history: history.clone(),
            ready: ready_seen,
            accounts: self.accounts,
            api_url: Arc::new(|| "https://api.example/client/v4".to_owned()),
            look_up: self.look_up,
            reload: Arc::new(|| Box::pin(async { Ok("Reloaded.".to_owned()) })),
        };
        let router = Router::new(&self.settings, sources, &registry).unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(
            listeners,
            protection,
            router,
            self.limits,
            shutdown.clone(),
        ));
        Server {
            addresses,
            ready,
            snapshot,
            history,
            registry,
            shutdown,
            task,
        }
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Options::default().start().await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addresses[0]).await.unwrap()
    }

    /// Sends bytes over a new connection and reads until the server closes it.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may reject the request before it has read everything.
        let _ = stream.write_all(request).await;
        read_to_end(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self
            .raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (status(head), body.to_owned())
    }

    pub(crate) fn expect_requests(&self, handler: &str, code: &str, count: u32) {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let line = format!(
            "cloudflare_origin_region_exporter_http_requests_total\
             {{code=\"{code}\",handler=\"{handler}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{text}");
    }
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    String::from_utf8(read_all(stream).await).unwrap()
}

/// Like `read_to_end`, for responses that may not be UTF-8.
pub(crate) async fn read_to_end_lossy(stream: &mut TcpStream) -> String {
    String::from_utf8_lossy(&read_all(stream).await).into_owned()
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset after the response is as good as a close.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection");
    answer
}

/// Reads one response with a Content-Length from a connection that stays open.
pub(crate) async fn read_response(stream: &mut TcpStream) -> (String, Vec<u8>) {
    timeout(PATIENCE, async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let length = header(&head, "content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        (head, body)
    })
    .await
    .expect("a complete response in time")
}

pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(crate) const GET_METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
