//! `demo`

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::strict::families;
use crate::support::{PATIENCE, command, run};

async fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The time limit for events of the demo that happen now and then.
const LONG_PATIENCE: Duration = Duration::from_mins(2);

/// The families that the demo has after some time.
const SHOWN: &[&str] = &[
    "mappings",
    "zone_mappings",
    "zone_mappings_limit",
    "mapping_info",
    "mapping_last_modified_timestamp_seconds",
    "oldest_mapping_age_seconds",
    "newest_mapping_age_seconds",
    "mapping_changes_total",
    "expected_origins",
    "missing_mappings",
    "missing_mapping",
    "wrong_mappings",
    "wrong_mapping",
    "origin_hosts",
    "stale_mappings",
    "stale_after_seconds",
    "unverified_mappings",
    "tiered_cache_enabled",
    "smart_tiered_cache_enabled",
    "upper_tier_info",
    "vendor_ranges_up",
    "vendor_ranges_prefixes",
    "vendor_ranges_published_timestamp_seconds",
    "vendor_ranges_last_success_timestamp_seconds",
    "zone_info",
    "zone_up",
    "zone_last_success_timestamp_seconds",
    "zone_poll_duration_seconds",
    "zone_poll_interval_seconds",
    "zone_polls_total",
    "zone_rejected_rows_total",
    "exporter_build_info",
    "exporter_zones",
    "exporter_unmatched_zones",
    "exporter_shard_ordinal",
    "exporter_total_shards",
    "exporter_api_requests_total",
    "exporter_api_errors_total",
    "exporter_api_request_duration_seconds",
    "exporter_api_rate_limit_remaining",
    "exporter_api_budget_requests",
    "exporter_api_blocked_until_timestamp_seconds",
    "exporter_api_throttled_seconds_total",
    "exporter_discovery_up",
    "exporter_discovery_last_success_timestamp_seconds",
    "exporter_token_valid",
    "exporter_audit_log_up",
    "exporter_audit_log_last_success_timestamp_seconds",
    "exporter_audit_log_entries_total",
    "exporter_prompted_polls_total",
    "exporter_poll_interval_seconds",
    "exporter_poll_lag_seconds",
    "exporter_config_last_reload_successful",
    "exporter_config_last_reload_success_timestamp_seconds",
    "exporter_dns_queries_total",
    "exporter_dns_query_duration_seconds",
    "exporter_http_requests_total",
];

/// One finding of each kind, as the start of its series.
const FINDINGS: &[&str] = &[
    "missing_mapping{zone=\"example.com\"",
    "missing_mapping{zone=\"api.example\"",
    "wrong_mapping{zone=\"moved.example\"",
    "wrong_mapping{zone=\"retired.example\"",
    "wrong_mapping{zone=\"blog.example\"",
];

#[tokio::test]
async fn the_demo_says_where_it_is_shows_every_kind_of_finding_and_ends_at_once() {
    let started = Instant::now();
    let mut demo = command(&["demo", "--web.listen-address", "127.0.0.1:0"])
        .spawn()
        .unwrap();
    let mut welcome = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut printed = Vec::new();
    while !printed.iter().any(|line: &String| line.contains("Ctrl-C")) {
        let line = timeout(PATIENCE, welcome.next_line()).await.unwrap();
        printed.push(line.unwrap().expect("more output"));
    }
    let address = |what: &str| {
        let line = printed
            .iter()
            .find(|line| line.trim_start().starts_with(what));
        let (_, url) = line.unwrap().split_once("http://").unwrap();
        url.split_once('/').unwrap().0.to_owned()
    };
    let (page, api) = (address("page"), address("API"));
    assert_eq!(address("metrics"), page);
    assert!(
        printed.iter().any(|line| line.contains("demo-token")),
        "{printed:?}"
    );
    while !get(&page, "/-/ready").await.0.contains(" 200 ") {
        assert!(started.elapsed() < PATIENCE);
        sleep(Duration::from_millis(20)).await;
    }
    assert!(
        get(&api, "/client/v4/zones").await.0.contains(" 400 "),
        "no credentials"
    );
    assert!(get(&page, "/").await.1.contains("example.com"));
    loop {
        let text = get(&page, "/metrics").await.1;
        let families = families(&text);
        let shown = |name: &&str| {
            let name = format!("cloudflare_origin_region_{name}");
            families.get(&name).is_some_and(|(_, series)| *series > 0)
        };
        let begun = |begin: &&str| text.contains(&format!("cloudflare_origin_region_{begin}"));
        let stale = text.lines().any(|line| {
            line.starts_with("cloudflare_origin_region_stale_mappings") && !line.ends_with(" 0")
        });
        let absent: Vec<_> = SHOWN
            .iter()
            .filter(|name| !shown(name))
            .chain(FINDINGS.iter().filter(|begin| !begun(begin)))
            .collect();
        if absent.is_empty() && stale {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "not shown: {absent:?}");
        sleep(Duration::from_millis(100)).await;
    }
    // Users change mappings all the time, and the audit log contains their names.
    while !get(&page, "/api/v1/changes")
        .await
        .1
        .contains("sam@example.com")
    {
        assert!(started.elapsed() < PATIENCE, "no change has an actor");
        sleep(Duration::from_millis(100)).await;
    }
    // One of these changes removes a mapping that is needed. Until it is added again, it is in the
    // plan.
    let zone = "/api/v1/plan?zone=shop.example";
    let put =
        "\"put\":[{\"origin_ip\":\"34.68.100.12\",\"vendor\":\"gcp\",\"region\":\"us-central1\"";
    while !get(&page, zone).await.1.contains(put) {
        assert!(
            started.elapsed() < LONG_PATIENCE,
            "the mapping is in no plan"
        );
        sleep(Duration::from_millis(200)).await;
    }
    let (_, removed) = get(
        &page,
        "/api/v1/changes?origin_ip=34.68.100.12&kind=mapping_removed",
    )
    .await;
    assert!(removed.contains("sam@example.com"), "{removed}");
    let (_, zone) = get(&page, "/zones/shop.example").await;
    assert!(
        zone.contains("sam@example.com") && zone.contains("curl"),
        "{zone}"
    );
    let pid = Pid::from_raw(demo.id().unwrap().try_into().unwrap()).unwrap();
    let asked = Instant::now();
    kill_process(pid, Signal::INT).unwrap();
    let status = timeout(PATIENCE, demo.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn the_demo_refuses_a_configuration_file() {
    let ended = run(&mut command(&["demo", "--config.file", "/nonexistent"])).await;
    ended
        .code(2)
        .complains(&["--config.file", "configuration of its own"]);
}
