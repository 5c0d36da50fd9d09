//! Responses that fail in transit: only the poll of this zone fails.

use std::time::Duration;

use bytes::Bytes;
use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};

use crate::answers::zone_fails;
use crate::support::{Api, BAD, Config, ON_BAD, world};

#[tokio::test]
async fn no_answer_at_all_is_a_timeout() {
    zone_fails(FaultKind::Hang, "timeout", "none", true).await;
}

#[tokio::test]
async fn a_byte_at_a_time_is_a_timeout() {
    let kind = FaultKind::Slow(Duration::from_millis(100));
    zone_fails(kind, "timeout", "200", true).await;
}

#[tokio::test]
async fn a_connection_cut_before_the_answer() {
    zone_fails(FaultKind::CutBeforeHead, "http", "none", true).await;
}

#[tokio::test]
async fn a_connection_cut_in_the_headers() {
    zone_fails(FaultKind::CutInHead, "http", "none", true).await;
}

#[tokio::test]
async fn a_connection_cut_in_the_body() {
    zone_fails(FaultKind::CutInBody, "http", "200", true).await;
}

#[tokio::test]
async fn a_connection_that_is_reset() {
    zone_fails(FaultKind::Reset, "http", "none", true).await;
}

#[tokio::test]
async fn an_answer_that_is_no_http() {
    let kind = FaultKind::Raw(Bytes::from_static(b"SSH-2.0-OpenSSH_9.6\r\n"));
    zone_fails(kind, "http", "none", true).await;
}

#[tokio::test]
async fn chunks_without_a_size() {
    zone_fails(FaultKind::ChunkedGarbage, "http", "200", true).await;
}

#[tokio::test]
async fn gzip_that_is_none() {
    zone_fails(FaultKind::CorruptGzip, "malformed", "200", true).await;
}

#[tokio::test]
async fn a_gzip_bomb() {
    zone_fails(FaultKind::GzipBomb(1 << 30), "too_large", "200", false).await;
}

#[tokio::test]
async fn a_body_of_200_megabytes_costs_no_memory() {
    zone_fails(FaultKind::HugeBody(200 << 20), "too_large", "200", false).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_credentials_reach_the_other_host() {
    let elsewhere = Api::start(world()).await;
    let target = format!("{}/zones", elsewhere.simulator.base_url());
    zone_fails(FaultKind::Redirect(target), "http", "302", false).await;
    assert_eq!(elsewhere.simulator.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_of_an_older_http_is_read() {
    let api = Api::start(world()).await;
    api.fail(FaultKind::Http10);
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.sum("zone_poll_errors_total", ON_BAD), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn one_failed_attempt_is_made_up_for_within_the_poll() {
    let api = Api::start(world()).await;
    let fault = Fault::new(FaultKind::CutInBody).on(Operation::ListMappings);
    api.simulator.add_fault(fault.zone(BAD).times(1));
    let config = Config::polling("interval: 1h, retries: 1");
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon.until_read().await;
    let on_mappings = [("operation", "list_mappings")];
    assert_eq!(scrape.sum("exporter_api_retries_total", &on_mappings), 1.0);
    assert_eq!(scrape.sum("exporter_api_errors_total", &on_mappings), 1.0);
    assert_eq!(scrape.poll_errors(BAD), 0.0);
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}
