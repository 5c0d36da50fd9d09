//! Single unusual rows: only the row itself is lost.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::FaultKind;
use jiff::Timestamp;
use serde_json::json;

use crate::failing::{fails, recovers};
use crate::support::{Api, BAD, Config, GOOD, ON_BAD, world};

/// The last row of the bad zone is rejected; its other two mappings are served.
async fn row_is_rejected(row: serde_json::Value) {
    let api = Api::start(world()).await;
    api.fail(FaultKind::BadRow(row));
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert_eq!((scrape.mappings(BAD), scrape.mappings(GOOD)), (2, 3));
    assert_eq!(scrape.value("zone_mappings", ON_BAD), Some(2.0));
    let rejected = |scrape: &crate::scrape::Scrape| {
        let of_bad = scrape.value("zone_rejected_rows_total", ON_BAD).unwrap();
        assert_eq!(of_bad, scrape.sum("zone_rejected_rows_total", &[]));
        of_bad
    };
    assert!(rejected(scrape) >= 1.0);
    let scrape = daemon.until_polled_again(3.0).await;
    assert!(
        rejected(scrape) >= 2.0,
        "each poll counts the rows that it rejects"
    );
    assert_eq!(scrape.poll_errors(BAD), 0.0);
    // Logged once, not at every poll.
    daemon
        .assert_logged(&["skipped rows that are not mappings", BAD], 1)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_address_that_is_none() {
    row_is_rejected(json!({"origin_ip": "origin.example", "vendor": "aws", "region": "r"})).await;
}

#[tokio::test]
async fn a_row_without_a_vendor() {
    row_is_rejected(json!({"origin_ip": "192.0.2.9", "region": "us-east-1"})).await;
}

#[tokio::test]
async fn a_region_that_is_a_number() {
    row_is_rejected(json!({"origin_ip": "192.0.2.9", "vendor": "aws", "region": 7})).await;
}

#[tokio::test]
async fn a_row_that_is_no_object() {
    row_is_rejected(json!(null)).await;
}

#[tokio::test]
async fn a_row_that_is_there_twice_is_one_mapping() {
    let api = Api::start(world()).await;
    api.fail(FaultKind::DuplicateRow { agreeing: true });
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert_eq!((scrape.mappings(BAD), scrape.poll_errors(BAD)), (2, 0.0));
    assert_eq!(scrape.value("zone_rejected_rows_total", ON_BAD), Some(0.0));
    let of_one = [("zone", BAD), ("origin_ip", "192.0.2.1")];
    assert_eq!(scrape.count("mapping_info", &of_one), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn rows_that_disagree_about_one_address_are_not_believed() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let kind = FaultKind::DuplicateRow { agreeing: false };
    fails(&api, &mut daemon, kind, "inconsistent_pages").await;
    recovers(&api, &mut daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_vendor_that_nobody_knows_keeps_its_name() {
    let api = Api::start(world()).await;
    let row = json!({"origin_ip": "192.0.2.9", "vendor": "a \"new\" one\\", "region": "r-1"});
    api.fail(FaultKind::BadRow(row));
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    let series = [("vendor", "a \"new\" one\\"), ("region", "r-1")];
    assert_eq!(scrape.value("mappings", &series), Some(1.0));
    daemon.stop().await;
}

#[tokio::test]
async fn a_time_that_cannot_be_read_costs_the_time_alone() {
    let api = Api::start(world()).await;
    api.fail(FaultKind::BadRow(json!({
        "origin_ip": "192.0.2.9", "vendor": "oci", "region": "r-1", "modified_on": "yesterday"
    })));
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    let vendor = [("vendor", "oci")];
    assert_eq!(scrape.count("mapping_info", &vendor), 1);
    assert_eq!(
        scrape.count("mapping_last_modified_timestamp_seconds", &vendor),
        0
    );
    assert_eq!(scrape.count("oldest_mapping_age_seconds", &vendor), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_row_without_a_time_has_no_timestamp_and_no_part_in_the_ages() {
    let mut world = world();
    let written = Timestamp::now() - Duration::from_secs(1000);
    let zone = world.zone_mut(BAD);
    zone.mappings.clear();
    zone.map("192.0.2.1", "aws", "us-east-1", Some(written));
    zone.map("192.0.2.2", "aws", "us-east-1", None);
    zone.map("192.0.2.3", "oci", "r-1", None);
    let api = Api::start(world).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert_eq!((scrape.mappings(BAD), scrape.poll_errors(BAD)), (3, 0.0));
    let timestamp = "mapping_last_modified_timestamp_seconds";
    assert_eq!(
        scrape.values_of("origin_ip", timestamp, ON_BAD),
        ["192.0.2.1"]
    );
    for family in ["oldest_mapping_age_seconds", "newest_mapping_age_seconds"] {
        assert_eq!(scrape.values_of("vendor", family, ON_BAD), ["aws"]);
        let age = scrape.value(family, ON_BAD).unwrap();
        assert!((999.0..1100.0).contains(&age), "{family} is {age}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_address_in_another_spelling_is_the_same_mapping() {
    for (ip, spelt) in [
        ("2001:db8::3", "2001:0DB8:0:0:0:0:0:0003"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("192.0.2.1", "::FFFF:c000:0201"),
    ] {
        let mut world = world();
        let zone = world.zone_mut(BAD);
        zone.mappings.clear();
        zone.map(ip, "aws", "us-east-1", None);
        let api = Api::start(world).await;
        let mut daemon = api.daemon(&Config::default()).await;
        daemon.until_read().await;
        api.fail(FaultKind::BadRow(json!({
            "origin_ip": spelt, "vendor": "aws", "region": "us-east-1"
        })));
        let scrape = daemon.until_polls_of(BAD, 3.0).await;
        let shown = scrape.values_of("origin_ip", "mapping_info", ON_BAD);
        assert_eq!(shown, [ip], "{spelt}");
        assert_eq!(scrape.sum("mapping_changes_total", ON_BAD), 0.0, "{spelt}");
        assert_eq!(scrape.value("zone_rejected_rows_total", ON_BAD), Some(0.0));
        assert_eq!(scrape.poll_errors(BAD), 0.0);
        daemon.stop().await;
    }
}
