//! What an exposition of 1,000 zones of 100 mappings costs in CPU time. Not a test: run it by hand with
//! `cargo test --release --lib exposition::tests::speed -- --ignored --nocapture`.

use jiff::{SignedDuration, Timestamp};
use prometheus::Registry;

use super::{SETTINGS, data, directory, mapping, now, polled};
use crate::domain::Mapping;
use crate::exposition::{Encoding, Exposition};
use crate::findings::{Check, Source, TieredCache, ZoneFindings};
use crate::snapshot::{Directory, Snapshot, ZoneState};

const ZONES: usize = 1000;
const MAPPINGS: usize = 100;
const SCRAPES: u32 = 20;

fn mappings(zone: usize, round: u32) -> Vec<Mapping> {
    const PLACES: [(&str, &str); 5] = [
        ("aws", "us-east-1"),
        ("aws", "eu-central-1"),
        ("gcp", "europe-west1"),
        ("azure", "westeurope"),
        ("oci", "us-ashburn-1"),
    ];
    let rows = (0..MAPPINGS).map(|n| {
        let (vendor, region) = PLACES[(zone + n) % PLACES.len()];
        let age = SignedDuration::from_micros(
            i64::try_from((zone * 7919 + n * 104_729 + round as usize) * 7_654_321).unwrap(),
        );
        let ip = format!("10.{}.{}.{n}", zone / 256, zone % 256);
        mapping(&ip, vendor, region, Some(&(now() - age).to_string()))
    });
    rows.collect()
}

fn zone(number: usize, round: u32) -> ZoneState {
    let findings = ZoneFindings {
        expected: [(Source::Config, 100)].into(),
        checks: Check::ALL.into(),
        ..ZoneFindings::default()
    };
    let id = format!(
        "{:032x}",
        number as u128 * 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835
    );
    let mut zone = polled(
        &id,
        &format!("zone-{number:04}.example.com"),
        data(mappings(number, round), findings),
    );
    zone.tiered_cache = TieredCache {
        enabled: Some(true),
        smart_enabled: Some(true),
    };
    zone.polls = round.into();
    zone
}

/// The CPU time of this thread, in milliseconds: other work on the machine does not count.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = cpu_ms();
    let result = work();
    println!("{what:50} {:9.2} ms", cpu_ms() - start);
    result
}

#[test]
#[ignore = "prints timings, which mean something in release mode only"]
fn timings() {
    let snapshot = Snapshot::default();
    let Directory { zones, .. } = directory((0..ZONES).map(|n| zone(n, 0)).collect());
    snapshot.publish(Directory {
        zones: zones.clone(),
        ..Directory::default()
    });
    let exposition = Exposition::new(SETTINGS, snapshot, Registry::new());
    let render = |time: Timestamp, encoding| exposition.render_now(time, encoding);

    let text = timed("first identity", || render(now(), Encoding::Identity));
    timed("second identity", || render(now(), Encoding::Identity));
    let gzip = timed("first gzip", || render(now(), Encoding::Gzip));
    println!(
        "{} samples, {} bytes, {} bytes of gzip",
        text.split(|b| *b == b'\n').count(),
        text.len(),
        gzip.len()
    );
    drop((text, gzip));
    timed("gzip, nothing changed", || render(now(), Encoding::Gzip));

    let scrape = |what: &str, change: &dyn Fn(usize, u32)| {
        let mut spent = 0.0;
        for round in 1..=SCRAPES {
            (0..ZONES / 100).for_each(|n| change((n * 97 + round as usize) % ZONES, round));
            let start = cpu_ms();
            render(
                now() + SignedDuration::from_millis(5003 * i64::from(round)),
                Encoding::Gzip,
            );
            spent += cpu_ms() - start;
        }
        println!("{what:50} {:9.2} ms", spent / f64::from(SCRAPES));
    };
    scrape("gzip, clock moved", &|_, _| {});
    scrape("gzip, 1 % of the zones polled, nothing new", &|n, round| {
        let state = (*zones[n].load()).clone();
        zones[n].publish(ZoneState {
            polls: round.into(),
            ..state
        });
    });
    scrape("gzip, 1 % of the zones with other mappings", &|n, round| {
        zones[n].publish(zone(n, round));
    });
}
