//! Where the files come from, and when they are read again.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{OriginIp, RangeVerdict, Vendor};
use cloudflare_origin_region_exporter::http_client::client_builder;
use cloudflare_origin_region_exporter::vendor_ranges::{
    Metrics, RangeSource, Settings, VendorRanges,
};
use prometheus::Registry;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, Fixture, Server, excerpt, gcp_file, json};

#[tokio::test]
async fn ranges_that_are_off_know_nothing_and_have_no_metrics() {
    let settings = Settings {
        enabled: false,
        refresh: Duration::from_secs(1),
        sources: BTreeMap::new(),
    };
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let http = client_builder(None).unwrap().build().unwrap();
    let ranges = VendorRanges::new(&settings, http, &metrics);
    ranges.refresh_all_once().await;
    assert!(!ranges.is_enabled() && !ranges.all_loaded());
    let ip = OriginIp::parse("3.80.2.1").unwrap();
    assert_eq!(ranges.verdict(ip), RangeVerdict::Unknown);
    assert!(registry.gather().is_empty());
}

#[tokio::test]
async fn what_was_never_loaded_is_down_from_the_start_and_may_own_any_address() {
    let server = Server::start().await;
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    for vendor in ["aws", "azure", "gcp", "oci"] {
        assert_eq!(fixture.metric("up", vendor), Some(0.0));
        assert_eq!(fixture.metric("prefixes", vendor), None);
    }
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("aws") && fixture.up("azure") && fixture.up("oci"));
    assert!(!fixture.up("gcp") && !fixture.ranges.all_loaded());
    assert_eq!(fixture.verdict("3.80.2.129"), "aws eu-west-1");
    assert_eq!(fixture.verdict("8.8.8.8"), "unknown");
    assert_eq!(
        fixture.metric("last_success_timestamp_seconds", "gcp"),
        None
    );

    server.answer("/gcp", json(&excerpt("gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp") && fixture.ranges.all_loaded());
    assert_eq!(fixture.verdict("8.8.8.8"), "not in ranges");
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(3.0));
    let published = fixture
        .metric("published_timestamp_seconds", "gcp")
        .unwrap();
    assert!((published - 1_753_409_788.78).abs() < 0.001);
    assert_eq!(fixture.metric("published_timestamp_seconds", "azure"), None);
    assert!(
        fixture
            .metric("last_success_timestamp_seconds", "gcp")
            .unwrap()
            > 1.7e9
    );
}

#[tokio::test]
async fn a_file_that_did_not_change_is_not_sent_again() {
    let server = Server::start().await;
    let head =
        "HTTP/1.1 200 OK\r\netag: \"one\"\r\nlast-modified: Fri, 25 Jul 2025 02:16:28 GMT\r\n";
    server.answer("/gcp", Answer::Whole(head, excerpt("gcp")));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    let new_table = async || {
        fixture.ranges.refresh_all_once().await;
        let refreshed = fixture.ranges.refreshed().await;
        let mut refreshed = refreshed.into_iter();
        let gcp = refreshed.find(|refreshed| refreshed.vendor == Vendor::Gcp);
        gcp.unwrap().ranges
    };
    assert!(new_table().await.is_some());
    assert!(!server.take_requests()[0].contains("if-none-match"));

    let not_modified = "HTTP/1.1 304 Not Modified\r\netag: \"one\"\r\n";
    server.answer("/gcp", Answer::Whole(not_modified, String::new()));
    assert!(new_table().await.is_none());
    let requests = server.take_requests();
    assert!(
        requests[0].contains("if-none-match: \"one\""),
        "{requests:?}"
    );
    assert!(requests[0].contains("if-modified-since: fri, 25 jul 2025 02:16:28 gmt"));
    assert!(fixture.up("gcp"));
    assert_eq!(fixture.verdict("2600:1f18:c::1"), "gcp europe-west1");

    server.answer("/gcp", json(&gcp_file(7)));
    assert!(new_table().await.is_some());
    assert_eq!(fixture.verdict("34.0.3.1"), "gcp us-west1");
}

#[tokio::test]
async fn a_file_that_has_moved_is_found_and_a_loop_is_not_followed() {
    let server = Server::start().await;
    server.answer(
        "/gcp",
        Answer::Whole("HTTP/1.1 301 Moved\r\nlocation: /a\r\n", String::new()),
    );
    server.answer(
        "/a",
        Answer::Whole("HTTP/1.1 302 Found\r\nlocation: /b\r\n", String::new()),
    );
    server.answer("/b", json(&excerpt("gcp")));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));

    for head in [
        "HTTP/1.1 302 Found\r\nlocation: /b\r\n",
        "HTTP/1.1 302 Found\r\n",
        "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n",
    ] {
        server.take_requests();
        server.answer("/b", Answer::Whole(head, String::new()));
        fixture.ranges.refresh_all_once().await;
        assert!(!fixture.up("gcp"), "{head}");
        assert!(server.take_requests().len() <= 4, "{head}");
    }
}

#[tokio::test]
async fn azures_file_is_found_on_its_download_page() {
    let server = Server::start().await;
    let page = |date: &str| {
        let file = server.url(&format!("/files/ServiceTags_Public_{date}.json"));
        json(&format!(
            "<html><a class=\"x\" href=\"{file}\">Download</a></html>"
        ))
    };
    let etag = "HTTP/1.1 200 OK\r\netag: \"one\"\r\n";
    server.answer("/page", page("20251027"));
    server.answer(
        "/files/ServiceTags_Public_20251027.json",
        Answer::Whole(etag, excerpt("azure")),
    );
    let source = RangeSource::DownloadPage(server.url("/page"));
    let fixture = Fixture::new(Duration::from_hours(24), [(Vendor::Azure, source)]);
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("azure"));
    assert_eq!(fixture.verdict("2600:1f18:b::1"), "azure francecentral");

    // The validators of one file do not apply to another.
    server.answer("/page", page("20251103"));
    server.answer(
        "/files/ServiceTags_Public_20251103.json",
        json(&excerpt("azure")),
    );
    server.take_requests();
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("azure"));
    let requests = server.take_requests();
    assert!(requests[1].starts_with("get /files/servicetags_public_20251103.json"));
    assert!(!requests[1].contains("if-none-match"));

    server.answer("/page", json("<html>Redesigned</html>"));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("azure"));
    assert_eq!(fixture.verdict("2600:1f18:b::1"), "azure francecentral");
}

#[tokio::test]
async fn a_local_file_is_read_at_every_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gcp.json");
    let fixture = Fixture::with_gcp(RangeSource::File(path.clone()));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp"));

    std::fs::write(&path, gcp_file(1)).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    std::fs::write(&path, gcp_file(2)).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(2.0));

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp"));
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(2.0));
    assert_eq!(fixture.verdict("34.0.1.1"), "gcp us-west1");
}

#[tokio::test]
async fn each_vendor_is_refreshed_again_and_again_until_the_shutdown() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(1)));
    let sources = [(Vendor::Gcp, RangeSource::Url(server.url("/gcp")))];
    let fixture = Fixture::new(Duration::from_millis(20), sources);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(fixture.ranges.clone().run(shutdown.clone()));
    let mut changed = fixture.ranges.changed();
    let rounds = async {
        while server.requests.lock().unwrap().len() < 3 {
            changed.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(30), rounds).await.unwrap();
    assert!(fixture.ranges.all_loaded());
    shutdown.cancel();
    running.await.unwrap();
}
