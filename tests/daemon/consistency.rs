//! A scrape shows one complete poll of each zone. Between polls, only ages change.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};
use jiff::Timestamp;

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, ON_GOOD, fill, world};

#[tokio::test]
async fn a_scrape_during_a_walk_sees_the_old_state_whole() {
    const MAPPINGS: usize = 250;
    let mut world = world();
    fill(world.zone_mut(BAD), MAPPINGS, "us-east-1");
    let api = Api::start(world).await;
    let slow = Fault::new(FaultKind::Delay(Duration::from_millis(300)));
    api.simulator
        .add_fault(slow.on(Operation::ListMappings).zone(BAD).page(3));
    // The interval leaves time to change the mappings between two walks, even on a slow machine:
    // nothing in a page shows that the list changed during the walk.
    let mut daemon = api
        .daemon(&Config::polling("interval: 3s, retries: 0"))
        .await;
    daemon.until_read().await;
    let mut regions = ["us-east-1", "eu-west-1"];
    for _ in 0..3 {
        let [old, new] = regions;
        api.simulator
            .update(|world| fill(world.zone_mut(BAD), MAPPINGS, new));
        daemon
            .until("the new state is served, never a mixture", |scrape| {
                let count =
                    |region| scrape.count("mapping_info", &[("zone", BAD), ("region", region)]);
                let found = (count(old), count(new));
                assert!([(MAPPINGS, 0), (0, MAPPINGS)].contains(&found), "{found:?}");
                assert_eq!(scrape.value("zone_mappings", ON_BAD), Some(250.0));
                found == (0, MAPPINGS)
            })
            .await;
        regions = [new, old];
    }
    // Three times, the regions of all 250 mappings changed.
    let changed = [("zone", BAD), ("change", "changed")];
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value("mapping_changes_total", &changed), Some(750.0));
    daemon.stop().await;
}

#[tokio::test]
async fn a_scrape_waits_for_no_poll_and_asks_the_api_nothing() {
    let api = Api::start(world()).await;
    let mut daemon = api
        .daemon(&Config::polling("interval: 1h, timeout: 1m"))
        .await;
    daemon.until_read().await;
    daemon.until_ready().await;
    let before = api.simulator.requests().len();
    for _ in 0..20 {
        daemon.scrape().await;
    }
    assert_eq!(api.simulator.requests().len(), before);
    daemon.stop().await;
}

#[tokio::test]
async fn changes_between_polls_are_counted() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    let changes = |scrape: &crate::scrape::Scrape, zone| {
        ["added", "removed", "changed"].map(|change| {
            let labels = [("zone", zone), ("change", change)];
            scrape.value("mapping_changes_total", &labels).unwrap()
        })
    };
    assert_eq!(changes(scrape, BAD), [0.0; 3]);
    let now = Timestamp::now();
    api.simulator.update(|world| {
        let zone = world.zone_mut(BAD);
        zone.unmap("192.0.2.1");
        zone.map("192.0.2.2", "gcp", "europe-west1", None);
        zone.map("192.0.2.10", "oci", "us-ashburn-1", None);
        zone.map("192.0.2.11", "azure", "westeurope", None);
        // Writing the same mapping again does not count as a change.
        zone.map("2001:db8::3", "aws", "us-east-1", Some(now));
    });
    let scrape = daemon
        .until("the changes are counted", |scrape| {
            changes(scrape, BAD) != [0.0; 3]
        })
        .await;
    assert_eq!(changes(scrape, BAD), [2.0, 1.0, 1.0]);
    assert_eq!(changes(scrape, GOOD), [0.0; 3]);
    assert_eq!(scrape.mappings(BAD), 4);
    assert_eq!(
        scrape.count("mappings", ON_BAD),
        4,
        "no series outlives its last mapping"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn ages_move_between_polls_and_are_never_negative() {
    let mut world = world();
    let now = Timestamp::now();
    let zone = world.zone_mut(BAD);
    zone.mappings.clear();
    zone.map(
        "192.0.2.1",
        "aws",
        "past",
        Some(now - Duration::from_secs(1000)),
    );
    zone.map(
        "192.0.2.2",
        "aws",
        "past",
        Some(now - Duration::from_secs(100)),
    );
    zone.map("192.0.2.3", "aws", "past", None);
    zone.map(
        "192.0.2.4",
        "aws",
        "future",
        Some(now + Duration::from_secs(1000)),
    );
    zone.map("192.0.2.5", "aws", "unknown", None);
    let api = Api::start(world).await;
    let mut daemon = api.daemon(&Config::polling("interval: 1h")).await;
    daemon.until_read().await;
    let age = |scrape: &crate::scrape::Scrape, which: &str, region| {
        let name = format!("{which}_mapping_age_seconds");
        scrape.value(&name, &[("zone", BAD), ("region", region)])
    };
    let scrape = daemon.scrape().await;
    let (oldest, newest) = (age(scrape, "oldest", "past"), age(scrape, "newest", "past"));
    assert!((1000.0..1060.0).contains(&oldest.unwrap()), "{oldest:?}");
    assert!((100.0..160.0).contains(&newest.unwrap()), "{newest:?}");
    assert_eq!(age(scrape, "oldest", "future"), Some(0.0));
    assert_eq!(age(scrape, "oldest", "unknown"), None);
    assert_eq!(
        scrape.count("mapping_last_modified_timestamp_seconds", ON_BAD),
        3
    );
    assert_eq!(scrape.mappings(BAD), 5);
    daemon
        .until("the age grows without a poll", |scrape| {
            age(scrape, "oldest", "past") >= oldest.map(|age| age + 1.0)
        })
        .await;
    assert_eq!(api.readings(BAD).len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_mapping_becomes_stale_between_polls() {
    let api = Api::start(world()).await;
    let written = Timestamp::now() - Duration::from_secs(100);
    api.simulator.update(|world| {
        let zone = world.zone_mut(BAD);
        zone.map("192.0.2.1", "aws", "us-east-1", Some(written));
        zone.map("192.0.2.2", "aws", "us-east-1", None);
        zone.map("2001:db8::3", "aws", "us-east-1", Some(Timestamp::now()));
    });
    let config = Config {
        more: format!(
            "mappings: {{ stale_after: 103s }}\n\
             zone_overrides: {{ {GOOD}: {{ stale_after: never }} }}"
        ),
        ..Config::polling("interval: 1h")
    };
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.value("stale_after_seconds", ON_BAD), Some(103.0));
    assert_eq!(scrape.count("stale_after_seconds", ON_GOOD), 0);
    assert_eq!(scrape.count("stale_mappings", ON_GOOD), 0);
    let scrape = daemon
        .until("one mapping is stale", |scrape| {
            scrape.value("stale_mappings", ON_BAD) == Some(1.0)
        })
        .await;
    assert_eq!(scrape.sum("mapping_changes_total", &[]), 0.0);
    assert_eq!(api.readings(BAD).len(), 1);
    daemon.stop().await;
}
