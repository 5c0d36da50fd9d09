//! Credentials that are revoked, replaced, or wrong from the start.

use std::fs;
use std::path::PathBuf;

use cloudflare_origin_region_exporter::simulator::{
    Credential, CredentialStatus, Fault, FaultKind, Operation, Secret,
};

use crate::scrape::Scrape;
use crate::support::{Api, BAD, Config, Daemon, GOOD, OTHER_TOKEN, TOKEN, request, world};

const VALID: &str = "exporter_token_valid";

/// Starts a daemon with a token file, and waits until both zones are read.
async fn with_token_file() -> (Api, PathBuf, Daemon) {
    let api = Api::start(world()).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
    let config = Config {
        accounts: "[{ name: main, api_token_file: token }]".to_owned(),
        ..Config::default()
    };
    let config = config.text(&api.simulator.base_url());
    let mut daemon = Daemon::start_in(folder, &config).await;
    daemon.until_read().await;
    (api, token_file, daemon)
}

#[tokio::test]
async fn a_token_that_is_revoked_in_flight_is_told_and_its_return_too() {
    let api = Api::start(world()).await;
    let set = |status| {
        api.simulator
            .update(|world| world.credentials[0].status = status);
    };
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    daemon
        .until("the token is good", |s| s.value(VALID, &[]) == Some(1.0))
        .await;
    set(CredentialStatus::Disabled);
    let scrape = daemon
        .until("the token is refused and both zones fail", |scrape| {
            scrape.value(VALID, &[]) == Some(0.0)
                && scrape.up(BAD) == Some(false)
                && scrape.up(GOOD) == Some(false)
                && scrape.value("exporter_discovery_up", &[]) == Some(0.0)
        })
        .await;
    let reasons = scrape.values_of("reason", "zone_poll_errors_total", &[]);
    assert_eq!(reasons, ["unauthorized"]);
    assert_eq!((scrape.mappings(BAD), scrape.mappings(GOOD)), (3, 3));
    assert_eq!(scrape.sum("exporter_api_retries_total", &[]), 0.0);
    let logged = ["level=warn", "poll failed", "reason=unauthorized "];
    daemon.assert_logged(&logged, 2).await;
    set(CredentialStatus::Active);
    daemon.until_read().await;
    daemon
        .until("the token is good again", |s| {
            s.value(VALID, &[]) == Some(1.0)
        })
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_refused_token_slows_the_account_down_to_discovery_until_that_succeeds() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 100ms, discovery_interval: 1s");
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    let refusal = "Invalid access token".to_owned();
    let kind = FaultKind::ApiError(401, 1000, refusal);
    api.simulator.add_fault(Fault::new(kind));
    let refused = ["Cloudflare refuses the credentials of the account"];
    daemon
        .until("the token is refused", |s| s.value(VALID, &[]) == Some(0.0))
        .await;
    daemon.until_logged(&refused).await;
    let polls = || api.simulator.count(Operation::ListMappings);
    let (before, listings) = (polls(), api.simulator.count(Operation::ListZones));
    let verifications = api.simulator.count(Operation::VerifyUserToken);
    daemon
        .until("the zones were listed three more times", |_| {
            api.simulator.count(Operation::ListZones) >= listings + 3
        })
        .await;
    assert_eq!(polls(), before, "only discovery continues");
    assert_eq!(
        api.simulator.count(Operation::VerifyUserToken),
        verifications
    );
    let scrape = daemon.scrape().await;
    assert_eq!(
        (scrape.up(GOOD), scrape.up(BAD)),
        (Some(false), Some(false))
    );
    assert_eq!(scrape.mappings(GOOD), 3, "the last good data stays");
    daemon.assert_logged(&refused, 1).await;
    api.simulator.clear_faults();
    daemon.until_read().await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value(VALID, &[]), Some(1.0));
    daemon.stop().await;
}

#[tokio::test]
async fn one_zone_that_refuses_the_token_stops_no_other() {
    let api = Api::start(world()).await;
    let refusal = "Authentication error".to_owned();
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let kind = FaultKind::ApiError(401, 10000, refusal);
    api.fail(kind);
    daemon
        .until("the zone fails", |s| s.up(BAD) == Some(false))
        .await;
    let scrape = daemon.until_polls_of(GOOD, 5.0).await;
    assert_eq!(scrape.up(GOOD), Some(true));
    assert_eq!(daemon.logged(&["Cloudflare refuses the credentials"]), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn reloads_verify_a_token_only_if_it_is_another() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 10s").text(&api.simulator.base_url());
    let mut daemon = Daemon::start_with(&config, &["--web.enable-lifecycle"], &[]).await;
    daemon
        .until("the token is verified", |s| {
            s.value(VALID, &[]) == Some(1.0) && api.simulator.count(Operation::VerifyUserToken) > 0
        })
        .await;
    let before = api.simulator.requests().len();
    for _ in 0..20 {
        let (status, text) = request(daemon.address, "POST", "/-/reload").await;
        assert_eq!(status, 200, "{text}");
    }
    daemon.scrape().await;
    assert_eq!(api.simulator.requests().len(), before);
    let other = config.replace(TOKEN, OTHER_TOKEN);
    fs::write(daemon.folder.path().join("config.yaml"), other).unwrap();
    let count = || api.simulator.count(Operation::VerifyUserToken);
    let verified = count();
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..100 {
        storm.spawn(request(daemon.address, "POST", "/-/reload"));
        if storm.len() % 10 == 0 {
            daemon.signal("HUP");
        }
    }
    for (status, text) in storm.join_all().await {
        assert_eq!(status, 200, "{text}");
    }
    daemon.until("it is verified", |_| count() > verified).await;
    let (status, _) = request(daemon.address, "POST", "/-/reload").await;
    assert_eq!(status, 200);
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.value(VALID, &[]), Some(1.0));
    assert_eq!(count(), verified + 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_file_that_is_replaced_is_read_again() {
    let (api, token_file, mut daemon) = with_token_file().await;
    api.simulator.update(|world| {
        world.credentials[0].secret = Secret::UserToken(OTHER_TOKEN.to_owned());
    });
    daemon
        .until("the old token is refused", |s| s.up(GOOD) == Some(false))
        .await;
    fs::write(&token_file, format!("{OTHER_TOKEN}\n")).unwrap();
    daemon.until_read().await;
    daemon
        .until("the token is good", |s| s.value(VALID, &[]) == Some(1.0))
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_file_that_is_replaced_in_time_costs_no_poll() {
    let (api, token_file, mut daemon) = with_token_file().await;
    api.simulator.update(|world| {
        let new = Credential::user_token("token-2", OTHER_TOKEN);
        world.credentials.push(new);
    });
    fs::write(&token_file, OTHER_TOKEN).unwrap();
    api.simulator.update(|world| world.credentials.remove(0));
    let scrape = daemon.until_polled_again(3.0).await;
    assert_eq!(scrape.sum("zone_poll_errors_total", &[]), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_the_last_good_secret_of_a_file_that_cannot_be_read() {
    let (_api, token_file, mut daemon) = with_token_file().await;
    fs::write(&token_file, "").unwrap();
    let reloaded =
        |s: &Scrape| s.value("exporter_config_last_reload_success_timestamp_seconds", &[]);
    let before = reloaded(daemon.last());
    daemon.signal("HUP");
    daemon
        .until("it has reloaded", |s| reloaded(s) > before)
        .await;
    let scrape = daemon.until_polled_again(3.0).await;
    assert_eq!(scrape.sum("zone_poll_errors_total", &[]), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_key_with_an_address_is_sent_as_such_and_is_not_verified() {
    let mut world = world();
    world.credentials = vec![Credential::key("key-1", "ops@example.com", OTHER_TOKEN)];
    let api = Api::start(world).await;
    let config = Config {
        accounts: format!("[{{ name: main, email: ops@example.com, api_key: {OTHER_TOKEN} }}]"),
        ..Config::default()
    };
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    let scrape = daemon.until_polled_again(1.0).await;
    assert_eq!(scrape.count(VALID, &[]), 0);
    assert_eq!(
        scrape.sum(
            "exporter_api_requests_total",
            &[("operation", "verify_token")]
        ),
        0.0
    );
    daemon.stop().await;
}
