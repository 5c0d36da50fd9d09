//! Reloads of the configuration.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Credential, RateLimit, World};

use crate::scrape::Scrape;
use crate::support::{Api, BAD, Config, Daemon, GOOD, OTHER_TOKEN, TOKEN, get, request, world};

/// Writes another configuration to the file of the daemon.
fn write(daemon: &Daemon, api: &Api, config: &Config) {
    let text = config.text(&api.simulator.base_url());
    fs::write(daemon.folder.path().join("config.yaml"), text).unwrap();
}

fn reloads(scrape: &Scrape) -> Option<f64> {
    scrape.value("exporter_config_last_reload_successful", &[])
}

#[tokio::test]
async fn intervals_filters_and_expectations_change_and_counters_go_on() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let before = daemon.until_polled_again(5.0).await.polls(GOOD);
    let config = Config {
        poll: "interval: 100ms, discovery_interval: 10s".to_owned(),
        accounts: format!(
            "[{{ name: main, api_token: {TOKEN}, zones: {{ exclude: ['bad.*'] }} }}]"
        ),
        more: format!("expect: {{ zones: {{ {GOOD}: [ {{ origin_ip: 192.0.2.77 }} ] }} }}\n"),
        ..Config::default()
    };
    write(&daemon, &api, &config);
    daemon.signal("HUP");
    let scrape = daemon
        .until("the expectation is judged", |scrape| {
            scrape.count(
                "missing_mapping",
                &[("zone", GOOD), ("origin_ip", "192.0.2.77")],
            ) == 1
        })
        .await;
    assert_eq!(
        scrape.value("exporter_poll_interval_seconds", &[]),
        Some(0.1)
    );
    assert_eq!(
        scrape.value("zone_poll_interval_seconds", &[("zone", GOOD)]),
        Some(0.1)
    );
    assert_eq!(scrape.count("zone_info", &[("zone", BAD)]), 0);
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "filtered")]),
        Some(1.0)
    );
    assert!(scrape.polls(GOOD) >= before, "counters are kept");
    assert_eq!(reloads(scrape), Some(1.0));
    daemon.until_polled_again(5.0).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_that_leaves_the_filter_takes_all_its_series_along() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let before = daemon.until_read().await.polls(GOOD);
    let config = Config {
        accounts: format!("[{{ name: main, api_token: {TOKEN}, zones: {{ exclude: [{BAD}] }} }}]"),
        ..Config::default()
    };
    write(&daemon, &api, &config);
    daemon.signal("HUP");
    let scrape = daemon
        .until("the zone is filtered", |scrape| {
            scrape.value("exporter_zones", &[("state", "filtered")]) == Some(1.0)
        })
        .await;
    assert!(!scrape.text.contains(BAD), "{}", scrape.text);
    assert_eq!((scrape.up(GOOD), scrape.mappings(GOOD)), (Some(true), 3));
    let scrape = daemon.until_polled_again(3.0).await;
    assert!(scrape.polls(GOOD) > before, "counters are kept");
    assert!(!scrape.text.contains(BAD), "{}", scrape.text);
    daemon.assert_logged(&["zones changed", "gone=1 "], 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_the_log_says_why() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let bad = Config {
        poll: "interval: soon, retries: -1".to_owned(),
        ..Config::default()
    };
    write(&daemon, &api, &bad);
    daemon.signal("HUP");
    daemon
        .until("the reload has failed", |scrape| {
            reloads(scrape) == Some(0.0)
        })
        .await;
    let logged = "configuration reload failed, the old configuration stays in force";
    daemon.until_logged(&["level=error", logged]).await;
    daemon
        .assert_logged(&["level=error", "poll.interval", "soon"], 1)
        .await;
    daemon
        .assert_logged(&["level=error", "poll.retries"], 1)
        .await;
    let scrape = daemon.until_polled_again(3.0).await;
    assert_eq!(
        scrape.value("exporter_poll_interval_seconds", &[]),
        Some(0.2)
    );
    write(&daemon, &api, &Config::default());
    daemon.signal("HUP");
    daemon
        .until("the reload has succeeded", |scrape| {
            reloads(scrape) == Some(1.0)
        })
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn credentials_rotate() {
    let api = Api::start(world().credential(Credential::user_token("other", OTHER_TOKEN))).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let other = Config {
        accounts: format!("[{{ name: main, api_token: {OTHER_TOKEN} }}]"),
        ..Config::default()
    };
    write(&daemon, &api, &other);
    daemon.signal("HUP");
    let of_other = || {
        let requests = api.simulator.requests();
        requests
            .iter()
            .filter(|request| request.credential.as_deref() == Some("other"))
            .count()
    };
    daemon
        .until("the other token is used", |_| of_other() > 3)
        .await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.poll_errors(GOOD) + scrape.poll_errors(BAD), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn an_account_that_goes_takes_its_series_along_and_one_that_comes_is_polled() {
    let world = World {
        rate_limit: RateLimit::NONE,
        ..World::single_token(TOKEN)
    }
    .account("second-account", "Second")
    .credential(Credential::user_token("other", OTHER_TOKEN).only_accounts(["second-account"]))
    .zone(GOOD, [("192.0.2.1", "aws", "us-east-1")])
    .zone_of(
        "second-account",
        "second.example",
        [("192.0.2.2", "aws", "us-east-1")],
    );
    let api = Api::start(world).await;
    let both = Config {
        accounts: format!(
            "[{{ name: main, api_token: {TOKEN}, zones: {{ include: [{GOOD}] }} }}, \
             {{ name: second, api_token: {OTHER_TOKEN} }}]"
        ),
        ..Config::default()
    };
    let one = Config {
        accounts: format!("[{{ name: second, api_token: {OTHER_TOKEN} }}]"),
        ..Config::default()
    };
    let mut daemon = api.daemon(&both).await;
    let up = |scrape: &Scrape, zone: &str| scrape.up(zone) == Some(true);
    daemon
        .until("both zones are read", |s| {
            up(s, GOOD) && up(s, "second.example")
        })
        .await;
    write(&daemon, &api, &one);
    daemon.signal("HUP");
    daemon
        .until("the first zone is gone", |s| {
            s.up(GOOD).is_none() && !s.text.contains("account=\"main\"")
        })
        .await;
    daemon.until_polls_of("second.example", 3.0).await;
    write(&daemon, &api, &both);
    daemon.signal("HUP");
    daemon
        .until("the first zone is back", |scrape| up(scrape, GOOD))
        .await;
    daemon.until_polls_of("second.example", 3.0).await;
    daemon.stop().await;
}

#[tokio::test]
async fn over_http_where_it_is_switched_on() {
    let api = Api::start(world()).await;
    let config = Config::default().text(&api.simulator.base_url());
    let mut daemon = Daemon::start_with(&config, &["--web.enable-lifecycle"], &[]).await;
    daemon.until_read().await;
    for method in ["POST", "PUT"] {
        let (status, body) = request(daemon.address, method, "/-/reload").await;
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains("restart"),
            "settings that need a restart are listed: {body}"
        );
    }
    let (status, _) = get(daemon.address, "/-/reload").await;
    assert_eq!(status, 405);
    fs::write(
        daemon.folder.path().join("config.yaml"),
        "poll: { intervall: 1s }",
    )
    .unwrap();
    let (status, body) = request(daemon.address, "POST", "/-/reload").await;
    assert!((400..600).contains(&status), "{status}");
    assert!(body.contains("poll.intervall"), "{body}");
    daemon
        .until("the failed reload shows", |scrape| {
            reloads(scrape) == Some(0.0)
        })
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn over_http_it_is_forbidden_by_default() {
    let api = Api::start(world()).await;
    let daemon = api.daemon(&Config::default()).await;
    let (status, body) = request(daemon.address, "POST", "/-/reload").await;
    assert_eq!(status, 403);
    assert!(body.contains("--web.enable-lifecycle"), "{body}");
    daemon.stop().await;
}

#[tokio::test]
async fn no_scrape_fails_and_readiness_stays_while_reloads_go_on() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    daemon.until_ready().await;
    let address = daemon.address;
    let over = Arc::new(AtomicBool::new(false));
    let scrapers: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut last = Scrape::default();
                while !over.load(Ordering::Relaxed) {
                    let (status, text) = get(address, "/metrics").await;
                    assert_eq!(status, 200, "{text}");
                    let scrape = Scrape::parse(&text);
                    scrape.assert_follows(&last);
                    assert_eq!(scrape.count("zone_up", &[]), 2, "no zone is lost");
                    last = scrape;
                    assert_eq!(get(address, "/-/ready").await.0, 200);
                }
            })
        })
        .collect();
    for round in 0..10 {
        let interval = 100 + 50 * (round % 3);
        write(
            &daemon,
            &api,
            &Config::polling(&format!("interval: {interval}ms")),
        );
        daemon.signal("HUP");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.until_polled_again(3.0).await;
    over.store(true, Ordering::Relaxed);
    for scraper in scrapers {
        scraper.await.unwrap();
    }
    daemon.stop().await;
}

#[tokio::test]
async fn zones_whose_account_goes_go_on_with_another_that_lists_them() {
    let other = Credential::user_token("other", OTHER_TOKEN);
    let api = Api::start(world().credential(other)).await;
    let second = format!("{{ name: second, api_token: {OTHER_TOKEN} }}");
    let both = Config {
        accounts: format!("[{{ name: main, api_token: {TOKEN} }}, {second}]"),
        ..Config::default()
    };
    let one = Config {
        accounts: format!("[{second}]"),
        ..Config::default()
    };
    let mut daemon = api.daemon(&both).await;
    let duplicates = [("account", "second"), ("state", "duplicate")];
    daemon
        .until("both accounts have listed their zones", |scrape| {
            scrape.value("exporter_zones", &duplicates) == Some(2.0)
        })
        .await;
    let before = daemon.until_polled_again(3.0).await.polls(GOOD);
    for (config, account) in [(&one, "second"), (&both, "main")] {
        write(&daemon, &api, config);
        daemon.signal("HUP");
        let of_account = [("zone", GOOD), ("account", account)];
        daemon
            .until("the zone belongs to the other account", |scrape| {
                scrape.count("zone_info", &of_account) == 1
            })
            .await;
        let scrape = daemon.until_polled_again(5.0).await;
        assert!(scrape.polls(GOOD) > before, "counters are kept");
        assert_eq!(scrape.up(BAD), Some(true));
    }
    daemon.stop().await;
}
