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

/// What the demo shows on purpose: alert, zone, and the check that says so.
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

/// The addresses of the rotating host are missing until it has had enough of them, within a minute.
/// The alert waits ten minutes, and so does not fire before that.
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
    // A few mappings come and go all the time.
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
        // Whatever has fired, if only for a moment.
        let fired = prometheus
            .query("max_over_time(ALERTS{alertstate=\"firing\"}[1h])")
            .await;
        let mut fired: BTreeSet<_> = fired
            .iter()
            .map(|alert| ["alertname", "zone", "check"].map(|name| alert.label(name).to_owned()))
            .collect();
        // It may have fired, because a minute lasts a second here; see below.
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

/// The metrics as they go to Prometheus, which asks for gzip.
async fn compressed_metrics(exporter: &Exporter) -> String {
    // A client that leaves the bytes as they came.
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

/// Prometheus' own linter has nothing to say.
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
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
