//! Rejected files, and what stays in use.

use std::time::Duration;

use cloudflare_origin_region_exporter::vendor_ranges::RangeSource;

use crate::support::{Answer, Fixture, Server, excerpt, gcp_file, json};

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_an_error() {
    let server = Server::start().await;
    server.answer(
        "/gcp",
        Answer::Whole("HTTP/1.1 304 Not Modified\r\n", String::new()),
    );
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(!fixture.up("gcp"));
}

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_prefixes_stay_and_their_age_shows() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(200)));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    let loaded_at = fixture.metric("last_success_timestamp_seconds", "gcp");

    for (what, answer) in [
        (
            "HTML",
            json("<!doctype html><html>Log in to this network</html>"),
        ),
        ("nothing", json("")),
        ("no prefix", json(r#"{"prefixes": []}"#)),
        ("less than half", json(&gcp_file(99))),
        ("another vendor's file", json(&excerpt("oci"))),
        (
            "an error",
            Answer::Whole("HTTP/1.1 500 Oops\r\n", String::new()),
        ),
        ("no end", Answer::Endless),
    ] {
        server.answer("/gcp", answer);
        fixture.ranges.refresh_all_once().await;
        assert!(!fixture.up("gcp"), "{what}");
        assert_eq!(fixture.verdict("34.0.199.1"), "gcp us-west1", "{what}");
        assert_eq!(fixture.metric("prefixes", "gcp"), Some(200.0), "{what}");
        assert_eq!(
            fixture.metric("last_success_timestamp_seconds", "gcp"),
            loaded_at,
            "{what}"
        );
        assert!(fixture.up("aws") && fixture.ranges.all_loaded(), "{what}");
    }

    server.answer("/gcp", json(&gcp_file(100)));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));
    assert_eq!(fixture.metric("prefixes", "gcp"), Some(100.0));
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up() {
    let server = Server::start().await;
    server.answer("/gcp", json(&gcp_file(3)));
    let fixture = Fixture::with_gcp(RangeSource::Url(server.url("/gcp")));
    fixture.ranges.refresh_all_once().await;
    assert!(fixture.up("gcp"));

    server.answer("/gcp", Answer::Hang);
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    fixture.ranges.refresh_all_once().await;
    assert!(start.elapsed() <= Duration::from_secs(61));
    assert!(!fixture.up("gcp"));
    assert_eq!(fixture.verdict("34.0.2.1"), "gcp us-west1");
}
