//! Servers with scripted responses, and the ranges that are read from them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{OriginIp, RangeVerdict, Vendor};
use cloudflare_origin_region_exporter::http_client::client_builder;
use cloudflare_origin_region_exporter::vendor_ranges::{
    Metrics, RangeSource, Settings, VendorRanges,
};
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const EXCERPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");

pub(crate) fn excerpt(name: &str) -> String {
    std::fs::read_to_string(format!("{EXCERPTS}/{name}.json")).unwrap()
}

/// The response to a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Sends this head and body, and adds the length of the body.
    Whole(&'static str, String),
    /// Sends an endless body.
    Endless,
    /// Sends nothing and keeps the connection open.
    Hang,
}

pub(crate) fn json(body: &str) -> Answer {
    Answer::Whole("HTTP/1.1 200 OK\r\n", body.to_owned())
}

/// A server with a response for each path. It records the heads of the requests.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::default(),
            requests: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        server
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer);
    }

    /// The heads of the requests since the last call, in lower case.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split_whitespace().nth(1).unwrap().to_owned();
        let seen = head.to_ascii_lowercase();
        self.requests.lock().unwrap().push(seen);
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let not_found = Answer::Whole("HTTP/1.1 404 Not Found\r\n", String::new());
        match answer.unwrap_or(not_found) {
            Answer::Whole(head, body) => {
                let length = body.len();
                let whole =
                    format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(whole.as_bytes()).await.unwrap();
            }
            Answer::Endless => {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                let spaces = vec![b' '; 1 << 20];
                while stream.write_all(&spaces).await.is_ok() {}
            }
            Answer::Hang => std::future::pending().await,
        }
    }
}

/// Ranges from local excerpts, except for the given sources.
pub(crate) struct Fixture {
    pub(crate) ranges: VendorRanges,
    registry: Registry,
}

impl Fixture {
    pub(crate) fn new(
        refresh: Duration,
        sources: impl IntoIterator<Item = (Vendor, RangeSource)>,
    ) -> Self {
        let mut all: BTreeMap<Vendor, RangeSource> = Vendor::KNOWN
            .into_iter()
            .map(|vendor| {
                let file = format!("{EXCERPTS}/{vendor}.json");
                (vendor, RangeSource::File(file.into()))
            })
            .collect();
        all.extend(sources);
        let settings = Settings {
            enabled: true,
            refresh,
            sources: all,
        };
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let http = client_builder(None).unwrap().no_proxy().build().unwrap();
        Self {
            ranges: VendorRanges::new(&settings, http, &metrics),
            registry,
        }
    }

    pub(crate) fn with_gcp(source: RangeSource) -> Self {
        Self::new(Duration::from_hours(24), [(Vendor::Gcp, source)])
    }

    pub(crate) fn verdict(&self, ip: &str) -> String {
        shown(self.ranges.verdict(OriginIp::parse(ip).unwrap()))
    }

    /// The value of `vendor_ranges_NAME` for a vendor; `None` if there is no series.
    pub(crate) fn metric(&self, name: &str, vendor: &str) -> Option<f64> {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let series =
            format!("cloudflare_origin_region_vendor_ranges_{name}{{vendor=\"{vendor}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series))?;
        Some(line.parse().unwrap())
    }

    pub(crate) fn up(&self, vendor: &str) -> bool {
        self.metric("up", vendor).unwrap() > 0.5
    }
}

pub(crate) fn shown(verdict: RangeVerdict) -> String {
    match verdict {
        RangeVerdict::InRegion(vendor, region) => format!("{vendor} {region}"),
        RangeVerdict::InVendor(vendor) => vendor.to_string(),
        RangeVerdict::NotInRanges => "not in ranges".to_owned(),
        RangeVerdict::Unknown => "unknown".to_owned(),
    }
}

/// A file in the format of GCP with this many prefixes.
pub(crate) fn gcp_file(prefixes: u32) -> String {
    let rows: Vec<_> = (0..prefixes)
        .map(|n| {
            format!(
                r#"{{"ipv4Prefix": "34.{}.{}.0/24", "scope": "us-west1"}}"#,
                n / 256,
                n % 256
            )
        })
        .collect();
    format!(
        r#"{{"syncToken": "1753409788780", "prefixes": [{}]}}"#,
        rows.join(",")
    )
}
