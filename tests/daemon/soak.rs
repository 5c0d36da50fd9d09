//! A compressed week: seven days of random faults, of zones that appear and disappear, of reloads
//! and of scrapes. Each day ends with a calm phase in which everything must match the API. The
//! memory, files and threads of the program must not grow from day to day.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::metric_families;
use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, Operation, RateLimit, SimulatedZone, World,
};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::scrape::Scrape;
use crate::soak_faults;
use crate::support::{Api, Config, Daemon, OTHER_TOKEN, TOKEN, get};

/// The duration of the week in seconds.
pub(crate) const SECONDS: &str = "EXPORTER_SOAK_SECONDS";
/// The seed, for repeating a run.
pub(crate) const SEED: &str = "EXPORTER_SOAK_SEED";
pub(crate) const DEFAULT_SECONDS: u64 = 20;
pub(crate) const DAYS: u32 = 7;
/// The time between two events.
pub(crate) const STEP: Duration = Duration::from_millis(100);
/// The time between two comparisons in the calm phase. A full comparison is expensive.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Long enough for a few polls of every zone.
const WARM_UP: Duration = Duration::from_secs(3);
/// The limit for the calm phase, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

const FIRST: &str = "0123456789abcdef0123456789abcdef";
const SECOND: &str = "fedcba9876543210fedcba9876543210";
const MOST_ZONES: usize = 40;
const FEWEST_ZONES: usize = 10;
const MOST_MAPPINGS: usize = 250;

/// How much memory may grow above the maximum of the first three days: two of the largest response
/// bodies.
const MORE_MEMORY: f64 = 32e6;
/// Connections to the API and from clients, which open and close.
const MORE_FILES: f64 = 16.0;
/// Threads for bodies and pages, which exit a few seconds after their last task: one for each
/// client, and one for the reload.
const MORE_THREADS: f64 = 5.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as requested; run by scripts/soak"]
async fn a_week_leaves_nothing_behind() {
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    let week = Duration::from_secs(variable(SECONDS).unwrap_or(DEFAULT_SECONDS));
    println!("{SEED}={seed} {SECONDS}={}", week.as_secs());
    let mut soak = Soak::start(seed, &Config::default().rate_limit, &[]).await;
    let stop = CancellationToken::new();
    soak.warm_up().await;
    let mut clients = clients(soak.daemon.address, &stop);
    let mut days = Vec::new();
    for day in 1..=DAYS {
        soak.live_through(week / DAYS).await;
        let end = soak.calm().await;
        println!("day {day}: {end:?}");
        days.push(end);
    }
    stop.cancel();
    while let Some(scrapes) = clients.join_next().await {
        println!("{} requests of a client", scrapes.unwrap());
    }
    println!(
        "{:?}, {} requests",
        soak.done,
        soak.api.simulator.requests().len()
    );
    assert_no_growth(&days);
    soak.daemon.stop().await;
}

pub(crate) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The resources of the program at the end of a day.
#[derive(Debug)]
#[expect(dead_code, reason = "some fields are only printed")]
pub(crate) struct Held {
    memory: f64,
    files: f64,
    threads: f64,
    zones: usize,
    mappings: usize,
    polls: f64,
    failed: f64,
    to_calm: Duration,
}

fn assert_no_growth(days: &[Held]) {
    let (early, late) = days.split_at(3);
    let most = |days: &[Held], held: fn(&Held) -> f64| days.iter().map(held).fold(0.0, f64::max);
    for (name, held, more) in [
        (
            "memory",
            (|day| day.memory) as fn(&Held) -> f64,
            MORE_MEMORY,
        ),
        ("files", |day| day.files, MORE_FILES),
        ("threads", |day| day.threads, MORE_THREADS),
    ] {
        let (early, late) = (most(early, held), most(late, held));
        assert!(late <= early + more, "{name} grew from {early} to {late}");
    }
}

/// How often each event happened.
#[derive(Debug, Default)]
pub(crate) struct Done {
    zones_added: usize,
    zones_removed: usize,
    zones_changed: usize,
    faults: usize,
    reloads: usize,
    bad_reloads: usize,
}

pub(crate) struct Soak {
    pub(crate) api: Api,
    pub(crate) daemon: Daemon,
    pub(crate) random: Rng,
    /// The number of the last zone. Numbers are never reused, so that no counter restarts.
    number: usize,
    /// The configured name of the second account. It gets a new name whenever it is added again.
    second_account: Option<String>,
    /// The keys under `cloudflare.rate_limit`.
    rate_limit: String,
    pub(crate) always_shows_detail: bool,
    pub(crate) done: Done,
}

impl Soak {
    /// Starts with these keys under `cloudflare.rate_limit`, and with these flags.
    pub(crate) async fn start(seed: u64, rate_limit: &str, flags: &[&str]) -> Self {
        let user = |id, token, account| Credential::user_token(id, token).only_accounts([account]);
        let mut world = World::empty()
            .account(FIRST, "First")
            .account(SECOND, "Second")
            .credential(user("token-1", TOKEN, FIRST))
            .credential(user("token-2", OTHER_TOKEN, SECOND));
        world.rate_limit = RateLimit::NONE;
        let api = Api::start(world).await;
        let config = Config {
            rate_limit: rate_limit.to_owned(),
            ..Config::default()
        };
        let config = config.text(&api.simulator.base_url());
        let daemon = Daemon::start_with(&config, flags, &[]).await;
        Self {
            api,
            daemon,
            random: Rng::with_seed(seed),
            number: 0,
            second_account: None,
            rate_limit: rate_limit.to_owned(),
            always_shows_detail: false,
            done: Done::default(),
        }
    }

    /// Lets the program read as many large bodies as possible at once.
    async fn warm_up(&mut self) {
        for _ in 0..MOST_ZONES / 2 {
            self.add_zone(FIRST);
            self.add_zone(SECOND);
        }
        self.second_account = Some("second".to_owned());
        self.configure(true, true);
        self.daemon.signal("HUP");
        self.calm().await;
        let fault = Fault::new(FaultKind::GzipBomb(20 << 20));
        self.api
            .simulator
            .add_fault(fault.on(Operation::ListMappings));
        sleep(WARM_UP).await;
        self.calm().await;
    }

    async fn live_through(&mut self, day: Duration) {
        let start = Instant::now();
        while start.elapsed() < day {
            self.step();
            sleep(STEP).await;
        }
    }

    /// Runs one random event.
    pub(crate) fn step(&mut self) {
        match self.random.u32(..12) {
            0..=2 => self.add_zones(),
            3 => self.remove_zones(),
            4..=6 => self.change_a_zone(),
            7..=9 => self.add_fault(),
            10 => self.api.simulator.clear_faults(),
            _ => self.reload(),
        }
    }

    fn zone_names(&self) -> Vec<String> {
        self.api.simulator.look(|world| {
            let zones = world.zones.values();
            zones.map(|zone| zone.zone.name.to_string()).collect()
        })
    }

    fn add_zones(&mut self) {
        let room = MOST_ZONES.saturating_sub(self.zone_names().len());
        for _ in 0..self.random.usize(..10).min(room) {
            let account = if self.random.bool() { FIRST } else { SECOND };
            self.add_zone(account);
        }
    }

    fn add_zone(&mut self, account: &str) {
        self.number += 1;
        let name = format!("zone-{}.example", self.number);
        let mut zone = SimulatedZone::new(&name, account);
        zone.record("A", &name, "3.80.2.200", true);
        self.map_anew(&mut zone);
        let id = zone.zone.id.clone();
        self.api
            .simulator
            .update(|world| world.zones.insert(id, zone));
        self.done.zones_added += 1;
    }

    fn map_anew(&mut self, zone: &mut SimulatedZone) {
        zone.mappings.clear();
        for _ in 0..self.random.usize(..MOST_MAPPINGS) {
            let ip = format!("10.0.{}.{}", self.random.u8(..2), self.random.u8(..));
            let region = ["us-east-1", "eu-west-1", "nowhere"][self.random.usize(..3)];
            zone.map(
                &ip,
                "aws",
                region,
                Some("2026-01-01T00:00:00Z".parse().unwrap()),
            );
        }
    }

    /// Removes a random number of zones, but keeps a minimum.
    fn remove_zones(&mut self) {
        let mut names = self.zone_names();
        self.random.shuffle(&mut names);
        let spare = names.len().saturating_sub(FEWEST_ZONES);
        for name in names.iter().take(self.random.usize(..=spare)) {
            self.api.simulator.update(|world| world.remove_zone(name));
            self.done.zones_removed += 1;
        }
    }

    fn change_a_zone(&mut self) {
        let names = self.zone_names();
        if let Some(name) = self.random.choice(&names) {
            let mut zone = self.api.simulator.update(|w| w.zone_mut(name).clone());
            self.map_anew(&mut zone);
            self.api
                .simulator
                .update(|world| *world.zone_mut(name) = zone);
            self.done.zones_changed += 1;
        }
    }

    fn add_fault(&mut self) {
        let fault = soak_faults::fault(&mut self.random);
        self.api.simulator.add_fault(fault);
        self.done.faults += 1;
    }

    fn reload(&mut self) {
        if self.random.u32(..4) == 0 {
            self.write("poll: { interval: often }\n");
            self.done.bad_reloads += 1;
        } else {
            if self.random.bool() {
                self.replace_second_account();
            }
            let detail = self.random.bool() || self.always_shows_detail;
            let verify = self.random.bool();
            self.configure(detail, verify);
            self.done.reloads += 1;
        }
        self.daemon.signal("HUP");
    }

    /// Adds or removes the second account. Its zones are replaced too, because their counters would
    /// restart.
    fn replace_second_account(&mut self) {
        self.api.simulator.update(|world| {
            let zones = &mut world.zones;
            zones.retain(|_, zone| zone.zone.owner.as_deref() != Some(SECOND));
        });
        self.second_account = match self.second_account.take() {
            Some(_) => None,
            None => Some(format!("second-{}", self.number)),
        };
        self.add_zone(SECOND);
    }

    /// Writes a valid configuration for the next reload or start.
    pub(crate) fn configure(&mut self, detail: bool, verify: bool) {
        let mut accounts = format!("{{ name: main, api_token: {TOKEN} }}");
        if let Some(name) = &self.second_account {
            let second = format!(", {{ name: {name}, api_token: {OTHER_TOKEN} }}");
            accounts.push_str(&second);
        }
        let interval = self.random.u32(200..=1000);
        let config = Config {
            poll: format!(
                "interval: {interval}ms, discovery_interval: 300ms, timeout: 2s, retries: 1"
            ),
            rate_limit: self.rate_limit.clone(),
            accounts: format!("[{accounts}]"),
            verify: format!("supported_regions: {verify}, tiered_cache: {verify}"),
            more: format!("mappings: {{ detail: {detail} }}\nexpect: {{ from_dns: {verify} }}"),
        };
        let text = config.text(&self.api.simulator.base_url());
        self.write(&text);
    }

    fn write(&self, config: &str) {
        fs::write(self.daemon.folder.path().join("config.yaml"), config).unwrap();
    }

    /// Removes all faults, and waits until the exporter shows what the API has.
    pub(crate) async fn calm(&mut self) -> Held {
        self.api.simulator.clear_faults();
        self.configure(true, true);
        self.daemon.signal("HUP");
        let start = Instant::now();
        loop {
            let scrape = Scrape::parse(&self.daemon.scrape().await.text);
            match self.difference(&scrape) {
                None => return held(&scrape, start.elapsed()),
                Some(difference) => assert!(
                    start.elapsed() < PATIENCE,
                    "{difference}\n{}\n{}",
                    scrape.text,
                    last_lines(&self.daemon.log())
                ),
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// The first difference from the state of the API.
    fn difference(&self, scrape: &Scrape) -> Option<String> {
        let reload = scrape.value("exporter_config_last_reload_successful", &[]);
        if reload != Some(1.0) {
            return Some("the configuration is still bad".to_owned());
        }
        // Copied, because the API does not respond while its world is locked.
        let mut zones = self.api.simulator.look(|world| world.zones.clone());
        zones.retain(|_, zone| {
            self.second_account.is_some() || zone.zone.owner.as_deref() == Some(FIRST)
        });
        let names: BTreeSet<_> = zones
            .values()
            .map(|zone| zone.zone.name.to_string())
            .collect();
        let known: BTreeSet<_> = scrape
            .values_of("zone", "zone_info", &[])
            .into_iter()
            .collect();
        if names != known {
            return Some(format!("the zones are {known:?} instead of {names:?}"));
        }
        let accounts = ["main", self.second_account.as_deref().unwrap_or("main")];
        for family in metric_families::all() {
            let count = format!("{}_count", family.name);
            for name in [family.name, &count] {
                let shown = scrape.values_of("zone", name, &[]);
                if let Some(gone) = shown.iter().find(|zone| !names.contains(*zone)) {
                    return Some(format!("{name} has series of {gone}"));
                }
                let shown = scrape.values_of("account", name, &[]);
                if let Some(gone) = shown.iter().find(|name| !accounts.contains(&name.as_str())) {
                    return Some(format!("{name} has series of the account {gone}"));
                }
            }
        }
        zones.values().find_map(|zone| difference_of(zone, scrape))
    }
}

fn held(scrape: &Scrape, to_calm: Duration) -> Held {
    let value = |name| scrape.value(name, &[]).unwrap();
    Held {
        memory: value("process_resident_memory_bytes"),
        files: value("process_open_fds"),
        threads: value("process_threads"),
        zones: scrape.count("zone_info", &[]),
        mappings: scrape.count("mapping_info", &[]),
        polls: scrape.sum("zone_polls_total", &[]),
        failed: scrape.sum("zone_poll_errors_total", &[]),
        to_calm,
    }
}

fn difference_of(zone: &SimulatedZone, scrape: &Scrape) -> Option<String> {
    let name = zone.zone.name.as_str();
    if scrape.up(name) != Some(true) {
        return Some(format!("{name} is not up"));
    }
    let mut expected: Vec<_> = zone
        .mappings
        .values()
        .map(|mapping| format!("{} {}", mapping.origin_ip, mapping.region))
        .collect();
    let regions = scrape.values_of("region", "mapping_info", &[("zone", name)]);
    let mut shown: Vec<_> = regions
        .iter()
        .flat_map(|region| {
            let series = [("zone", name), ("region", region.as_str())];
            let addresses = scrape.values_of("origin_ip", "mapping_info", &series);
            addresses
                .into_iter()
                .map(move |ip| format!("{ip} {region}"))
        })
        .collect();
    expected.sort();
    shown.sort();
    (expected != shown).then(|| format!("{name} has other mappings"))
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(200)..].join("\n")
}

/// Clients that scrape at different intervals and check that no counter decreases, and one that
/// opens the page. Each returns the number of its requests.
fn clients(address: SocketAddr, stop: &CancellationToken) -> JoinSet<usize> {
    let mut clients = JoinSet::new();
    for pause in [70, 150, 400].map(Duration::from_millis) {
        let stop = stop.clone();
        clients.spawn(async move {
            // This client reuses its connection and accepts gzip.
            let http = http_client::client_builder(None).unwrap().build().unwrap();
            let url = format!("http://{address}/metrics");
            let (mut last, mut scrapes) = (Scrape::default(), 0);
            while !stop.is_cancelled() {
                let answer = http.get(&url).send().await.unwrap();
                let answer = answer.error_for_status().unwrap();
                let scrape = Scrape::parse(&answer.text().await.unwrap());
                scrape.assert_follows(&last);
                last = scrape;
                scrapes += 1;
                sleep(pause).await;
            }
            scrapes
        });
    }
    let stop = stop.clone();
    clients.spawn(async move {
        let mut views = 0;
        while !stop.is_cancelled() {
            assert_eq!(get(address, "/").await.0, 200);
            views += 1;
            sleep(STEP).await;
        }
        views
    });
    clients
}
