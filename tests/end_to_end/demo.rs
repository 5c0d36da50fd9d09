//! The demo, scraped by the real Prometheus.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;

use cloudflare_origin_region_exporter::http_client;
use flate2::read::GzDecoder;
use tempfile::tempdir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::exporter::Exporter;
use crate::support::prometheus::Prometheus;
use crate::support::{eventually, rules};

/// The findings that the demo always has: alert, zone, and check.
const SHOWN: [(&str, &str, &str); 12] = [
    ("OriginRegionHostRotating", "docs.example", ""),
    ("OriginRegionHostUnresolvable", "docs.example", ""),
    ("OriginRegionMappingMissing", "api.example", ""),
    ("OriginRegionMappingMissing", "example.com", ""),
    ("OriginRegionMappingStale", "careers.example", ""),
    ("OriginRegionMappingStale", "media.example", ""),
    ("OriginRegionMappingWrong", "blog.example", "declared"),
    ("OriginRegionMappingWrong", "moved.example", "vendor_ranges"),
    (
        "OriginRegionMappingWrong",
        "retired.example",
        "supported_regions",
    ),
    ("OriginRegionMappingsRemoved", "shop.example", ""),
    ("OriginRegionTieredCacheOff", "docs.example", ""),
    ("OriginRegionTieredCacheOff", "uncached.example", ""),
];

/// The addresses of the rotating host are reported as missing until the host counts as rotating,
/// within a minute. The alert does not fire, because its pending period is ten minutes.
const BEFORE_ROTATING: [&str; 3] = ["OriginRegionMappingMissing", "docs.example", ""];

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn prometheus_scrapes_the_demo_without_complaint() {
    let directory = tempdir().unwrap();
    let exporter = Exporter::demo(directory.path()).await;
    let body = compressed_metrics(&exporter).await;
    check_metrics(&body).await;

    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::shipped(),
        None,
    )
    .await;
    let samples = body.lines().filter(|line| !line.starts_with('#')).count();
    // Some mappings are added and removed all the time.
    let about = format!("abs(scrape_samples_scraped - {samples}) < 50");
    eventually("every sample in a scrape", async || {
        match prometheus.query(&about).await.len() {
            1 => Ok(()),
            _ => Err(format!(
                "{:?}",
                prometheus.query("scrape_samples_scraped").await
            )),
        }
    })
    .await;
    let zones = prometheus
        .query("cloudflare_origin_region_zone_info{zone!=\"\"}")
        .await;
    assert_eq!(zones.len(), 13, "the labels of the exporter are honoured");
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn the_demo_fires_what_it_shows_on_purpose_and_nothing_else() {
    let directory = tempdir().unwrap();
    let exporter = Exporter::demo(directory.path()).await;
    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        None,
    )
    .await;
    let shown = SHOWN.map(|(alert, zone, check)| [alert, zone, check].map(str::to_owned));
    let shown = BTreeSet::from(shown);
    let fired = eventually("all alerts", async || {
        // All alerts that have fired, even briefly.
        let fired = prometheus
            .query("max_over_time(ALERTS{alertstate=\"firing\"}[1h])")
            .await;
        let mut fired: BTreeSet<_> = fired
            .iter()
            .map(|alert| ["alertname", "zone", "check"].map(|name| alert.label(name).to_owned()))
            .collect();
        // This alert may have fired, because a minute of the rules takes one second here.
        fired.remove(&BEFORE_ROTATING.map(str::to_owned));
        let lacking: Vec<_> = shown.difference(&fired).collect();
        if lacking.is_empty() {
            Ok(fired)
        } else {
            Err(format!("{lacking:?}"))
        }
    })
    .await;
    assert_eq!(fired, shown);
    let [alert, zone, _] = BEFORE_ROTATING;
    let missing = format!("ALERTS{{alertname=\"{alert}\",zone=\"{zone}\"}}");
    eventually(
        "no more missing mappings of the host",
        async || match &*prometheus.query(&missing).await {
            [] => Ok(()),
            alerts => Err(format!("{alerts:?}")),
        },
    )
    .await;
}

/// The exposition as Prometheus receives it, with gzip.
async fn compressed_metrics(exporter: &Exporter) -> String {
    // A client that does not decompress.
    let client = http_client::client_builder(None).unwrap().no_gzip().build();
    let request = client
        .unwrap()
        .get(exporter.url("/metrics"))
        .header("accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
        .header("accept-encoding", "gzip");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let compressed = answer.bytes().await.unwrap();
    let mut body = String::new();
    GzDecoder::new(&*compressed)
        .read_to_string(&mut body)
        .unwrap();
    body
}

/// Checks that `promtool check metrics` reports nothing.
async fn check_metrics(body: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts; run scripts/install-e2e-tools");
    let mut input = promtool.stdin.take().unwrap();
    let (written, output) = tokio::join!(
        async move { input.write_all(body.as_bytes()).await },
        promtool.wait_with_output()
    );
    written.unwrap();
    let output = output.unwrap();
    let output_text = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&output_text);
    assert!(
        output.status.success() && output_text.is_empty(),
        "{output_text}"
    );
}
