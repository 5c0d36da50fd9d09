//! Thousands of zones appear at once.

use std::time::Duration;

use cloudflare_origin_region_exporter::domain::OriginIp;
use cloudflare_origin_region_exporter::simulator::{Operation, RecordedRequest, World};
use tokio::time::{Instant, sleep};

use crate::support::{Api, BAD, Config, GOOD, TOKEN, longest_gap, world};

const CROWD: usize = 3000;
/// Including the two zones from the start.
const ZONES: f64 = 3002.0;
/// The pages of the zone list, with 50 zones each.
const PAGES: usize = 61;
/// An origin of the good zone. Its mapping is removed while the crowd waits.
const EXPECTED: &str = "192.0.2.1";
/// The minimum number of polls after the lookup of this origin, which must not wait for the crowd.
/// The good zone accounts for a tenth of them.
const STILL_WAITING: usize = 300;
/// Long enough for a slow machine.
const LONG: Duration = Duration::from_mins(1);
/// A zone that waits for the whole crowd would wait for eight seconds.
const STARVED: Duration = Duration::from_secs(3);
/// The exposition has many zones with long names, but few mappings.
const MOST_MEMORY: u64 = 150 << 20;

/// The crowd takes eight seconds at the allowed rate. One zone has to be polled five times a second
/// meanwhile: it takes turns with the crowd, and so do the lookups that follow its polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_zones_that_appear_at_once_are_read_in_turn() {
    let api = Api::start(world()).await;
    let config = Config {
        rate_limit: "requests: 400, window: 1s, share: 1".to_owned(),
        more: format!(
            "zone_overrides: {{ {GOOD}: {{ interval: 200ms }} }}\n\
             expect: {{ zones: {{ {GOOD}: [{{ origin_ip: {EXPECTED} }}] }} }}"
        ),
        ..Config::polling("interval: 1h, discovery_interval: 2s")
    };
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    daemon.until_ready().await;
    api.simulator.forget_requests();
    let mut crowd = World::generate(TOKEN, CROWD, 3, 1).zones;
    api.simulator.update(|world| world.zones.append(&mut crowd));
    let scrape = daemon
        .until("the crowd is found", |scrape| {
            scrape.value("exporter_zones", &[("state", "polled")]) == Some(ZONES)
        })
        .await;
    assert!(scrape.sum("zone_up", &[]) < ZONES / 2.0);
    assert_eq!(scrape.count("zone_info", &[]), CROWD + 2);
    sleep(Duration::from_secs(2)).await;
    let scrape = daemon.scrape().await;
    let lag = scrape.value("exporter_poll_lag_seconds", &[]);
    assert!(lag > Some(1.5), "{lag:?}");
    assert_eq!((scrape.mappings(GOOD), scrape.mappings(BAD)), (3, 3));
    assert_eq!(daemon.get("/-/ready").await.0, 200);
    api.simulator.update(|world| {
        let expected = OriginIp::parse(EXPECTED).unwrap();
        world.zone_mut(GOOD).mappings.remove(&expected);
    });
    let looked_up = |r: &RecordedRequest| {
        r.operation == Some(Operation::GetMapping) && r.path.ends_with(EXPECTED)
    };
    daemon
        .until("the missing origin is looked up", |_| {
            api.simulator.requests().iter().any(looked_up)
        })
        .await;
    let start = Instant::now();
    while daemon.scrape().await.sum("zone_up", &[]) < ZONES {
        assert!(start.elapsed() < LONG, "the crowd is not read");
        sleep(Duration::from_millis(300)).await;
    }
    let scrape = daemon.last();
    assert_eq!(scrape.sum("zone_poll_errors_total", &[]), 0.0);
    assert_eq!(scrape.count("mapping_info", &[]), 3 * (CROWD + 2) - 1);
    daemon
        .assert_logged(&["zones changed", "found=3000 "], 1)
        .await;
    let gap = longest_gap(&api.readings(GOOD));
    assert!(gap < STARVED, "{gap:?}");
    assert_eq!(api.readings("zone-00000.example").len(), 1);
    assert_eq!(api.readings(BAD).len(), 0);
    let requests = api.simulator.requests();
    let look_up = requests.iter().position(looked_up).unwrap();
    let after = requests[look_up..].iter();
    let is_reading = |r: &&RecordedRequest| r.operation == Some(Operation::ListMappings);
    let readings = after.filter(is_reading).count();
    assert!(
        readings > STILL_WAITING,
        "only {readings} polls after the lookup"
    );
    let is_listing = |r: &&RecordedRequest| r.operation == Some(Operation::ListZones);
    let listings: Vec<_> = requests.iter().filter(is_listing).collect();
    let begun = listings.iter().filter(|r| r.query.starts_with("page=1&"));
    let begun = begun.count();
    let pages = (begun - 1) * PAGES..=begun * PAGES;
    assert!(pages.contains(&listings.len()), "{} pages", listings.len());
    let memory = daemon.peak_memory();
    assert!(memory < MOST_MEMORY, "{memory} bytes used");
    daemon.stop().await;
}
