//! The vendors' ranges over real HTTP and from files: what is read, what is refused, what is kept.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests say what they expect by unwrapping"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::domain::{OriginIp, RangeVerdict, Vendor};
use cloudflare_origin_region_exporter::http_client::client_builder;
use cloudflare_origin_region_exporter::vendor_ranges::{
    Format, Metrics, RangeSource, RangeTable, Settings, StoredRanges, StoredRefresh, VendorRanges,
};
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Everything happens within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(20);
const EXCERPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");

fn excerpt(name: &str) -> String {
    std::fs::read_to_string(format!("{EXCERPTS}/{name}.json")).unwrap()
}

/// What the server does with a request.
#[derive(Clone)]
enum Answer {
    /// Sends head and body; the length of the body is added.
    Whole(&'static str, String),
    /// Sends an endless body.
    Endless,
    /// Sends nothing and keeps the connection open.
    Hang,
}

fn json(body: &str) -> Answer {
    Answer::Whole("HTTP/1.1 200 OK\r\n", body.to_owned())
}

/// A server that answers each path as the test says, and remembers the heads of the requests.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
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

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    fn answer(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer);
    }

    /// The heads of the requests since the last call, in lower case.
    fn take_requests(&self) -> Vec<String> {
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

/// Ranges whose vendors are all local excerpts but for the sources given.
struct Fixture {
    ranges: VendorRanges,
    registry: Registry,
}

impl Fixture {
    fn new(refresh: Duration, sources: impl IntoIterator<Item = (Vendor, RangeSource)>) -> Self {
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

    fn with_gcp(source: RangeSource) -> Self {
        Self::new(Duration::from_hours(24), [(Vendor::Gcp, source)])
    }

    fn verdict(&self, ip: &str) -> String {
        shown(self.ranges.verdict(OriginIp::parse(ip).unwrap()))
    }

    /// The value of `vendor_ranges_NAME` for a vendor; `None` where there is no series.
    fn metric(&self, name: &str, vendor: &str) -> Option<f64> {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        let series =
            format!("cloudflare_origin_region_vendor_ranges_{name}{{vendor=\"{vendor}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series))?;
        Some(line.parse().unwrap())
    }

    fn up(&self, vendor: &str) -> bool {
        self.metric("up", vendor).unwrap() > 0.5
    }
}

fn shown(verdict: RangeVerdict) -> String {
    match verdict {
        RangeVerdict::InRegion(vendor, region) => format!("{vendor} {region}"),
        RangeVerdict::InVendor(vendor) => vendor.to_string(),
        RangeVerdict::NotInRanges => "not in ranges".to_owned(),
        RangeVerdict::Unknown => "unknown".to_owned(),
    }
}

/// A file in the shape of GCP's with as many prefixes.
fn gcp_file(prefixes: u32) -> String {
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

#[tokio::test]
async fn ranges_that_are_off_know_nothing_and_have_no_metrics() {
    let settings = Settings {
        enabled: false,
        refresh: Duration::from_secs(1),
        sources: BTreeMap::new(),
    };
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let http = client_builder(None).unwrap().build().unwrap();
    let ranges = VendorRanges::new(&settings, http, &metrics);
    ranges.refresh_all_once().await;
    assert!(!ranges.is_enabled() && !ranges.all_loaded());
    let ip = OriginIp::parse("3.80.2.1").unwrap();
    assert_eq!(ranges.verdict(ip), RangeVerdict::Unknown);
    assert!(registry.gather().is_empty());
}

#[tokio::test]
async fn what_was_never_loaded_is_down_from_the_start_and_may_own_any_address() {
    let server = Server::start().await;
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    for vendor in ["aws", "azure", "gcp", "oci"] {
        assert_eq!(fixture.metric("up", vendor), Some(0.0));
        assert_eq!(fixture.metric("prefixes", vendor), None);
    }
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("aws") && fixture.up("azure") && fixture.up("oci"));
    assert!(!fixture.up("gcp") && !fixture.ranges.all_loaded());
    assert_eq!(fixture.verdict("3.80.2.129"), "aws eu-west-1");
    assert_eq!(fixture.verdict("8.8.8.8"), "unknown");
    assert_eq!(
        fixture.metric("last_success_timestamp_seconds", "gcp"),
        None
    );

    server.answer("/gcp", json(&excerpt("gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp") && fixture.ranges.all_loaded());
    assert_eq!(fixture.verdict("8.8.8.8"), "not in ranges");
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(3.0));
    let published = fixture
        .metric("published_timestamp_seconds", "gcp")
        .unwrap();
    assert!((published - 1_753_409_788.78).abs() < 0.001);
    assert_eq!(fixture.metric("published_timestamp_seconds", "azure"), None);
    assert!(
        fixture
            .metric("last_success_timestamp_seconds", "gcp")
            .unwrap()
            > 1.7e9
    );
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let head =
        "HTTP/1.1 200 OK\r\netag: \"one\"\r\nlast-modified: Fri, 25 Jul 2025 02:16:28 GMT\r\n";
    server.answer("/gcp", Answer::Whole(head, excerpt("gcp")));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    let mut changed = fixture.ranges.changed();
    fixture.ranges.refresh_all_once().await;
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    assert!(!server.take_requests()[0].contains("if-none-match"));

    let not_modified = "HTTP/1.1 304 Not Modified\r\netag: \"one\"\r\n";
    server.answer("/gcp", Answer::Whole(not_modified, String::new()));
    fixture.ranges.refresh_all_once().await;
    let requests = server.take_requests();
    assert!(
        requests[0].contains("if-none-match: \"one\""),
        "{requests:?}"
    );
    assert!(requests[0].contains("if-modified-since: fri, 25 jul 2025 02:16:28 gmt"));
    assert!(fixture.up("gcp"));
    assert!(!changed.has_changed().unwrap());
    assert_eq!(fixture.verdict("2600:1f18:c::1"), "gcp europe-west1");

    server.answer("/gcp", json(&gcp_file(7)));
    fixture.ranges.refresh_all_once().await;
    assert!(changed.has_changed().unwrap());
    assert_eq!(fixture.verdict("34.0.3.1"), "gcp us-west1");
}

/// What a fixture would store.
async fn stored(fixture: &Fixture) -> Vec<(String, StoredRanges, StoredRefresh)> {
    let refreshed = timeout(PATIENCE, fixture.ranges.refreshed()).await.unwrap();
    let stored = refreshed.into_iter().map(|refreshed| {
        let json = serde_json::to_vec(&refreshed.ranges.unwrap()).unwrap();
        let ranges = serde_json::from_slice(&json).unwrap();
        (refreshed.vendor.to_string(), ranges, refreshed.refresh)
    });
    stored.collect()
}

#[tokio::test]
async fn after_a_restart_ranges_are_in_use_at_once_and_asked_for_only_if_they_changed() {
    let server = Server::start().await;
    let head = "HTTP/1.1 200 OK\r\netag: \"v1\"\r\n\
                last-modified: Tue, 28 Apr 2026 05:00:00 GMT\r\n";
    server.answer("/cloud.json", Answer::Whole(head, gcp_file(200)));
    let source = || RangeSource::Url(server.url("/cloud.json"));
    let first = Fixture::with_gcp(source());
    first.ranges.refresh_all_once().await;
    let stored = stored(&first).await;
    assert_eq!(stored.len(), 4);
    let restart = || {
        let fixture = Fixture::with_gcp(source());
        for (vendor, ranges, refresh) in &stored {
            fixture.ranges.restore(vendor, ranges, *refresh);
        }
        fixture
    };
    let again = restart();
    assert!(again.ranges.all_loaded());
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    for name in ["up", "prefixes", "last_success_timestamp_seconds"] {
        assert!(again.metric(name, "gcp").is_some_and(|value| value > 0.5));
        assert_eq!(
            again.metric(name, "gcp"),
            first.metric(name, "gcp"),
            "{name}"
        );
    }
    assert!(first.metric("published_timestamp_seconds", "gcp") > Some(0.0));
    server.take_requests();
    let unchanged = "HTTP/1.1 304 Not Modified\r\n";
    server.answer("/cloud.json", Answer::Whole(unchanged, String::new()));
    again.ranges.refresh_all_once().await;
    let requests = server.take_requests();
    assert!(
        requests[0].contains("if-none-match: \"v1\""),
        "{requests:?}"
    );
    assert!(requests[0].contains("if-modified-since: tue, 28 apr 2026 05:00:00 gmt"));
    assert!(again.up("gcp"));
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    let refreshed = timeout(PATIENCE, again.ranges.refreshed()).await.unwrap();
    assert!(refreshed.iter().all(|refreshed| refreshed.ranges.is_none()));

    // A source that fails leaves them in use, with their time.
    server.answer(
        "/cloud.json",
        Answer::Whole("HTTP/1.1 503 Service Unavailable\r\n", String::new()),
    );
    let again = restart();
    again.ranges.refresh_all_once().await;
    assert!(!again.up("gcp") && again.up("aws"));
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    let time = "last_success_timestamp_seconds";
    assert_eq!(again.metric(time, "gcp"), first.metric(time, "gcp"));
    let refreshed = timeout(PATIENCE, again.ranges.refreshed()).await.unwrap();
    let gcp = refreshed
        .iter()
        .find(|refreshed| refreshed.vendor == Vendor::Gcp);
    assert!(!gcp.unwrap().refresh.succeeded);

    // A restart accepts a file that has shrunk, and once.
    let again = restart();
    server.answer("/cloud.json", json(&gcp_file(120)));
    again.ranges.refresh_all_once().await;
    server.answer("/cloud.json", json(&gcp_file(50)));
    again.ranges.refresh_all_once().await;
    assert_eq!(
        (again.up("gcp"), again.metric("prefixes", "gcp")),
        (false, Some(120.0))
    );
    let again = restart();
    again.ranges.refresh_all_once().await;
    assert_eq!(
        (again.up("gcp"), again.metric("prefixes", "gcp")),
        (true, Some(50.0))
    );
}

#[tokio::test]
async fn ranges_of_another_source_are_not_taken_over() {
    let server = Server::start().await;
    server.answer("/cloud.json", json(&gcp_file(200)));
    let old = Fixture::with_gcp(RangeSource::Url(server.url("/cloud.json")));
    old.ranges.refresh_all_once().await;
    let new = Fixture::with_gcp(RangeSource::Url(server.url("/other.json")));
    new.ranges.take_over(&old.ranges);
    assert!(new.up("aws") && !new.up("gcp"));
    assert_eq!(new.metric("prefixes", "gcp"), None);
    assert!(!new.ranges.all_loaded());
    let same = Fixture::with_gcp(RangeSource::Url(server.url("/cloud.json")));
    same.ranges.take_over(&old.ranges);
    assert!(same.ranges.all_loaded());
    assert_eq!(same.verdict("34.0.1.1"), "gcp us-west1");
    let restored = Fixture::with_gcp(RangeSource::Url(server.url("/other.json")));
    for (vendor, ranges, refresh) in stored(&old).await {
        restored.ranges.restore(&vendor, &ranges, refresh);
    }
    assert!(restored.up("aws") && !restored.ranges.all_loaded());
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_an_error() {
    let server = Server::start().await;
    server.answer(
        "/gcp",
        Answer::Whole("HTTP/1.1 304 Not Modified\r\n", String::new()),
    );
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp"));
}

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_prefixes_stay_and_their_age_shows() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(200)));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    let loaded_at = fixture.metric("last_success_timestamp_seconds", "gcp");

    for (what, answer) in [
        (
            "HTML",
            json("<!doctype html><html>Log in to this network</html>"),
        ),
        ("nothing", json("")),
        ("no prefix", json(r#"{"prefixes": []}"#)),
        ("less than half", json(&gcp_file(99))),
        ("another vendor's file", json(&excerpt("oci"))),
        (
            "an error",
            Answer::Whole("HTTP/1.1 500 Oops\r\n", String::new()),
        ),
        ("no end", Answer::Endless),
    ] {
        server.answer("/gcp", answer);
        fixture.ranges.refresh_all_once().await;
        assert!(!fixture.up("gcp"), "{what}");
        assert_eq!(fixture.verdict("34.0.199.1"), "gcp us-west1", "{what}");
        assert_eq!(fixture.metric("prefixes", "gcp"), Some(200.0), "{what}");
        assert_eq!(
            fixture.metric("last_success_timestamp_seconds", "gcp"),
            loaded_at,
            "{what}"
        );
        assert!(fixture.up("aws") && fixture.ranges.all_loaded(), "{what}");
    }

    server.answer("/gcp", json(&gcp_file(100)));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(100.0));
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(3)));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));

    server.answer("/gcp", Answer::Hang);
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    fixture.ranges.refresh_all_once().await;
    assert!(start.elapsed() <= Duration::from_secs(61));
    assert!(!fixture.up("gcp"));
    assert_eq!(fixture.verdict("34.0.2.1"), "gcp us-west1");
}

#[tokio::test]
async fn a_file_that_has_moved_is_found_and_a_loop_is_not_followed() {
    let server = Server::start().await;
    server.answer(
        "/gcp",
        Answer::Whole("HTTP/1.1 301 Moved\r\nlocation: /a\r\n", String::new()),
    );
    server.answer(
        "/a",
        Answer::Whole("HTTP/1.1 302 Found\r\nlocation: /b\r\n", String::new()),
    );
    server.answer("/b", json(&excerpt("gcp")));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));

    for head in [
        "HTTP/1.1 302 Found\r\nlocation: /b\r\n",
        "HTTP/1.1 302 Found\r\n",
        "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n",
    ] {
        server.take_requests();
        server.answer("/b", Answer::Whole(head, String::new()));
        fixture.ranges.refresh_all_once().await;
        assert!(!fixture.up("gcp"), "{head}");
        assert!(server.take_requests().len() <= 4, "{head}");
    }
}

#[tokio::test]
async fn azures_file_is_found_on_its_download_page() {
    let server = Server::start().await;
    let page = |date: &str| {
        let file = server.url(&format!("/files/ServiceTags_Public_{date}.json"));
        json(&format!(
            "<html><a class=\"x\" href=\"{file}\">Download</a></html>"
        ))
    };
    let etag = "HTTP/1.1 200 OK\r\netag: \"one\"\r\n";
    server.answer("/page", page("20251027"));
    server.answer(
        "/files/ServiceTags_Public_20251027.json",
        Answer::Whole(etag, excerpt("azure")),
    );
    let source = RangeSource::DownloadPage(server.url("/page"));
    let fixture = Fixture::new(Duration::from_hours(24), [(Vendor::Azure, source)]);
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("azure"));
    assert_eq!(fixture.verdict("2600:1f18:b::1"), "azure francecentral");

    // The validators of one file say nothing of another.
    server.answer("/page", page("20251103"));
    server.answer(
        "/files/ServiceTags_Public_20251103.json",
        json(&excerpt("azure")),
    );
    server.take_requests();
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("azure"));
    let requests = server.take_requests();
    assert!(requests[1].starts_with("get /files/servicetags_public_20251103.json"));
    assert!(!requests[1].contains("if-none-match"));

    server.answer("/page", json("<html>Redesigned</html>"));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("azure"));
    assert_eq!(fixture.verdict("2600:1f18:b::1"), "azure francecentral");
}

#[tokio::test]
async fn a_local_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gcp.json");
    let fixture = Fixture::with_gcp(RangeSource::File(path.clone()));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp"));

    std::fs::write(&path, gcp_file(1)).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    let mut changed = fixture.ranges.changed();
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp") && !changed.has_changed().unwrap());

    std::fs::write(&path, gcp_file(2)).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert!(changed.has_changed().unwrap());
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(2.0));
    changed.mark_unchanged();

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp") && !changed.has_changed().unwrap());
    assert_eq!(fixture.verdict("34.0.1.1"), "gcp us-west1");
}

#[tokio::test]
async fn each_vendor_is_refreshed_again_and_again_until_the_shutdown() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(1)));
    let sources = [(Vendor::Gcp, RangeSource::Url(server.url("/gcp")))];
    let fixture = Fixture::new(Duration::from_millis(20), sources);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(fixture.ranges.clone().run(shutdown.clone()));
    let mut changed = fixture.ranges.changed();
    let rounds = async {
        while server.requests.lock().unwrap().len() < 3 {
            changed.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(30), rounds).await.unwrap();
    assert!(fixture.ranges.all_loaded());
    shutdown.cancel();
    running.await.unwrap();
}

/// The published files themselves, which are too large to be kept here. They are read from the
/// directory that `EXPORTER_RANGE_FILES` names.
#[test]
fn the_published_files_are_read_whole() {
    let Some(directory) = std::env::var_os("EXPORTER_RANGE_FILES") else {
        eprintln!(
            "NOT RUN: set EXPORTER_RANGE_FILES to a directory with aws-ip-ranges.json, \
             azure-service-tags.json, gcp-cloud.json and oci-public-ip-ranges.json"
        );
        return;
    };
    let mut table = RangeTable::default();
    let mut memory = 0;
    for (format, file, at_least) in [
        (Format::Aws, "aws-ip-ranges.json", 8_000),
        (Format::Azure, "azure-service-tags.json", 12_000),
        (Format::Gcp, "gcp-cloud.json", 700),
        (Format::Oci, "oci-public-ip-ranges.json", 800),
    ] {
        let bytes = std::fs::read(Path::new(&directory).join(file)).unwrap();
        let start = Instant::now();
        let loaded = Arc::new(format.parse(&bytes).unwrap());
        println!(
            "{file}: {} prefixes, {} bytes, published {:?}, parsed in {:?}",
            loaded.len(),
            loaded.memory(),
            loaded.published(),
            start.elapsed()
        );
        assert!(loaded.len() >= at_least, "{file}");
        assert_eq!(loaded.rejected(), 0, "{file}");
        memory += loaded.memory();
        table = table.with(format, loaded);
    }
    println!("the table of all four takes {memory} bytes");
    assert!(memory < 10 << 20);
    assert!(table.is_complete());
    let edges = edge_prefixes(Path::new(&directory));
    let total = edges.len();
    let regional = edges.into_iter().filter(|(vendor, prefix)| {
        let address = prefix.split('/').next().unwrap();
        shown(table.verdict(OriginIp::parse(address).unwrap())) != *vendor
    });
    // A few blocks of CloudFront begin with a part that EC2 uses in a region.
    let regional: Vec<_> = regional.collect();
    assert!(regional.len() * 20 < total, "{regional:?} of {total}");
    for (ip, expected) in KNOWN_ADDRESSES {
        let verdict = table.verdict(OriginIp::parse(ip).unwrap());
        assert_eq!(shown(verdict), expected, "{ip}");
    }
}

/// The prefixes of edge services in the published files of AWS and Azure.
fn edge_prefixes(directory: &Path) -> Vec<(&'static str, String)> {
    let read = |file| -> serde_json::Value {
        let text = std::fs::read_to_string(directory.join(file)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (aws, azure) = (read("aws-ip-ranges.json"), read("azure-service-tags.json"));
    let mut prefixes = Vec::new();
    for (list, key) in [("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")] {
        let rows = aws[list].as_array().unwrap().iter();
        let is_edge = |row: &&serde_json::Value| {
            row["service"] == "GLOBALACCELERATOR" || row["service"] == "CLOUDFRONT"
        };
        prefixes.extend(rows.filter(is_edge).map(|row| ("aws", text(&row[key]))));
    }
    assert!(prefixes.len() > 300, "{}", prefixes.len());
    let tags = azure["values"].as_array().unwrap().iter();
    for tag in tags.filter(|tag| {
        tag["name"] == "AzureFrontDoor.Frontend" || tag["name"] == "AzureTrafficManager"
    }) {
        let list = tag["properties"]["addressPrefixes"].as_array().unwrap();
        prefixes.extend(list.iter().map(|prefix| ("azure", text(prefix))));
    }
    prefixes
}

/// Addresses of the files of summer 2025 and 2026, with nested prefixes and regions that Azure spells
/// in its own way among them.
const KNOWN_ADDRESSES: [(&str, &str); 20] = [
    ("3.5.140.1", "aws ap-northeast-2"),
    ("::ffff:3.5.140.1", "aws ap-northeast-2"),
    ("52.94.76.1", "aws us-west-2"),
    ("64.252.81.1", "aws sa-east-1"),
    ("13.32.0.1", "aws"),
    ("2600:f0f0:2::1", "aws us-east-1"),
    ("4.175.0.1", "azure westeurope"),
    ("2603:1020:200::1", "azure westeurope"),
    ("4.176.0.1", "azure francecentral"),
    ("2603:1020:c00::1", "azure germanywestcentral"),
    ("4.238.0.1", "azure brazilsoutheast"),
    ("9.205.0.1", "azure"),
    ("8.34.210.1", "gcp us-central1"),
    ("2600:1900:4010::1", "gcp europe-west1"),
    ("34.8.0.1", "gcp"),
    ("129.80.0.1", "oci us-ashburn-1"),
    ("79.76.96.1", "oci eu-frankfurt-1"),
    ("192.0.2.1", "not in ranges"),
    ("1.1.1.1", "not in ranges"),
    ("2001:db8::1", "not in ranges"),
];
