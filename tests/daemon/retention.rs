//! How long the last good data of a failing zone is kept.

use cloudflare_origin_region_exporter::simulator::FaultKind;

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, world};

/// The families that remain after the data of a zone is dropped.
const LEFT: [&str; 9] = [
    "mapping_changes_total",
    "zone_info",
    "zone_last_success_timestamp_seconds",
    "zone_poll_duration_seconds",
    "zone_poll_errors_total",
    "zone_poll_interval_seconds",
    "zone_polls_total",
    "zone_rejected_rows_total",
    "zone_up",
];

#[tokio::test]
async fn data_goes_after_the_retention_and_comes_back_without_counting_as_added() {
    let api = Api::start(world()).await;
    let config = Config {
        more: format!("expect: {{ zones: {{ {BAD}: [{{ origin_ip: 192.0.2.77 }}] }} }}"),
        ..Config::polling("interval: 200ms, retries: 0, retain: 1s")
    };
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    daemon
        .until("the missing mapping shows", |s| {
            s.value("missing_mappings", ON_BAD) == Some(1.0)
        })
        .await;
    api.simulator.update(|world| {
        world
            .zone_mut(BAD)
            .map("192.0.2.9", "oci", "us-ashburn-1", None);
    });
    let added = [("zone", BAD), ("change", "added")];
    daemon
        .until("the new mapping is counted", |s| {
            s.value("mapping_changes_total", &added) == Some(1.0)
        })
        .await;
    api.fail(FaultKind::Status(500, None));
    let scrape = daemon
        .until("the poll failed", |scrape| scrape.up(BAD) == Some(false))
        .await;
    assert_eq!(scrape.mappings(BAD), 4);
    assert_eq!(scrape.value("missing_mappings", ON_BAD), Some(1.0));
    let scrape = daemon
        .until("the data is dropped", |scrape| scrape.mappings(BAD) == 0)
        .await;
    let mut left = scrape.families_of(BAD);
    left.sort_unstable();
    assert_eq!(left, LEFT);
    assert_eq!(scrape.up(BAD), Some(false));
    assert_eq!((scrape.up(GOOD), scrape.mappings(GOOD)), (Some(true), 3));
    let logged = "dropped the data of a zone that fails for longer than poll.retain";
    daemon.assert_logged(&[logged, BAD], 1).await;

    // Two mappings are removed while the zone cannot be read. They do not count as changes, because
    // there is no data to compare with.
    api.simulator.update(|world| {
        world.zone_mut(BAD).unmap("192.0.2.1");
        world.zone_mut(BAD).unmap("192.0.2.2");
    });
    api.simulator.clear_faults();
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.mappings(BAD), 2);
    assert_eq!(scrape.sum("mapping_changes_total", ON_BAD), 1.0);

    api.simulator
        .update(|world| world.zone_mut(BAD).unmap("2001:db8::3"));
    daemon
        .until("changes are counted again", |s| {
            s.sum("mapping_changes_total", ON_BAD) == 2.0
        })
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_failure_shorter_than_the_retention_drops_nothing() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 200ms, retries: 0, retain: 2s");
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    for _ in 0..3 {
        api.fail(FaultKind::Status(500, None));
        let errors = daemon.scrape().await.poll_errors(BAD);
        daemon
            .until("polls failed", |scrape| {
                assert_eq!(scrape.mappings(BAD), 3);
                scrape.poll_errors(BAD) >= errors + 3.0
            })
            .await;
        api.simulator.clear_faults();
        daemon.until_read().await;
    }
    daemon.stop().await;
}
