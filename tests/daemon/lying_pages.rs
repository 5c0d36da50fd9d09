//! Pages that contradict each other: never a part of a zone, never a mixture.

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, fill, world};

/// Three pages.
const MAPPINGS: usize = 250;

async fn api() -> Api {
    let mut world = world();
    fill(world.zone_mut(BAD), MAPPINGS, "us-east-1");
    Api::start(world).await
}

/// The zone's poll fails with the reason, everything that was read before is served, and the zone
/// is read again when its pages agree.
async fn pages_are_refused(kind: FaultKind, reason: &str) {
    let api = api().await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    api.fail(kind);
    let reasons = [("zone", BAD), ("reason", reason)];
    let scrape = daemon
        .until("the pages were refused", |scrape| {
            scrape.sum("zone_poll_errors_total", &reasons) >= 2.0
        })
        .await;
    assert_eq!(
        scrape.poll_errors(BAD),
        scrape.sum("zone_poll_errors_total", &reasons)
    );
    assert_eq!((scrape.up(BAD), scrape.up(GOOD)), (Some(false), Some(true)));
    assert_eq!(scrape.mappings(BAD), MAPPINGS);
    assert_eq!(scrape.poll_errors(GOOD), 0.0);
    let errors = [("operation", "list_mappings"), ("reason", reason)];
    assert!(scrape.sum("exporter_api_errors_total", &errors) >= 2.0);
    api.simulator.clear_faults();
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.sum("mapping_changes_total", ON_BAD), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_total_that_is_too_large() {
    pages_are_refused(FaultKind::TotalCount(5), "inconsistent_pages").await;
}

#[tokio::test]
async fn a_total_that_is_too_small() {
    pages_are_refused(FaultKind::TotalCount(-5), "inconsistent_pages").await;
}

#[tokio::test]
async fn a_total_that_moves_from_page_to_page() {
    pages_are_refused(FaultKind::ShiftingTotal(1), "inconsistent_pages").await;
}

#[tokio::test]
async fn more_pages_announced_than_there_are() {
    pages_are_refused(FaultKind::TotalPages(2), "inconsistent_pages").await;
}

#[tokio::test]
async fn fewer_pages_announced_than_there_are() {
    pages_are_refused(FaultKind::TotalPages(-1), "inconsistent_pages").await;
}

#[tokio::test]
async fn every_page_with_the_rows_of_the_first() {
    pages_are_refused(FaultKind::RepeatedRows, "inconsistent_pages").await;
}

#[tokio::test]
async fn a_page_that_lacks_a_row() {
    pages_are_refused(FaultKind::ShortPage, "inconsistent_pages").await;
}

#[tokio::test]
async fn pages_without_end() {
    pages_are_refused(FaultKind::EndlessPages, "too_large").await;
}

#[tokio::test]
async fn the_same_full_page_again_and_again_without_any_total() {
    let api = api().await;
    let mut daemon = api
        .daemon(&Config::polling("interval: 500ms, retries: 0"))
        .await;
    daemon.until_read().await;
    // Every page is the same full one.
    let page = |rows: &str| format!("{{\"success\": true, \"result\": [{rows}]}}");
    let rows: Vec<_> = (0..100)
        .map(|n| {
            format!("{{\"origin_ip\": \"10.9.0.{n}\", \"vendor\": \"aws\", \"region\": \"r\"}}")
        })
        .collect();
    api.fail(FaultKind::Status(200, Some(page(&rows.join(",")))));
    let scrape = daemon
        .until("the pages were refused", |scrape| {
            scrape.poll_errors(BAD) >= 1.0
        })
        .await;
    let reasons = scrape.values_of("reason", "zone_poll_errors_total", ON_BAD);
    assert_eq!(reasons, ["inconsistent_pages"]);
    assert_eq!(scrape.mappings(BAD), MAPPINGS);
    daemon.stop().await;
}

#[tokio::test]
async fn a_walk_that_is_disturbed_once_is_read_again_and_succeeds() {
    let api = api().await;
    let fault = Fault::new(FaultKind::ShortPage).on(Operation::ListMappings);
    api.simulator.add_fault(fault.zone(BAD).page(2).times(1));
    let mut daemon = api
        .daemon(&Config::polling("interval: 1h, retries: 0"))
        .await;
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.mappings(BAD), MAPPINGS);
    assert_eq!(scrape.poll_errors(BAD), 0.0);
    let errors = [
        ("operation", "list_mappings"),
        ("reason", "inconsistent_pages"),
    ];
    assert_eq!(scrape.sum("exporter_api_errors_total", &errors), 1.0);
    assert_eq!(api.readings(BAD).len(), 2 + 3);
    daemon.stop().await;
}

#[tokio::test]
async fn without_result_info_a_short_page_is_the_last() {
    let api = api().await;
    api.fail(FaultKind::NoResultInfo);
    let mut daemon = api
        .daemon(&Config::polling("interval: 1h, retries: 0"))
        .await;
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.mappings(BAD), MAPPINGS);
    assert_eq!(api.readings(BAD).len(), 3);
    daemon.stop().await;
}
