//! The start: an API that is down, slow, or refuses requests, and when the program is ready.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, Operation, RetryAfter, Simulator,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Api, BAD, Config, Daemon, GOOD, ON_BAD, world};

#[tokio::test]
async fn an_api_that_is_down_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = Config::default().text(&format!("http://{address}/client/v4"));
    let mut daemon = Daemon::start(&config).await;
    daemon.until_ready().await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value("exporter_discovery_up", &[]), Some(0.0));
    let success = "exporter_discovery_last_success_timestamp_seconds";
    assert_eq!(scrape.count(success, &[]), 0);
    assert_eq!(scrape.count("zone_info", &[]), 0);
    let refused = [("operation", "list_zones"), ("code", "none")];
    assert!(scrape.sum("exporter_api_requests_total", &refused) >= 1.0);
    let refused = [("operation", "list_zones"), ("reason", "connect")];
    assert!(scrape.sum("exporter_api_errors_total", &refused) >= 1.0);
    daemon
        .assert_logged(&["listing zones failed", "level=warn", "connect"], 1)
        .await;
    assert_eq!(daemon.get("/-/healthy").await.0, 200);

    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let listener = TcpListener::bind(address).await.unwrap();
    Simulator::start(listener, world(), shutdown).unwrap();
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.value("exporter_discovery_up", &[]), Some(1.0));
    daemon
        .assert_logged(&["listing zones succeeded again"], 1)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_waits_for_the_listing_and_metrics_do_not() {
    let api = Api::start(world()).await;
    api.simulator
        .add_fault(Fault::new(FaultKind::Hang).on(Operation::ListZones));
    let config = Config::polling("interval: 1h, timeout: 1500ms, retries: 0");
    let mut daemon = api.daemon(&config).await;
    assert_eq!(daemon.get("/-/ready").await.0, 503);
    assert_eq!(daemon.get("/-/healthy").await.0, 200);
    assert_eq!(daemon.scrape().await.count("exporter_discovery_up", &[]), 0);
    daemon.until_ready().await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value("exporter_discovery_up", &[]), Some(0.0));
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_waits_for_each_zone_and_a_zone_that_was_not_read_is_shown_as_such() {
    let api = Api::start(world()).await;
    api.fail(FaultKind::Hang);
    let config = Config::polling("interval: 1h, timeout: 1500ms, retries: 0");
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon
        .until("the other zone is read", |s| s.up(GOOD) == Some(true))
        .await;
    assert_eq!(scrape.value("zone_info", ON_BAD), Some(1.0));
    assert_eq!(scrape.value("zone_polls_total", ON_BAD), Some(0.0));
    for none_yet in [
        "zone_up",
        "zone_last_success_timestamp_seconds",
        "zone_poll_duration_seconds",
        "zone_mappings",
        "mapping_changes_total",
    ] {
        assert_eq!(scrape.count(none_yet, ON_BAD), 0, "{none_yet}");
    }
    assert_eq!(daemon.get("/-/ready").await.0, 503);
    daemon.until_ready().await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.up(BAD), Some(false));
    assert_eq!(scrape.value("zone_polls_total", ON_BAD), Some(1.0));
    assert!(scrape.value("zone_poll_duration_seconds", ON_BAD) >= Some(1.4));
    assert_eq!(scrape.count("mapping_changes_total", ON_BAD), 0);
    assert_eq!(
        scrape.count("zone_last_success_timestamp_seconds", ON_BAD),
        0
    );
    daemon.stop().await;
}

#[tokio::test]
async fn an_account_that_is_paused_does_not_hold_readiness_up() {
    let api = Api::start(world()).await;
    let refusal = FaultKind::TooManyRequests(RetryAfter::Absent);
    api.simulator
        .add_fault(Fault::new(refusal).on(Operation::ListZones));
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_ready().await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value("exporter_discovery_up", &[]), Some(0.0));
    assert!(scrape.value("exporter_api_blocked_until_timestamp_seconds", &[]) > Some(1e9));
    daemon.stop().await;
}

#[tokio::test]
async fn readiness_stays_when_everything_fails_later() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    daemon.until_ready().await;
    api.simulator
        .add_fault(Fault::new(FaultKind::Status(500, None)));
    api.simulator.update(|world| {
        *world = world.clone().zone("late.example", []);
        world.latency = Duration::from_millis(10);
    });
    daemon
        .until("everything fails", |s| {
            s.up(GOOD) == Some(false) && s.value("exporter_discovery_up", &[]) == Some(0.0)
        })
        .await;
    assert_eq!(daemon.get("/-/ready").await.0, 200);
    assert_eq!(daemon.scrape().await.up(BAD), Some(false));
    daemon.stop().await;
}
