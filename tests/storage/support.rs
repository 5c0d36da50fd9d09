//! The program under test with a simulated API, in one folder across restarts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{RateLimit, Simulator, World};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const TOKEN: &str = "secret-token-of-the-tests";

/// The API, and the folder of the program.
pub(crate) struct Setup {
    pub(crate) simulator: Simulator,
    _stop: DropGuard,
    pub(crate) folder: TempDir,
    storage: PathBuf,
    config: String,
    is_unprivileged: bool,
}

impl Setup {
    /// Zones with one mapping each, and these poll settings.
    pub(crate) async fn new(zones: &[&str], poll: &str, more: &str) -> Self {
        let mut world = World {
            rate_limit: RateLimit::NONE,
            ..World::single_token(TOKEN)
        };
        for zone in zones {
            world = world.zone(zone, [("192.0.2.1", "aws", "us-east-1")]);
        }
        let shutdown = CancellationToken::new();
        let simulator = Simulator::local(world, shutdown.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "poll: {{ {poll} }}\n\
             cloudflare: {{ base_url: \"{}\", rate_limit: {{ requests: 10000 }} }}\n\
             accounts: [{{ name: main, api_token: {TOKEN} }}]\n\
             verify: {{ supported_regions: false, tiered_cache: false }}\n\
             {more}\n",
            simulator.base_url()
        );
        Self {
            simulator,
            _stop: shutdown.drop_guard(),
            storage: folder.path().join("storage"),
            folder,
            config,
            is_unprivileged: false,
        }
    }

    /// Makes the program respect file modes even if the tests run as root.
    pub(crate) fn without_privileges(mut self) -> Self {
        self.is_unprivileged = true;
        self
    }

    /// Puts the storage elsewhere.
    pub(crate) fn stored_at(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.storage);
        self
    }

    pub(crate) fn storage(&self) -> &Path {
        &self.storage
    }

    /// Replaces part of the configuration.
    pub(crate) fn configure(&mut self, from: &str, to: &str) {
        assert!(self.config.contains(from), "{}", self.config);
        self.config = self.config.replace(from, to);
    }

    fn spawn(&self, log: &Path) -> Child {
        fs::write(self.folder.path().join("config.yaml"), &self.config).unwrap();
        let program = env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter");
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let mut command = if self.is_unprivileged && is_root {
            let mut command = Command::new("setpriv");
            let without = "--bounding-set=-dac_override,-dac_read_search";
            command.arg(without).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .arg("--config.file=config.yaml")
            .arg("--web.listen-address=127.0.0.1:0")
            .arg(format!("--storage.path={}", self.storage.display()))
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Starts the program and waits until it listens.
    pub(crate) async fn start(&self) -> Life {
        let log = self.folder.path().join("log");
        let mut life = Life {
            child: self.spawn(&log),
            address: String::new(),
            log,
        };
        let start = Instant::now();
        loop {
            let text = life.log();
            if let Some((_, rest)) = text.split_once("listening address=")
                && let Some((address, _)) = rest.split_once('\n')
            {
                life.address = address.to_owned();
                return life;
            }
            let ended = life.child.try_wait().unwrap();
            assert!(ended.is_none(), "the program ended: {ended:?}\n{text}");
            assert!(start.elapsed() < PATIENCE, "nothing listens\n{text}");
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Starts the program, which must fail. Returns its exit code and log.
    pub(crate) async fn fails(&self) -> (i32, String) {
        let log = self.folder.path().join("failing");
        let mut child = self.spawn(&log);
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let code = ended.unwrap().unwrap().code().unwrap();
        (code, fs::read_to_string(log).unwrap())
    }
}

/// One run of the program.
pub(crate) struct Life {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Life {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::parse(&self.get("/metrics").await)
    }

    /// The latest changes of the history, as JSON.
    pub(crate) async fn changes(&self) -> serde_json::Value {
        let answer = self.get("/api/v1/changes?limit=1000").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Scrapes until a condition is true.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Scrape) -> bool) -> Scrape {
        let start = Instant::now();
        loop {
            let scrape = self.scrape().await;
            if condition(&scrape) {
                return scrape;
            }
            let series = &scrape.series;
            assert!(
                start.elapsed() < PATIENCE,
                "timed out waiting for {what}\n{series:#?}\n{}",
                self.log()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(TOKEN), "a secret is logged");
    }

    /// Stops it with SIGTERM, which must not take long.
    pub(crate) async fn stop(mut self) -> String {
        let pid = self.child.id().unwrap();
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
        let code = ended.unwrap().unwrap().code();
        assert_eq!(code, Some(0), "{}", self.log());
        self.log()
    }
}

/// The series of a scrape, without the common prefix of the names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape {
    pub(crate) series: BTreeMap<String, f64>,
}

impl Scrape {
    fn parse(answer: &str) -> Self {
        let lines = answer.lines().filter_map(|line| {
            let line = line.strip_prefix("cloudflare_origin_region_")?;
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self {
            series: lines.collect(),
        }
    }

    /// The sum of the series whose text contains all of these words.
    pub(crate) fn sum(&self, words: &[&str]) -> f64 {
        self.matching(words).map(|(_, value)| value).sum()
    }

    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.matching(words).next().is_some()
    }

    fn matching(&self, words: &[&str]) -> impl Iterator<Item = (&String, &f64)> {
        self.series
            .iter()
            .filter(move |(name, _)| words.iter().all(|word| name.contains(word)))
    }

    /// The mappings in this scrape.
    pub(crate) fn mappings(&self) -> Vec<&str> {
        let mappings = self.series.keys().map(String::as_str);
        mappings
            .filter(|name| name.starts_with("mapping_info"))
            .collect()
    }

    /// The counters of all zones.
    pub(crate) fn zone_counters(&self) -> impl Iterator<Item = (&str, f64)> {
        let series = self
            .series
            .iter()
            .map(|(name, value)| (name.as_str(), *value));
        series.filter(|(name, _)| {
            name.split_once('{').is_some_and(|(family, _)| {
                family.ends_with("_total") && !family.starts_with("exporter_")
            })
        })
    }
}
