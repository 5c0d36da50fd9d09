//! From a deleted mapping to a notification, through the real Prometheus and Alertmanager.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Simulator, World, demo};
use jiff::{Timestamp, ToSpan as _};
use tempfile::tempdir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::alertmanager::Alertmanager;
use crate::support::exporter::Exporter;
use crate::support::official_client::OfficialClient;
use crate::support::prometheus::Prometheus;
use crate::support::webhook::Webhook;
use crate::support::{eventually, ranges, rules};

const TOKEN: &str = "token-of-a-test";
const ORIGIN: &str = "3.80.2.2";
const MISSING: &str = "OriginRegionMappingMissing";
/// The rules may be evaluated before the first scrape, so this alert may be pending for a moment.
const AT_FIRST: &str = "OriginRegionExporterAbsent";
/// The number of polls of each zone before the world counts as healthy.
const POLLS: &str = "15";

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn nothing_fires_where_all_is_well() {
    let directory = tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let api = Simulator::local(healthy(), shutdown).await.unwrap();
    let exporter = Exporter::serve(directory.path(), &configuration(&api)).await;
    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        None,
    )
    .await;
    eventually("enough polls of each zone", async || {
        let polls = "cloudflare_origin_region_zone_polls_total >= ".to_owned() + POLLS;
        match prometheus.query(&polls).await.len() {
            3 => Ok(()),
            zones => Err(format!("{zones} zones only")),
        }
    })
    .await;
    let pending = format!("max_over_time(ALERTS{{alertname!=\"{AT_FIRST}\"}}[1h]) or ALERTS");
    assert_eq!(prometheus.query(&pending).await, [], "not even pending");
    let findings = prometheus
        .query("sum(cloudflare_origin_region_expected_origins) > 2")
        .await;
    assert_eq!(findings.len(), 1, "something is expected");
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager, and EXPORTER_PYTHON, the \
            interpreter that scripts/python-env prints; run by scripts/test"]
async fn a_deleted_mapping_is_told_and_so_is_its_return() {
    let directory = tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let api = Simulator::local(healthy(), shutdown).await.unwrap();
    let exporter = Exporter::serve(directory.path(), &configuration(&api)).await;
    let webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(directory.path(), webhook.address).await;
    let _prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        Some(alertmanager.address),
    )
    .await;
    assert_eq!(webhook.find(MISSING, "firing"), None);

    let client = OfficialClient::new(&api, TOKEN);
    client.delete("example.com", ORIGIN).await;
    let alert = eventually("the alert", async || {
        webhook.find(MISSING, "firing").ok_or_else(String::new)
    })
    .await;
    assert_eq!(alert["labels"]["zone"], "example.com");
    assert_eq!(alert["labels"]["account"], "test");
    assert_eq!(alert["labels"]["severity"], "warning");
    let annotation = |name: &str| alert["annotations"][name].as_str().unwrap();
    assert_eq!(
        annotation("summary"),
        "Origins have no cloud region mapping."
    );
    let description = annotation("description");
    assert!(
        description
            .contains("Zone example.com (account test) has 1 expected origins without a mapping")
            && description.contains("3.80.2.2 (by config, in aws us-east-1)"),
        "{description}"
    );
    let runbook = annotation("runbook_url");
    assert!(
        runbook.ends_with("/deploy/runbooks.md#originregionmappingmissing"),
        "{runbook}"
    );
    assert_eq!(webhook.find(MISSING, "resolved"), None);

    client.put("example.com", ORIGIN, "aws", "us-east-1").await;
    eventually("the end of the alert", async || {
        webhook.find(MISSING, "resolved").ok_or_else(String::new)
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn an_alert_goes_on_firing_while_the_exporter_restarts_and_the_api_is_down() {
    let directory = tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let api = Simulator::local(healthy(), shutdown).await.unwrap();
    let mut exporter = Exporter::serve_stored(directory.path(), &configuration(&api)).await;
    let webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(directory.path(), webhook.address).await;
    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        Some(alertmanager.address),
    )
    .await;
    api.update(|world| world.zone_mut("example.com").unmap(ORIGIN));
    eventually("the alert", async || {
        webhook.find(MISSING, "firing").ok_or_else(String::new)
    })
    .await;

    api.add_fault(Fault::new(FaultKind::Status(503, None)));
    exporter.kill_and_start(directory.path()).await;
    let restarted = eventually("a scrape of the new process", async || {
        let starts = "changes(process_start_time_seconds[1h]) > 0 and on () up == 1";
        let found = prometheus.query(starts).await.first().cloned();
        found.ok_or_else(String::new)
    })
    .await;
    assert!((restarted.value - 1.0).abs() < 0.5, "one restart");
    let is_firing = async || {
        let found = format!("cloudflare_origin_region_missing_mapping{{origin_ip=\"{ORIGIN}\"}}");
        assert_eq!(prometheus.query(&found).await.len(), 1, "it is served");
        let firing = format!("ALERTS{{alertname=\"{MISSING}\",alertstate=\"firing\"}}");
        assert_eq!(prometheus.query(&firing).await.len(), 1, "it fires");
        assert_eq!(webhook.find(MISSING, "resolved"), None);
    };
    // Longer than every pending period and range of the rules.
    let down = Instant::now();
    while down.elapsed() < Duration::from_secs(65) {
        is_firing().await;
        sleep(Duration::from_secs(1)).await;
    }

    // The API works again, but the mapping is still missing.
    api.clear_faults();
    eventually("polls that succeed", async || {
        let since = "time() - cloudflare_origin_region_zone_last_success_timestamp_seconds < 3";
        match prometheus.query(since).await.len() {
            3 => Ok(()),
            zones => Err(format!("{zones} zones only")),
        }
    })
    .await;
    is_firing().await;

    let now = Timestamp::now();
    api.update(|world| {
        let zone = world.zone_mut("example.com");
        zone.map(ORIGIN, "aws", "us-east-1", Some(now));
    });
    eventually("the end of the alert", async || {
        webhook.find(MISSING, "resolved").ok_or_else(String::new)
    })
    .await;
}

/// Three healthy zones, one of them without mappings.
fn healthy() -> World {
    let mut world = World::single_token(TOKEN)
        .zone("example.com", [])
        .zone("shop.example", [])
        .zone("empty.example", []);
    let written = Timestamp::now() - (24 * 30).hours();
    let zone = world.zone_mut("example.com");
    zone.map("3.80.2.1", "aws", "us-east-1", Some(written));
    zone.map(ORIGIN, "aws", "us-east-1", Some(written));
    zone.record("A", "www.example.com", "3.80.2.1", true);
    let zone = world.zone_mut("shop.example");
    zone.map("34.68.100.1", "gcp", "us-central1", Some(written));
    zone.map("2600:1f18:b:1::1", "gcp", "us-central1", Some(written));
    zone.record("AAAA", "www.shop.example", "2600:1f18:b:1::1", true);
    demo::serve_range_files(&mut world);
    world
}

fn configuration(api: &Simulator) -> String {
    let text = format!(
        "poll: {{ interval: 1s }}\n\
         cloudflare: {{ base_url: \"{}\" }}\n\
         accounts: [{{ name: test, api_token: {TOKEN} }}]\n\
         expect:\n\
         \x20 from_dns: true\n\
         \x20 from_load_balancers: true\n\
         \x20 zones:\n\
         \x20   example.com: [{{ origin_ip: {ORIGIN}, vendor: aws, region: us-east-1 }}]\n",
        api.base_url()
    );
    text + &ranges::configuration(api)
}
