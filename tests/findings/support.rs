//! The real exporter against a simulated API, and its parsed exposition.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation, Simulator, World};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The poll interval.
pub(crate) const INTERVAL: Duration = Duration::from_millis(300);
const TOKEN: &str = "secret-token-of-the-findings";

/// The optional calls, which are made besides listing mappings.
pub(crate) const OPTIONAL: [Operation; 6] = [
    Operation::SupportedRegions,
    Operation::DnsRecords,
    Operation::LoadBalancers,
    Operation::LoadBalancerPools,
    Operation::TieredCache,
    Operation::SmartTieredCache,
];

/// A world with a token that has all permissions, and no rate limit.
pub(crate) fn world() -> World {
    let mut world = World::single_token(TOKEN);
    world.rate_limit.requests = 1_000_000;
    world
}

pub(crate) async fn simulate(world: World) -> (Simulator, DropGuard) {
    let shutdown = CancellationToken::new();
    let api = Simulator::local(world, shutdown.clone()).await.unwrap();
    (api, shutdown.drop_guard())
}

/// Makes a call fail for every zone, forever.
pub(crate) fn break_call(api: &Simulator, operation: Operation, kind: FaultKind) {
    api.add_fault(Fault::new(kind).on(operation));
}

/// A running exporter. It is killed on drop.
pub(crate) struct Exporter {
    _process: Child,
    address: String,
    log: Arc<Mutex<String>>,
    _folder: TempDir,
}

impl Exporter {
    /// Starts it with `more` added to the default configuration, and waits until it listens.
    pub(crate) async fn start(api: &Simulator, more: &str) -> Self {
        Self::polling(api, "interval: 300ms, discovery_interval: 500ms", more).await
    }

    /// Like [`Self::start`], with other poll settings.
    pub(crate) async fn polling(api: &Simulator, poll: &str, more: &str) -> Self {
        Self::with(api, poll, "", &[], more).await
    }

    /// Like [`Self::start`], with a zone filter.
    pub(crate) async fn start_filtered(api: &Simulator, filter: &str, more: &str) -> Self {
        let poll = "interval: 300ms, discovery_interval: 500ms";
        let zones = format!(", zones: {{ {filter} }}");
        Self::with(api, poll, &zones, &[], more).await
    }

    /// Like [`Self::start`], with additional flags.
    pub(crate) async fn start_with_flags(api: &Simulator, flags: &[&str], more: &str) -> Self {
        let poll = "interval: 300ms, discovery_interval: 500ms";
        Self::with(api, poll, "", flags, more).await
    }

    async fn with(api: &Simulator, poll: &str, zones: &str, flags: &[&str], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("exporter.yaml");
        let usual = format!(
            "poll: {{ {poll} }}\n\
             cloudflare:\n\
             \x20 base_url: \"{}\"\n\
             \x20 rate_limit: {{ requests: 1000000, share: 1 }}\n\
             accounts: [{{ name: main, api_token: {TOKEN}{zones} }}]\n",
            api.base_url()
        );
        fs::write(&file, usual + more).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"))
            .arg("--config.file")
            .arg(&file)
            .args(["--web.listen-address", "127.0.0.1:0"])
            .args(flags)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut exporter = Self {
            _process: process,
            address: String::new(),
            log,
            _folder: folder,
        };
        exporter
            .until_logged("listening", |log| {
                let (_, rest) = log.split_once("message=listening address=")?;
                Some(rest.split_whitespace().next()?.to_owned())
            })
            .await
            .clone_into(&mut exporter.address);
        exporter
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The log lines that contain all of these words.
    pub(crate) fn log_lines(&self, words: &[&str]) -> Vec<String> {
        let log = self.log();
        let lines = log.lines();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until a log line contains all of these words.
    pub(crate) async fn logs(&self, words: &[&str]) {
        self.until_logged(&format!("{words:?}"), |_| {
            self.log_lines(words).first().cloned()
        })
        .await;
    }

    async fn until_logged(&self, what: &str, find: impl Fn(&str) -> Option<String>) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if let Some(found) = find(&log) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} in\n{log}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The status and the body of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.address).await.unwrap();
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(PATIENCE, exchange)
            .await
            .expect("a response in time");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    pub(crate) async fn scrape(&self) -> Exposition {
        let (status, body) = self.get("/metrics").await;
        assert_eq!(status, 200);
        Exposition::parse(&body)
    }

    /// Scrapes until a condition is true.
    pub(crate) async fn until(
        &self,
        what: &str,
        condition: impl Fn(&Exposition) -> bool,
    ) -> Exposition {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let exposition = self.scrape().await;
            if condition(&exposition) {
                return exposition;
            }
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {what}\n{}\n{}",
                exposition.ours(),
                self.log()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every zone was polled this many more times.
    pub(crate) async fn polls(&self, more: u32) {
        let polls = |exposition: &Exposition| {
            let samples = exposition.samples.iter();
            let polls = samples.filter(|sample| sample.is("zone_polls_total"));
            polls.map(|sample| sample.value).fold(f64::MAX, f64::min)
        };
        let known = |exposition: &Exposition| polls(exposition) < f64::MAX;
        let goal = polls(&self.until("zones", known).await) + f64::from(more);
        self.until("more polls", |exposition| polls(exposition) >= goal)
            .await;
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Whether it belongs to this family, whose name is given without the common prefix.
    fn is(&self, family: &str) -> bool {
        self.name.strip_prefix("cloudflare_origin_region_") == Some(family)
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        let mut labels = labels.iter();
        labels.all(|(name, value)| self.labels.get(*name).is_some_and(|has| has == value))
    }

    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, inner) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        // No name in these tests contains a quote.
        let labels = inner.split("\",").filter(|pair| !pair.is_empty());
        let labels = labels.map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value: value.parse().unwrap(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Exposition {
    samples: Vec<Sample>,
}

impl Exposition {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            samples: lines.map(Sample::parse).collect(),
        }
    }

    /// The value of the only series of a family with these labels.
    pub(crate) fn value(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self
            .samples
            .iter()
            .filter(|s| s.is(family) && s.has(labels));
        let first = found.next()?;
        assert!(
            found.next().is_none(),
            "several series of {family} {labels:?}"
        );
        Some(first.value)
    }

    /// The value of the only series of a zone in a family.
    pub(crate) fn of(&self, zone: &str, family: &str) -> Option<f64> {
        self.value(family, &[("zone", zone)])
    }

    /// The values of these labels in all series of a family, sorted.
    pub(crate) fn rows(&self, family: &str, labels: &[&str]) -> Vec<String> {
        let rows = self.samples.iter().filter(|sample| sample.is(family));
        let mut rows: Vec<String> = rows
            .map(|sample| {
                let values = labels.iter().map(|label| sample.labels[*label].as_str());
                values.collect::<Vec<_>>().join(" ")
            })
            .collect();
        rows.sort();
        rows
    }

    /// The reasons of the failed attempts of a call.
    pub(crate) fn errors(&self, operation: &str) -> Vec<String> {
        let family = "exporter_api_errors_total";
        let samples = self.samples.iter().filter(|sample| sample.is(family));
        let failed = samples.filter(|s| s.has(&[("operation", operation)]) && s.value > 0.0);
        failed
            .map(|sample| sample.labels["reason"].clone())
            .collect()
    }

    fn ours(&self) -> String {
        let samples = self.samples.iter();
        let ours = samples.filter(|sample| sample.name.starts_with("cloudflare"));
        let lines: Vec<_> = ours.map(|sample| format!("{sample:?}")).collect();
        lines.join("\n")
    }
}
