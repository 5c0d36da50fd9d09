//! Pages that contradict each other: neither part of a zone nor a mixture is served.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};

use crate::failing::{fails, recovers};
use crate::support::{Api, BAD, Config, fill, world};

/// The mappings of three pages.
const MAPPINGS: usize = 250;

async fn api() -> Api {
    let mut world = world();
    fill(world.zone_mut(BAD), MAPPINGS, "us-east-1");
    Api::start(world).await
}

/// The poll fails with this reason, the last good data is still served, and the zone is read again
/// once its pages agree.
async fn pages_are_refused(kind: FaultKind, reason: &str) {
    let api = api().await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = fails(&api, &mut daemon, kind, reason).await;
    assert_eq!(scrape.mappings(BAD), MAPPINGS);
    recovers(&api, &mut daemon).await;
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
    let rows: Vec<_> = (0..100)
        .map(|n| {
            format!("{{\"origin_ip\": \"10.9.0.{n}\", \"vendor\": \"aws\", \"region\": \"r\"}}")
        })
        .collect();
    let page = format!("{{\"success\": true, \"result\": [{}]}}", rows.join(","));
    pages_are_refused(FaultKind::Status(200, Some(page)), "inconsistent_pages").await;
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

/// Changes the number of mappings while the first walk waits for the second of its three pages.
async fn a_list_that_changes_is_read_again(mappings: usize) {
    let api = api().await;
    let late = Fault::new(FaultKind::Delay(Duration::from_millis(500)));
    let late = late.on(Operation::ListMappings).zone(BAD).page(2).times(1);
    api.simulator.add_fault(late);
    let mut daemon = api
        .daemon(&Config::polling("interval: 1h, retries: 0"))
        .await;
    daemon
        .until("its second page is asked for", |_| {
            api.readings(BAD).len() >= 2
        })
        .await;
    api.simulator
        .update(|world| fill(world.zone_mut(BAD), mappings, "us-east-1"));
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.mappings(BAD), mappings);
    assert_eq!(scrape.poll_errors(BAD), 0.0);
    let errors = [
        ("operation", "list_mappings"),
        ("reason", "inconsistent_pages"),
    ];
    assert_eq!(scrape.sum("exporter_api_errors_total", &errors), 1.0);
    assert_eq!(api.readings(BAD).len(), 3 + 3);
    daemon.stop().await;
}

#[tokio::test]
async fn a_list_that_shrinks_between_its_pages_is_read_again() {
    a_list_that_changes_is_read_again(MAPPINGS - 1).await;
}

#[tokio::test]
async fn a_list_that_grows_between_its_pages_is_read_again() {
    a_list_that_changes_is_read_again(MAPPINGS + 1).await;
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
