//! Helpers: the program under test and the simulated API that it reads.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, Operation, RateLimit, RecordedRequest, SimulatedZone, Simulator, World,
    zone_id_of,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::scrape::Scrape;

/// The time limit of every wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The time limit of a shutdown, which may drain connections for a few seconds.
const QUICK: Duration = Duration::from_secs(5);
/// The time between two checks of a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The token of the first account. No output of the program may contain this or any other secret.
pub(crate) const TOKEN: &str = "first-secret-token-of-the-tests";
/// The token of a second account, or the replacement of the first one.
pub(crate) const OTHER_TOKEN: &str = "other-secret-token-of-the-tests";
/// The common part of all secrets.
const SECRET: &str = "-secret-token-of-the-";

/// The zone that fails or changes in most tests.
pub(crate) const BAD: &str = "bad.example";
/// The zone that never fails.
pub(crate) const GOOD: &str = "good.example";

pub(crate) const ON_BAD: &[(&str, &str)] = &[("zone", BAD)];
pub(crate) const ON_GOOD: &[(&str, &str)] = &[("zone", GOOD)];

/// Two zones with three mappings each, and no rate limit.
pub(crate) fn world() -> World {
    World {
        rate_limit: RateLimit::NONE,
        ..World::single_token(TOKEN)
    }
    .zone(GOOD, three_mappings())
    .zone(BAD, three_mappings())
}

fn three_mappings() -> [(&'static str, &'static str, &'static str); 3] {
    [
        ("192.0.2.1", "aws", "us-east-1"),
        ("192.0.2.2", "gcp", "us-central1"),
        ("2001:db8::3", "aws", "us-east-1"),
    ]
}

/// Gives a zone this many mappings, all in one region.
pub(crate) fn fill(zone: &mut SimulatedZone, mappings: usize, region: &str) {
    zone.mappings.clear();
    for number in 0..mappings {
        let ip = format!("10.0.{}.{}", number / 256, number % 256);
        zone.map(&ip, "aws", region, None);
    }
}

/// The parts of a configuration that differ between tests, as YAML.
pub(crate) struct Config {
    /// The keys under `poll`.
    pub(crate) poll: String,
    /// The keys under `cloudflare.rate_limit`.
    pub(crate) rate_limit: String,
    /// The list of accounts.
    pub(crate) accounts: String,
    /// The keys under `verify`.
    pub(crate) verify: String,
    /// Further sections.
    pub(crate) more: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            poll: "interval: 200ms, retries: 0".to_owned(),
            rate_limit: "requests: 1000000, window: 1s, share: 1".to_owned(),
            accounts: format!("[{{ name: main, api_token: {TOKEN} }}]"),
            verify: "supported_regions: false, tiered_cache: false".to_owned(),
            more: String::new(),
        }
    }
}

impl Config {
    pub(crate) fn polling(poll: &str) -> Self {
        Self {
            poll: poll.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn text(&self, base_url: &str) -> String {
        let Self {
            poll,
            rate_limit,
            accounts,
            verify,
            more,
        } = self;
        format!(
            "poll: {{ {poll} }}\n\
             cloudflare: {{ base_url: \"{base_url}\", rate_limit: {{ {rate_limit} }} }}\n\
             accounts: {accounts}\n\
             verify: {{ {verify} }}\n\
             {more}\n"
        )
    }
}

/// A simulated API for one test.
pub(crate) struct Api {
    pub(crate) simulator: Simulator,
    _stop: DropGuard,
}

impl Api {
    pub(crate) async fn start(world: World) -> Self {
        let shutdown = CancellationToken::new();
        Self {
            simulator: Simulator::local(world, shutdown.clone()).await.unwrap(),
            _stop: shutdown.drop_guard(),
        }
    }

    /// Starts the program with this API.
    pub(crate) async fn daemon(&self, config: &Config) -> Daemon {
        Daemon::start(&config.text(&self.simulator.base_url())).await
    }

    /// Lets requests for the mappings of the bad zone fail.
    pub(crate) fn fail(&self, kind: FaultKind) {
        let fault = Fault::new(kind).on(Operation::ListMappings).zone(BAD);
        self.simulator.add_fault(fault);
    }

    /// The requests for the mappings of a zone so far.
    pub(crate) fn readings(&self, zone: &str) -> Vec<RecordedRequest> {
        let id = zone_id_of(zone);
        let mut requests = self.simulator.requests();
        requests.retain(|request| {
            request.operation == Some(Operation::ListMappings)
                && request.zone.as_deref() == Some(id.as_str())
        });
        requests
    }
}

/// The longest time between two requests.
pub(crate) fn longest_gap(requests: &[RecordedRequest]) -> Duration {
    let gaps = requests.windows(2).map(|pair| pair[1].at - pair[0].at);
    gaps.max().unwrap_or_default()
}

/// The shortest time between two requests.
pub(crate) fn shortest_gap(requests: &[RecordedRequest]) -> Duration {
    let gaps = requests.windows(2).map(|pair| pair[1].at - pair[0].at);
    gaps.min().unwrap_or(Duration::MAX)
}

/// The program, in its own folder.
pub(crate) fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        // As in the deployment files, so that the memory of large bodies is returned to the system.
        .env("MALLOC_MMAP_THRESHOLD_", "1048576")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The running program.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    last: Scrape,
}

impl Daemon {
    /// Starts the program with this configuration and waits until it listens.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config).await
    }

    /// Like [`Daemon::start`], in a folder that contains files of the configuration.
    pub(crate) async fn start_in(folder: TempDir, config: &str) -> Self {
        Self::spawn(folder, config, &[], &[]).await
    }

    /// Like [`Daemon::start_in`], with additional flags.
    pub(crate) async fn start_in_with(folder: TempDir, config: &str, flags: &[&str]) -> Self {
        Self::spawn(folder, config, flags, &[]).await
    }

    /// Like [`Daemon::start`], with additional flags and environment variables.
    pub(crate) async fn start_with(
        config: &str,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::spawn(tempfile::tempdir().unwrap(), config, flags, environment).await
    }

    async fn spawn(
        folder: TempDir,
        config: &str,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        let child = Self::child(&folder, flags, environment);
        let mut daemon = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder,
            last: Scrape::default(),
        };
        daemon.address = daemon.listening().await;
        daemon
    }

    fn child(folder: &TempDir, flags: &[&str], environment: &[(&str, &str)]) -> Child {
        let arguments = [
            "--config.file=config.yaml",
            "--web.listen-address=127.0.0.1:0",
            "--log.level=trace",
        ];
        let file = |name| File::create(folder.path().join(name)).unwrap();
        program(folder.path(), &arguments)
            .args(flags)
            .envs(environment.iter().copied())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap()
    }

    async fn listening(&mut self) -> SocketAddr {
        let start = Instant::now();
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once("listening address=")
                && let Some((address, _)) = rest.split_once('\n')
            {
                return address.parse().unwrap();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the program ended: {ended:?}\n{log}");
            assert!(start.elapsed() < PATIENCE, "nothing listens\n{log}");
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// The number of log lines that contain all of these words. A separate thread writes the log,
    /// so a line may appear slightly late.
    pub(crate) fn logged(&self, words: &[&str]) -> usize {
        let log = self.log();
        let lines = log.lines();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    }

    /// Waits until a log line contains all of these words.
    pub(crate) async fn until_logged(&self, words: &[&str]) {
        self.until_logged_times(words, 1).await;
    }

    /// Waits until this many log lines contain all of these words. Panics if there are more.
    pub(crate) async fn assert_logged(&self, words: &[&str], times: usize) {
        self.until_logged_times(words, times).await;
        assert_eq!(self.logged(words), times, "{words:?}\n{}", self.log());
    }

    async fn until_logged_times(&self, words: &[&str], times: usize) {
        let start = Instant::now();
        while self.logged(words) < times {
            assert!(
                start.elapsed() < PATIENCE,
                "not logged {times} times: {words:?}\n{}",
                self.log()
            );
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The status and body of a page.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        timeout(PATIENCE, get(self.address, path))
            .await
            .unwrap_or_else(|_| panic!("no answer on {path}\n{}", self.log()))
    }

    /// Scrapes, and checks the result against the table of families, the previous counters and the
    /// secrets.
    pub(crate) async fn scrape(&mut self) -> &Scrape {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200, "{text}");
        assert!(!text.contains(SECRET), "a secret is exposed");
        let scrape = Scrape::parse(&text);
        scrape.assert_follows(&self.last);
        self.last = scrape;
        &self.last
    }

    /// The result of the last scrape.
    pub(crate) fn last(&self) -> &Scrape {
        &self.last
    }

    /// The peak memory of the process, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let pid = self.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let (_, rest) = status.split_once("VmHWM:").unwrap();
        let kibibytes: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
        kibibytes << 10
    }

    /// Scrapes until a condition is true.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        condition: impl Fn(&Scrape) -> bool,
    ) -> &Scrape {
        let start = Instant::now();
        while !condition(self.scrape().await) {
            let waited = start.elapsed();
            assert!(
                waited < PATIENCE,
                "not within {waited:?}: {what}\n{}\n{}",
                self.last.text,
                self.log()
            );
            sleep(LOOK_AGAIN).await;
        }
        &self.last
    }

    /// Scrapes until both zones of [`world`] were read.
    pub(crate) async fn until_read(&mut self) -> &Scrape {
        self.until("both zones are up", |scrape| {
            scrape.up(GOOD) == Some(true) && scrape.up(BAD) == Some(true)
        })
        .await
    }

    /// Scrapes until the good zone was polled this many more times.
    pub(crate) async fn until_polled_again(&mut self, times: f64) -> &Scrape {
        self.until_polls_of(GOOD, times).await
    }

    /// Scrapes until a zone was polled this many more times.
    pub(crate) async fn until_polls_of(&mut self, zone: &str, times: f64) -> &Scrape {
        let enough = self.scrape().await.polls(zone) + times;
        self.until("the zone is still polled", |scrape| {
            scrape.polls(zone) >= enough
        })
        .await
    }

    pub(crate) async fn until_ready(&self) {
        let start = Instant::now();
        while self.get("/-/ready").await.0 != 200 {
            assert!(start.elapsed() < PATIENCE, "not ready\n{}", self.log());
            sleep(LOOK_AGAIN).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid();
        let sent = std::process::Command::new("sh")
            .args(["-c", &format!("kill -{name} {pid}")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the exit after a signal. It must be quick, with exit code 0, and the output may
    /// contain neither a secret nor a panic.
    pub(crate) async fn ended(mut self) {
        let status = timeout(QUICK, self.child.wait()).await;
        let log = self.log();
        let status = status
            .unwrap_or_else(|_| panic!("still running\n{log}"))
            .unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        let output = fs::read_to_string(self.folder.path().join("stdout")).unwrap();
        for text in [&log, &output] {
            assert!(!text.contains(SECRET), "a secret is logged: {text}");
            assert!(!text.contains("panicked"), "{text}");
        }
    }

    /// Stops the program with a signal, runs `meanwhile`, and starts it again in the same folder
    /// with the same configuration.
    pub(crate) async fn restart(&mut self, signal: &str, flags: &[&str], meanwhile: impl FnOnce()) {
        self.signal(signal);
        let ended = timeout(QUICK, self.child.wait()).await;
        let log = self.log();
        ended
            .unwrap_or_else(|_| panic!("still running\n{log}"))
            .unwrap();
        assert!(!log.contains("panicked") && !log.contains(SECRET), "{log}");
        meanwhile();
        self.child = Self::child(&self.folder, flags, &[]);
        self.last = Scrape::default();
        self.address = self.listening().await;
    }

    /// Stops the program with SIGTERM.
    pub(crate) async fn stop(self) {
        self.signal("TERM");
        self.ended().await;
    }
}

/// The status and body of a page, over a new connection.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    request(address, "GET", path).await
}

/// The status and body of the response, with any method.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
