//! The rate limit of the exporter, as the API sees it.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::World;

use crate::support::{Api, Config, TOKEN};

const LATE: &str = "the zones need more requests than the budget allows, so polls are late";

#[tokio::test]
async fn no_window_ever_sees_more_than_the_share() {
    const WINDOW: Duration = Duration::from_secs(2);
    const BUDGET: usize = 10;
    let api = Api::start(World::generate(TOKEN, 30, 1, 1)).await;
    let config = Config {
        rate_limit: "requests: 20, window: 2s, share: 0.5".to_owned(),
        ..Config::polling("interval: 500ms, discovery_interval: 1h, retries: 0")
    };
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon
        .until("every zone was read", |scrape| {
            scrape.sum("zone_up", &[]) == 30.0
        })
        .await;
    assert_eq!(
        scrape.value("exporter_api_budget_requests", &[]),
        Some(10.0)
    );
    assert_eq!(scrape.sum("zone_poll_errors_total", &[]), 0.0);
    let scrape = daemon
        .until("the lag shows", |s| {
            s.value("exporter_poll_lag_seconds", &[]) >= Some(2.0)
        })
        .await;
    assert!(scrape.value("exporter_api_throttled_seconds_total", &[]) > Some(1.0));
    let requests = api.simulator.requests();
    assert!(requests.len() > 3 * BUDGET, "{}", requests.len());
    for too_many in requests.windows(BUDGET + 1) {
        let span = too_many[BUDGET].at - too_many[0].at;
        assert!(span >= WINDOW, "{} requests in {span:?}", too_many.len());
    }
    // A round takes 30 requests, and ten are allowed in two seconds. Listing hardly adds to that.
    let logged = [LATE, "account=main", "fitting_interval=7s"];
    daemon.assert_logged(&logged, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_interval_that_can_be_kept_needs_no_words() {
    let api = Api::start(World::generate(TOKEN, 10, 1, 1)).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon
        .until("each zone was read again", |scrape| {
            scrape.sum("zone_polls_total", &[]) >= 30.0
        })
        .await;
    assert_eq!(scrape.sum("zone_up", &[]), 10.0);
    assert_eq!(daemon.logged(&[LATE]), 0);
    daemon.stop().await;
}
