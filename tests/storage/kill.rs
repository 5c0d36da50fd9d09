//! `kill -9` at any moment.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind};
use tokio::time::{Instant, sleep};

use crate::support::{Scrape, Setup};

const LIVES: usize = 50;
const ZONES: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];
/// What was served for longer than this lasts.
const LASTS: Duration = Duration::from_secs(2);
const BUDGET: usize = 60;
const WINDOW: Duration = Duration::from_secs(3);

/// What was served, and when.
struct Served {
    at: Instant,
    scrape: Scrape,
}

#[tokio::test]
async fn fifty_kills_lose_nothing_that_was_served_two_seconds_before() {
    let mut setup = Setup::new(&ZONES, "interval: 300ms, retries: 0, retain: 1h", "").await;
    let limit = format!("{{ requests: {BUDGET}, window: 3s, share: 1 }}");
    setup.configure("{ requests: 10000 }", &limit);
    let mut random = fastrand::Rng::with_seed(2026);
    let mut served: Vec<Served> = Vec::new();
    let mut faulty = false;
    for life in 0..LIVES {
        let daemon = setup.start().await;
        let first = daemon.scrape().await;
        // Nothing changes in the API between a kill and the first scrape.
        let current: Vec<String> = setup.simulator.look(|world| {
            let zones = world.zones.values().flat_map(|zone| {
                zone.mappings
                    .keys()
                    .map(|ip| format!("{} {ip}", zone.zone.name))
            });
            zones.collect()
        });
        check(life, &served, &first, &current);
        served.clear();
        let lifetime = Duration::from_millis(random.u64(50..3200));
        let change_at = Duration::from_millis(random.u64(0..1000));
        let born = Instant::now();
        let mut changed = false;
        while born.elapsed() < lifetime {
            if !changed && born.elapsed() > change_at {
                changed = true;
                change(&setup, &mut random);
            }
            let scrape = daemon.scrape().await;
            let at = Instant::now();
            served.push(Served { at, scrape });
            sleep(Duration::from_millis(25)).await;
        }
        daemon.kill().await;
        // The next life starts with the API down, or up again.
        faulty = !faulty;
        setup.simulator.clear_faults();
        if faulty && life % 4 < 2 {
            setup
                .simulator
                .add_fault(Fault::new(FaultKind::Status(503, None)));
        }
    }
    let requests = setup.simulator.requests();
    for window in requests.windows(BUDGET + 1) {
        let span = window[BUDGET].at - window[0].at;
        assert!(span >= WINDOW, "{} requests in {span:?}", BUDGET + 1);
    }
    assert!(requests.len() > 3 * BUDGET, "{}", requests.len());
}

/// Adds, removes or moves a mapping of some zone.
fn change(setup: &Setup, random: &mut fastrand::Rng) {
    let ip = format!("192.0.2.{}", random.u8(2..5));
    setup.simulator.update(|world| {
        let zone = world.zone_mut(ZONES[random.usize(..ZONES.len())]);
        if zone.unmap(&ip).is_none() {
            zone.map(&ip, "gcp", "us-central1", None);
        }
    });
}

/// The first scrape of a life against what the last life served.
fn check(life: usize, served: &[Served], first: &Scrape, current: &[String]) {
    let Some(last) = served.last() else { return };
    // What was served at that time, and all that came later.
    let lasting = served
        .iter()
        .rposition(|served| served.at + LASTS < last.at);
    let Some(lasting) = lasting else { return };
    for (counter, value) in served[lasting].scrape.zone_counters() {
        let now = first.series.get(counter).copied();
        assert!(
            now.is_some_and(|now| now >= value),
            "life {life}: {counter} was {value} and is {now:?}"
        );
    }
    let zone_of = |series: &str| series.split('"').nth(1).unwrap().to_owned();
    let of = |scrape: &Scrape, zone: &str| -> Vec<String> {
        let mappings = scrape.mappings().into_iter();
        let of_zone = mappings.filter(|series| zone_of(series) == zone);
        of_zone.map(str::to_owned).collect()
    };
    for zone in ZONES {
        let shown = of(first, zone);
        let was_served = served[lasting..]
            .iter()
            .any(|served| of(&served.scrape, zone) == shown);
        let ips = shown.iter().map(|series| {
            let (_, rest) = series.split_once("origin_ip=\"").unwrap();
            format!("{zone} {}", rest.split('"').next().unwrap())
        });
        let mut ips: Vec<_> = ips.collect();
        ips.sort();
        let prefix = format!("{zone} ");
        let mut now: Vec<_> = current
            .iter()
            .filter(|text| text.starts_with(&prefix))
            .cloned()
            .collect();
        now.sort();
        assert!(
            was_served || ips == now,
            "life {life}: {zone} shows {shown:#?}, which was neither served nor is it so now: {now:?}"
        );
    }
}
