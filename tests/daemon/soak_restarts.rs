//! The compressed week with storage. The program is killed or stopped at random moments, and
//! started again while the API is up or down. Nothing that was served for two seconds is lost, no
//! counter decreases, no removed mapping returns, and no window has more requests than the budget.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind};
use tokio::time::{Instant, sleep};

use crate::scrape::Scrape;
use crate::soak::{DAYS, DEFAULT_SECONDS, SECONDS, SEED, STEP, Soak, variable};

const BUDGET: usize = 300;
const WINDOW: Duration = Duration::from_secs(3);
const RATE_LIMIT: &str = "requests: 300, window: 3s, share: 1";
const STORAGE: &[&str] = &["--storage.path=storage"];
/// What was served for longer than this survives a kill.
const LASTS: Duration = Duration::from_secs(2);
/// How long the test remembers what was served and what the API had.
const REMEMBERED: Duration = Duration::from_secs(10);
/// One in this many steps is a restart.
const STEPS_PER_RESTART: u32 = 10;
/// How the program is stopped. Each day ends with one restart of each kind.
const SIGNALS: [&str; 2] = ["KILL", "TERM"];

type Mappings = BTreeMap<String, BTreeSet<String>>;

struct Served {
    at: Instant,
    scrape: Scrape,
}

struct Week {
    soak: Soak,
    served: Vec<Served>,
    /// The state of the API, after each change.
    worlds: Vec<(Instant, Mappings)>,
    restarts: usize,
    checked: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as requested; run by scripts/soak"]
async fn a_week_of_restarts_loses_nothing() {
    let seed = variable(SEED).unwrap_or_else(|| fastrand::u64(..));
    let week = Duration::from_secs(variable(SECONDS).unwrap_or(DEFAULT_SECONDS));
    println!("{SEED}={seed} {SECONDS}={}", week.as_secs());
    let mut soak = Soak::start(seed, RATE_LIMIT, STORAGE).await;
    soak.always_shows_detail = true;
    // The API may have counted requests that the program does not know of. They reduce its budget
    // until the window of the API ends.
    soak.api
        .simulator
        .update(|world| world.rate_limit.window = WINDOW);
    let mut week_of = Week {
        soak,
        served: Vec::new(),
        worlds: Vec::new(),
        restarts: 0,
        checked: 0,
    };
    for day in 1..=DAYS {
        week_of.live_through(week / DAYS).await;
        let end = week_of.soak.calm().await;
        println!("day {day}: {} restarts, {end:?}", week_of.restarts);
        // In the calm phase, the exporter shows the state of the API.
        for signal in SIGNALS {
            week_of.look_for(LASTS + STEP).await;
            week_of.restart(signal).await;
        }
    }
    println!(
        "{:?}, {} restarts, {} zones compared",
        week_of.soak.done, week_of.restarts, week_of.checked
    );
    assert!(week_of.restarts >= 14 && week_of.checked > 50);
    week_of.assert_budget();
    week_of.soak.daemon.stop().await;
}

impl Week {
    async fn live_through(&mut self, day: Duration) {
        let start = Instant::now();
        while start.elapsed() < day {
            self.soak.step();
            self.look().await;
            if self.soak.random.u32(..STEPS_PER_RESTART) == 0 {
                let signal = SIGNALS[self.soak.random.usize(..SIGNALS.len())];
                self.restart(signal).await;
            }
            sleep(STEP).await;
        }
    }

    async fn look_for(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.look().await;
            sleep(STEP).await;
        }
    }

    /// Scrapes, and remembers what is served and the state of the API.
    async fn look(&mut self) {
        self.remember_world();
        let text = self.soak.daemon.scrape().await.text.clone();
        let now = Instant::now();
        self.served.push(Served {
            at: now,
            scrape: Scrape::parse(&text),
        });
        self.served.retain(|served| served.at + REMEMBERED > now);
    }

    fn remember_world(&mut self) {
        let now = Instant::now();
        let world: Mappings = self.soak.api.simulator.look(|world| {
            let zones = world.zones.values().map(|zone| {
                let mappings = zone.mappings.values();
                let mappings =
                    mappings.map(|mapping| format!("{} {}", mapping.origin_ip, mapping.region));
                (zone.zone.name.to_string(), mappings.collect())
            });
            zones.collect()
        });
        if self.worlds.last().is_none_or(|(_, last)| *last != world) {
            self.worlds.push((now, world));
        }
        // Keep the last state before that time: it was still current then.
        let old = self
            .worlds
            .iter()
            .rposition(|(at, _)| *at + REMEMBERED < now);
        self.worlds.drain(..old.unwrap_or_default());
    }

    async fn restart(&mut self, signal: &str) {
        let verify = self.soak.random.bool();
        self.soak.configure(true, verify);
        let api = &self.soak.api.simulator;
        let down = self.soak.random.usize(..3);
        let meanwhile = || match down {
            0 => api.add_fault(Fault::new(FaultKind::Status(503, None))),
            1 => api.add_fault(Fault::new(FaultKind::Reset)),
            _ => api.clear_faults(),
        };
        self.soak.daemon.restart(signal, STORAGE, meanwhile).await;
        let text = self.soak.daemon.scrape().await.text.clone();
        self.check(&Scrape::parse(&text));
        self.served.clear();
        self.restarts += 1;
        if down < 2 {
            let outage = STEP * self.soak.random.u32(..10);
            self.look_for(outage).await;
            self.soak.api.simulator.clear_faults();
        }
    }

    /// Compares the first scrape after a restart with what was served before.
    fn check(&mut self, first: &Scrape) {
        let Some(last) = self.served.last() else {
            return;
        };
        let lasting = self
            .served
            .iter()
            .rposition(|served| served.at + LASTS < last.at);
        let Some(lasting) = lasting else { return };
        let since = self.served[lasting].at;
        let before = &self.served[lasting].scrape;
        let in_force = self.worlds.iter().rposition(|(at, _)| *at < since);
        let worlds = &self.worlds[in_force.unwrap_or_default()..];
        let (_, world) = worlds.last().unwrap();
        let counters = first.zone_counters();
        for ((zone, series), value) in before.zone_counters() {
            let now = counters.get(&(zone, series.clone())).copied();
            // A zone that was removed from the API may be gone.
            assert!(
                now.is_some_and(|now| now >= value) || !world.contains_key(zone),
                "{series} was {value} and is {now:?}"
            );
        }
        let shown = first.mappings_by_zone();
        let served: Vec<_> = self.served[lasting..]
            .iter()
            .map(|served| served.scrape.mappings_by_zone())
            .collect();
        for (zone, mappings) in &shown {
            let mut allowed = served.iter().chain(worlds.iter().map(|(_, world)| world));
            assert!(
                allowed.any(|zones| zones.get(zone) == Some(mappings)),
                "{zone} shows mappings that it has not had for {:?}: {mappings:?}",
                since.elapsed()
            );
            self.checked += 1;
        }
        for zone in before.mappings_by_zone().into_keys() {
            let is_there = shown.contains_key(&zone) || !world.contains_key(&zone);
            assert!(is_there, "the mappings of {zone} are lost");
        }
    }

    /// Checks the requests of the first account, whose name never changes.
    fn assert_budget(&self) {
        let mut requests = self.soak.api.simulator.requests();
        requests.retain(|request| request.credential.as_deref() == Some("token-1"));
        assert!(requests.len() > 3 * BUDGET, "{}", requests.len());
        for window in requests.windows(BUDGET + 1) {
            let span = window[BUDGET].at - window[0].at;
            assert!(span >= WINDOW, "{} requests in {span:?}", BUDGET + 1);
        }
    }
}
