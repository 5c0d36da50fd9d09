//! `kill -9` at any moment.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation, RetryAfter};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::{Scrape, Setup};

const LIVES: usize = 60;
const ZONES: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];
/// What was served for longer than this survives a kill.
const LASTS: Duration = Duration::from_secs(2);
const BUDGET: usize = 60;
const WINDOW: Duration = Duration::from_secs(3);

/// What was served, with the time.
struct Served {
    at: Instant,
    scrape: Scrape,
    history: Value,
}

#[tokio::test]
async fn sixty_kills_lose_nothing_that_was_served_two_seconds_before() {
    let declared = ZONES.map(|zone| format!("{zone}: [{{ origin_ip: 192.0.2.4 }}]"));
    let declared = format!("expect: {{ zones: {{ {} }} }}", declared.join(", "));
    let poll = "interval: 300ms, retries: 0, retain: 1h, timeout: 1s";
    let mut setup = Setup::new(&ZONES, poll, &declared).await;
    // The API may have counted requests that the program does not know of. They reduce its budget
    // until the window of the API ends.
    setup
        .simulator
        .update(|world| world.rate_limit.window = WINDOW);
    let limit = format!("{{ requests: {BUDGET}, window: 3s, share: 1 }}");
    setup.configure("{ requests: 10000 }", &limit);
    let mut random = fastrand::Rng::with_seed(2026);
    let mut served: Vec<Served> = Vec::new();
    let mut compared = 0;
    for life in 0..LIVES {
        let daemon = setup.start().await;
        let first = daemon.scrape().await;
        // The API does not change between a kill and the first scrape.
        let current: Vec<String> = setup.simulator.look(|world| {
            let zones = world.zones.values().flat_map(|zone| {
                zone.mappings
                    .keys()
                    .map(|ip| format!("{} {ip}", zone.zone.name))
            });
            zones.collect()
        });
        let history = daemon.changes().await;
        check(life, &served, &first, &current);
        check_history(life, &served, &history);
        compared += usize::from(lasting(&served).is_some());
        served.clear();
        let lifetime = Duration::from_millis(random.u64(50..3200));
        let change_at = Duration::from_millis(random.u64(0..1000));
        let fault_at = Duration::from_millis(random.u64(0..2000));
        let born = Instant::now();
        let (mut changed, mut failed) = (false, false);
        while born.elapsed() < lifetime {
            if !changed && born.elapsed() > change_at {
                changed = true;
                change(&setup, &mut random);
            }
            if !failed && born.elapsed() > fault_at {
                failed = true;
                setup.simulator.add_fault(fault(&mut random));
            }
            let (scrape, history) = (daemon.scrape().await, daemon.changes().await);
            let at = Instant::now();
            served.push(Served {
                at,
                scrape,
                history,
            });
            sleep(Duration::from_millis(25)).await;
        }
        daemon.kill().await;
        // The next start happens while the API is down, hanging, or up.
        setup.simulator.clear_faults();
        match life % 4 {
            0 => setup
                .simulator
                .add_fault(Fault::new(FaultKind::Status(503, None))),
            1 => setup.simulator.add_fault(Fault::new(FaultKind::Hang)),
            _ => {}
        }
    }
    assert!(compared > LIVES / 10, "{compared} lives were long enough");
    let requests = setup.simulator.requests();
    for window in requests.windows(BUDGET + 1) {
        let span = window[BUDGET].at - window[0].at;
        assert!(span >= WINDOW, "{} requests in {span:?}", BUDGET + 1);
    }
    assert!(requests.len() > 6 * BUDGET, "{}", requests.len());
}

/// Adds or removes a mapping of a random zone.
fn change(setup: &Setup, random: &mut fastrand::Rng) {
    let ip = format!("192.0.2.{}", random.u8(2..5));
    setup.simulator.update(|world| {
        let zone = world.zone_mut(ZONES[random.usize(..ZONES.len())]);
        if zone.unmap(&ip).is_none() {
            zone.map(&ip, "gcp", "us-central1", None);
        }
    });
}

/// A fault for some requests of one zone or of all zones.
fn fault(random: &mut fastrand::Rng) -> Fault {
    let kinds = [
        FaultKind::Status(503, None),
        FaultKind::TooManyRequests(RetryAfter::Seconds(1)),
        FaultKind::Hang,
        FaultKind::CutInBody,
        FaultKind::TruncatedJson,
        FaultKind::ShortPage,
    ];
    let fault = Fault::new(kinds[random.usize(..kinds.len())].clone());
    let fault = fault.on(Operation::ListMappings).times(random.u64(1..6));
    if random.bool() {
        fault.zone(ZONES[random.usize(..ZONES.len())])
    } else {
        fault
    }
}

/// The last scrape that must survive, because it was served two seconds before the kill. Later ones
/// may survive.
fn lasting(served: &[Served]) -> Option<usize> {
    let last = served.last()?;
    served
        .iter()
        .rposition(|served| served.at + LASTS < last.at)
}

/// Checks that the history still has every change that must survive, unchanged.
fn check_history(life: usize, served: &[Served], first: &Value) {
    let Some(lasting) = lasting(served) else {
        return;
    };
    let list = |history: &Value| history["changes"].as_array().unwrap().clone();
    let (before, now) = (list(&served[lasting].history), list(first));
    // The API returns at most the latest thousand changes.
    let oldest = now.last().map(|change| change["id"].as_u64());
    for change in before {
        let may_be_older = now.len() == 1000 && Some(change["id"].as_u64()) < oldest;
        assert!(
            now.contains(&change) || may_be_older,
            "life {life}: {change} is not in the history"
        );
    }
    let ids: Vec<_> = now.iter().map(|change| change["id"].as_u64()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
}

/// Compares the first scrape after a restart with what was served before.
fn check(life: usize, served: &[Served], first: &Scrape, current: &[String]) {
    let Some(lasting) = lasting(served) else {
        return;
    };
    for (counter, value) in served[lasting].scrape.zone_counters() {
        let now = first.series.get(counter).copied();
        assert!(
            now.is_some_and(|now| now >= value),
            "life {life}: {counter} was {value} and is {now:?}"
        );
    }
    for zone in ZONES {
        let words = ["missing_mapping{", zone];
        let shown = first.sum(&words);
        let was_served = served[lasting..]
            .iter()
            .any(|served| (served.scrape.sum(&words) - shown).abs() < 0.5);
        let is_mapped = current.contains(&format!("{zone} 192.0.2.4"));
        let is_current = (shown < 0.5) == is_mapped;
        assert!(was_served || is_current, "life {life}: {words:?} {shown}");
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
            "life {life}: {zone} shows {shown:#?}, which was not served before; the API has {now:?}"
        );
    }
}
