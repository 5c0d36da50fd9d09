//! 429, and a quota that runs out: the account pauses, other accounts do not.

use std::collections::BTreeSet;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, Operation, RateLimit, RecordedRequest, RetryAfter,
};

use crate::support::{
    Api, BAD, Config, GOOD, ON_BAD, OTHER_TOKEN, TOKEN, fill, longest_gap, world,
};

const BLOCKED_UNTIL: &str = "exporter_api_blocked_until_timestamp_seconds";
/// A zone of another account.
const FOREIGN: &str = "foreign.example";
/// Requests that were sent before the 429 arrived may be received for this long.
const ON_THEIR_WAY: Duration = Duration::from_millis(150);

/// Two accounts: one with the two default zones, one with a zone of its own.
async fn two_accounts() -> (Api, Config) {
    let mut world = world().account("second", "Second Company");
    world = world.zone_of("second", FOREIGN, []);
    let first = world.accounts.keys().next().unwrap().clone();
    world.credentials[0].accounts = BTreeSet::from([first]);
    let second = Credential::user_token("token-2", OTHER_TOKEN).only_accounts(["second"]);
    let config = Config {
        accounts: format!(
            "[{{ name: main, api_token: {TOKEN} }}, {{ name: second, api_token: {OTHER_TOKEN} }}]"
        ),
        ..Config::polling("interval: 200ms, retries: 3")
    };
    (Api::start(world.credential(second)).await, config)
}

fn of(api: &Api, credential: &str) -> Vec<RecordedRequest> {
    let mut requests = api.simulator.requests();
    requests.retain(|request| request.credential.as_deref() == Some(credential));
    requests
}

/// A 429 pauses this account for at least this long, and no other account.
async fn pauses(when: RetryAfter, least: Duration) {
    let (api, config) = two_accounts().await;
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    let refusal = Fault::new(FaultKind::TooManyRequests(when));
    let refusal = refusal.on(Operation::ListMappings).zone(BAD).times(1);
    api.simulator.forget_requests();
    api.simulator.add_fault(refusal);
    let main = [("account", "main")];
    let scrape = daemon
        .until("the account is paused", |s| {
            s.value(BLOCKED_UNTIL, &main) > Some(0.0)
        })
        .await;
    assert_eq!(
        scrape.value(BLOCKED_UNTIL, &[("account", "second")]),
        Some(0.0)
    );
    let scrape = daemon
        .until("the poll failed", |scrape| scrape.up(BAD) == Some(false))
        .await;
    let reasons = scrape.values_of("reason", "zone_poll_errors_total", ON_BAD);
    assert_eq!(reasons, ["rate_limited"]);
    assert_eq!(scrape.poll_errors(BAD), 1.0);
    assert_eq!(scrape.sum("exporter_api_retries_total", &main), 0.0);
    assert_eq!((scrape.mappings(BAD), scrape.mappings(GOOD)), (3, 3));
    assert_eq!(daemon.get("/-/ready").await.0, 200);
    let scrape = daemon
        .until("the zone is late", |s| {
            s.value("exporter_poll_lag_seconds", &main) >= Some(0.5)
        })
        .await;
    // Polls may also be slightly late on a busy machine.
    let lag = scrape.value("exporter_poll_lag_seconds", &[("account", "second")]);
    assert!(lag < Some(0.5), "{lag:?}");
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.value(BLOCKED_UNTIL, &main), Some(0.0));
    let (first, second) = (of(&api, "token-1"), of(&api, "token-2"));
    let pause = longest_gap(&first);
    assert!(pause >= least, "{pause:?}");
    assert!(
        longest_gap(&second) < least,
        "the other account is still polled"
    );
    assert_eq!(scrape.poll_errors(FOREIGN), 0.0);
    assert_eq!(scrape.poll_errors(GOOD), 0.0);
    daemon
        .assert_logged(&["rate limit is exceeded", "account=main"], 1)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_refusal_that_names_seconds() {
    pauses(RetryAfter::Seconds(2), Duration::from_millis(1990)).await;
}

#[tokio::test]
async fn a_refusal_that_names_a_date() {
    // Dates have a resolution of one second, and so does the date of the response.
    let when = RetryAfter::Date(Duration::from_secs(3));
    pauses(when, Duration::from_millis(1900)).await;
}

#[tokio::test]
async fn a_refusal_that_names_nothing_pauses_for_five_minutes() {
    let (api, config) = two_accounts().await;
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    let refusal = Fault::new(FaultKind::TooManyRequests(RetryAfter::Text(
        "soon".to_owned(),
    )));
    api.simulator
        .add_fault(refusal.on(Operation::ListMappings).zone(BAD));
    let main = [("account", "main")];
    let scrape = daemon
        .until("the account is paused", |s| {
            s.value(BLOCKED_UNTIL, &main) > Some(0.0)
        })
        .await;
    let until = scrape.value(BLOCKED_UNTIL, &main).unwrap();
    daemon.assert_logged(&["rate limit is exceeded"], 1).await;
    let left = until - jiff::Timestamp::now().as_duration().as_secs_f64();
    assert!((280.0..=301.0).contains(&left), "{left} s");
    tokio::time::sleep(ON_THEIR_WAY).await;
    api.simulator.forget_requests();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(of(&api, "token-1").len(), 0);
    assert!(of(&api, "token-2").len() >= 3);
    // A shutdown does not wait for the pause.
    daemon.stop().await;
}

#[tokio::test]
async fn after_a_pause_each_overdue_zone_comes_before_any_comes_twice() {
    let mut world = world();
    for number in 0..6 {
        world = world.zone(&format!("z{number}.example"), []);
    }
    let api = Api::start(world).await;
    let config = Config::polling("interval: 300ms, discovery_interval: 1h, concurrency: 1");
    let mut daemon = api.daemon(&config).await;
    daemon
        .until("all zones are up", |s| s.sum("zone_up", &[]) == 8.0)
        .await;
    let refusal = Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(1)));
    api.simulator.forget_requests();
    api.simulator
        .add_fault(refusal.on(Operation::ListMappings).zone(BAD).times(1));
    daemon
        .until("the poll failed", |s| s.up(BAD) == Some(false))
        .await;
    daemon.until_read().await;
    daemon.until_polled_again(2.0).await;
    let requests = of(&api, "token-1");
    let gap = longest_gap(&requests);
    let resumed = requests
        .windows(2)
        .position(|pair| pair[1].at - pair[0].at == gap)
        .unwrap()
        + 1;
    let first: BTreeSet<_> = requests[resumed..resumed + 8]
        .iter()
        .map(|r| &r.zone)
        .collect();
    assert_eq!(first.len(), 8);
    daemon.stop().await;
}

#[tokio::test]
async fn a_walk_under_way_waits_for_the_end_of_the_pause_and_goes_on() {
    let mut world = world();
    fill(world.zone_mut(GOOD), 250, "us-east-1");
    fill(world.zone_mut(BAD), 150, "us-east-1");
    let api = Api::start(world).await;
    let on = |kind| Fault::new(kind).on(Operation::ListMappings);
    let late = |millis| on(FaultKind::Delay(Duration::from_millis(millis)));
    api.simulator.add_fault(late(1000).zone(GOOD).page(2));
    // The 429 arrives after the walk has begun, no matter which zone is polled first.
    api.simulator.add_fault(late(300).zone(BAD).page(1));
    let refusal = on(FaultKind::TooManyRequests(RetryAfter::Seconds(2)));
    api.simulator.add_fault(refusal.zone(BAD).page(2).times(1));
    let config = Config::polling("interval: 1h, timeout: 5s, retries: 0");
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon.until_read().await;
    assert_eq!(
        (scrape.mappings(GOOD), scrape.poll_errors(GOOD)),
        (250, 0.0)
    );
    let requests = api.readings(GOOD);
    assert_eq!(requests.len(), 3, "no page is read twice");
    let waited = longest_gap(&requests);
    assert!(waited >= Duration::from_millis(1200), "{waited:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn requests_wait_for_the_reset_when_less_than_a_twentieth_is_left() {
    let mut world = world();
    world.rate_limit = RateLimit {
        requests: 40,
        window: Duration::from_secs(2),
        block: Duration::from_mins(5),
    };
    let api = Api::start(world).await;
    let config = Config::polling("interval: 100ms, discovery_interval: 1h, concurrency: 1");
    let mut daemon = api.daemon(&config).await;
    daemon
        .until("more requests were sent than one window allows", |_| {
            api.simulator.requests().len() > 60
        })
        .await;
    let scrape = daemon.scrape().await;
    assert_eq!(
        scrape.sum("exporter_api_requests_total", &[("code", "429")]),
        0.0
    );
    assert_eq!(scrape.sum("zone_poll_errors_total", &[]), 0.0);
    assert_eq!(scrape.value(BLOCKED_UNTIL, &[]), Some(0.0));
    assert!(scrape.value("exporter_api_rate_limit_remaining", &[]) < Some(40.0));
    let requests = api.simulator.requests();
    let gap = longest_gap(&requests[1..]);
    assert!(gap >= Duration::from_millis(100), "{gap:?}");
    daemon.stop().await;
}
