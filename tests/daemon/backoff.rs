//! How often a failing zone is polled.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::FaultKind;

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, shortest_gap, world};

const FORBIDDEN: FaultKind = FaultKind::Status(403, None);

#[tokio::test]
async fn a_failing_zone_is_asked_once_an_interval_where_that_is_short() {
    let api = Api::start(world()).await;
    api.fail(FORBIDDEN);
    let mut daemon = api.daemon(&Config::polling("interval: 300ms")).await;
    let scrape = daemon
        .until("five polls failed", |scrape| scrape.poll_errors(BAD) >= 5.0)
        .await;
    assert_eq!(scrape.sum("exporter_api_retries_total", &[]), 0.0);
    assert_eq!(scrape.up(GOOD), Some(true));
    let requests = api.readings(BAD);
    // Jitter can shorten the interval by a tenth.
    let gap = shortest_gap(&requests);
    assert!(gap >= Duration::from_millis(260), "{gap:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_failing_zone_is_left_alone_for_half_a_minute_and_the_other_goes_on() {
    let api = Api::start(world()).await;
    api.fail(FORBIDDEN);
    let config = Config {
        more: format!("zone_overrides: {{ {GOOD}: {{ interval: 200ms }} }}"),
        ..Config::polling("interval: 5m")
    };
    let mut daemon = api.daemon(&config).await;
    daemon
        .until("the poll failed", |scrape| scrape.up(BAD) == Some(false))
        .await;
    daemon.until_polled_again(6.0).await;
    assert_eq!(api.readings(BAD).len(), 1);
    let scrape = daemon.last();
    assert_eq!(scrape.sum("zone_poll_errors_total", ON_BAD), 1.0);
    daemon.assert_logged(&["poll failed", BAD], 1).await;
    daemon.stop().await;
}
