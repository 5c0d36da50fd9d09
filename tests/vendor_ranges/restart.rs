//! What a restart and a reload keep.

use cloudflare_origin_region_exporter::domain::Vendor;
use cloudflare_origin_region_exporter::vendor_ranges::{RangeSource, StoredRanges, StoredRefresh};
use tokio::time::timeout;

use crate::support::{Answer, Fixture, PATIENCE, Server, gcp_file, json};

/// The ranges that a fixture would store.
async fn stored(fixture: &Fixture) -> Vec<(String, StoredRanges, StoredRefresh)> {
    let refreshed = timeout(PATIENCE, fixture.ranges.refreshed()).await.unwrap();
    let stored = refreshed.into_iter().map(|refreshed| {
        let json = serde_json::to_vec(&refreshed.ranges.unwrap()).unwrap();
        let ranges = serde_json::from_slice(&json).unwrap();
        (refreshed.vendor.to_string(), ranges, refreshed.refresh)
    });
    stored.collect()
}

#[tokio::test]
async fn after_a_restart_ranges_are_in_use_at_once_and_asked_for_only_if_they_changed() {
    let server = Server::start().await;
    let head = "HTTP/1.1 200 OK\r\netag: \"v1\"\r\n\
                last-modified: Tue, 28 Apr 2026 05:00:00 GMT\r\n";
    server.answer("/cloud.json", Answer::Whole(head, gcp_file(200)));
    let source = || RangeSource::Url(server.url("/cloud.json"));
    let first = Fixture::with_gcp(source());
    first.ranges.refresh_all_once().await;
    let stored = stored(&first).await;
    assert_eq!(stored.len(), 4);
    let restart = || {
        let fixture = Fixture::with_gcp(source());
        for (vendor, ranges, refresh) in &stored {
            fixture.ranges.restore(vendor, ranges, *refresh);
        }
        fixture
    };
    let again = restart();
    assert!(again.ranges.all_loaded());
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    for name in ["up", "prefixes", "last_success_timestamp_seconds"] {
        assert!(again.metric(name, "gcp").is_some_and(|value| value > 0.5));
        assert_eq!(
            again.metric(name, "gcp"),
            first.metric(name, "gcp"),
            "{name}"
        );
    }
    assert!(first.metric("published_timestamp_seconds", "gcp") > Some(0.0));
    server.take_requests();
    let unchanged = "HTTP/1.1 304 Not Modified\r\n";
    server.answer("/cloud.json", Answer::Whole(unchanged, String::new()));
    again.ranges.refresh_all_once().await;
    let requests = server.take_requests();
    assert!(
        requests[0].contains("if-none-match: \"v1\""),
        "{requests:?}"
    );
    assert!(requests[0].contains("if-modified-since: tue, 28 apr 2026 05:00:00 gmt"));
    assert!(again.up("gcp"));
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    let refreshed = timeout(PATIENCE, again.ranges.refreshed()).await.unwrap();
    let gcp = refreshed
        .iter()
        .find(|refreshed| refreshed.vendor == Vendor::Gcp);
    assert!(gcp.unwrap().ranges.is_none());

    // If a source fails, they stay in use with their time.
    server.answer(
        "/cloud.json",
        Answer::Whole("HTTP/1.1 503 Service Unavailable\r\n", String::new()),
    );
    let again = restart();
    again.ranges.refresh_all_once().await;
    assert!(!again.up("gcp") && again.up("aws"));
    assert_eq!(again.verdict("34.0.1.1"), "gcp us-west1");
    let time = "last_success_timestamp_seconds";
    assert_eq!(again.metric(time, "gcp"), first.metric(time, "gcp"));
    let refreshed = timeout(PATIENCE, again.ranges.refreshed()).await.unwrap();
    let gcp = refreshed
        .iter()
        .find(|refreshed| refreshed.vendor == Vendor::Gcp);
    assert!(!gcp.unwrap().refresh.succeeded);

    // A restart accepts a file that has shrunk, but only once.
    let again = restart();
    server.answer("/cloud.json", json(&gcp_file(120)));
    again.ranges.refresh_all_once().await;
    server.answer("/cloud.json", json(&gcp_file(50)));
    again.ranges.refresh_all_once().await;
    assert_eq!(
        (again.up("gcp"), again.metric("prefixes", "gcp")),
        (false, Some(120.0))
    );
    let again = restart();
    again.ranges.refresh_all_once().await;
    assert_eq!(
        (again.up("gcp"), again.metric("prefixes", "gcp")),
        (true, Some(50.0))
    );
}

#[tokio::test]
async fn ranges_of_another_source_are_not_taken_over() {
    let server = Server::start().await;
    server.answer("/cloud.json", json(&gcp_file(200)));
    let old = Fixture::with_gcp(RangeSource::Url(server.url("/cloud.json")));
    old.ranges.refresh_all_once().await;
    let new = Fixture::with_gcp(RangeSource::Url(server.url("/other.json")));
    new.ranges.take_over(&old.ranges);
    assert!(new.up("aws") && !new.up("gcp"));
    assert_eq!(new.metric("prefixes", "gcp"), None);
    assert!(!new.ranges.all_loaded());
    let same = Fixture::with_gcp(RangeSource::Url(server.url("/cloud.json")));
    same.ranges.take_over(&old.ranges);
    assert!(same.ranges.all_loaded());
    assert_eq!(same.verdict("34.0.1.1"), "gcp us-west1");
    let restored = Fixture::with_gcp(RangeSource::Url(server.url("/other.json")));
    for (vendor, ranges, refresh) in stored(&old).await {
        restored.ranges.restore(&vendor, &ranges, refresh);
    }
    assert!(restored.up("aws") && !restored.ranges.all_loaded());
}
