//! Complete responses that report an error or have unexpected content.

use cloudflare_origin_region_exporter::simulator::FaultKind;

use crate::failing::{fails, recovers};
use crate::support::{Api, BAD, Config, GOOD, ON_BAD, world};

/// The mappings of a zone cannot be read. Checks what every failure has in common, that the code is
/// counted, and that the request is retried only where that can help.
pub(crate) async fn zone_fails(kind: FaultKind, reason: &str, code: &str, worth_retrying: bool) {
    let api = Api::start(world()).await;
    let poll = "interval: 200ms, discovery_interval: 1h, timeout: 3s, retries: 1";
    let mut daemon = api.daemon(&Config::polling(poll)).await;
    let failed = fails(&api, &mut daemon, kind, reason).await;
    let operation = ("operation", "list_mappings");
    let errors = failed.sum(
        "exporter_api_errors_total",
        &[operation, ("reason", reason)],
    );
    let retries = failed.sum("exporter_api_retries_total", &[operation]);
    let attempts = failed.sum("exporter_api_requests_total", &[operation, ("code", code)]);
    assert!(attempts >= errors, "{attempts} attempts with code {code}");
    let (most_retries, least_errors) = if worth_retrying {
        (errors, 2.0)
    } else {
        (0.0, 1.0)
    };
    assert!(errors >= least_errors, "{errors} attempts failed");
    assert!(retries <= most_retries, "{retries} retries");
    assert_eq!(retries > 0.0, worth_retrying, "{retries} retries");
    recovers(&api, &mut daemon).await;
    daemon.stop().await;
}

/// A zone is read in spite of unusual responses.
async fn zone_is_read(kind: FaultKind) {
    let api = Api::start(world()).await;
    api.fail(kind);
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert_eq!(scrape.mappings(BAD), 3);
    let scrape = daemon.until_polled_again(2.0).await;
    assert_eq!(
        (scrape.poll_errors(BAD), scrape.poll_errors(GOOD)),
        (0.0, 0.0)
    );
    assert_eq!(scrape.sum("mapping_changes_total", ON_BAD), 0.0);
    daemon.stop().await;
}

fn refusal(status: u16, code: u32) -> FaultKind {
    FaultKind::ApiError(status, code, "No".to_owned())
}

#[tokio::test]
async fn a_server_error() {
    zone_fails(FaultKind::Status(500, None), "server_error", "500", true).await;
}

#[tokio::test]
async fn a_gateway_with_a_page_of_its_own() {
    let page = Some("<html>502 Bad Gateway</html>".to_owned());
    zone_fails(FaultKind::Status(502, page), "server_error", "502", true).await;
}

#[tokio::test]
async fn a_lack_of_permission_is_not_tried_again() {
    zone_fails(refusal(403, 10000), "forbidden", "403", false).await;
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again() {
    zone_fails(refusal(401, 10000), "unauthorized", "401", false).await;
}

#[tokio::test]
async fn refused_credentials_in_the_clothes_of_a_bad_request() {
    zone_fails(refusal(400, 9106), "unauthorized", "400", false).await;
}

#[tokio::test]
async fn a_zone_that_is_not_there_is_not_tried_again() {
    zone_fails(refusal(404, 1001), "not_found", "404", false).await;
}

#[tokio::test]
async fn a_path_that_is_not_served_is_not_tried_again_and_does_not_mean_no_mappings() {
    zone_fails(refusal(400, 7003), "no_route", "400", false).await;
}

#[tokio::test]
async fn another_refusal_is_not_tried_again() {
    zone_fails(refusal(400, 1146), "client_error", "400", false).await;
}

#[tokio::test]
async fn half_a_document() {
    zone_fails(FaultKind::TruncatedJson, "malformed", "200", true).await;
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    zone_fails(FaultKind::Garbage, "malformed", "200", true).await;
}

#[tokio::test]
async fn the_page_of_a_captive_portal() {
    zone_fails(FaultKind::Html, "malformed", "200", true).await;
}

#[tokio::test]
async fn an_empty_body() {
    zone_fails(FaultKind::EmptyBody, "malformed", "200", true).await;
}

#[tokio::test]
async fn an_answer_without_a_result() {
    zone_fails(FaultKind::NullResult, "malformed", "200", true).await;
}

#[tokio::test]
async fn an_answer_that_calls_itself_unsuccessful() {
    zone_fails(FaultKind::Unsuccessful, "unsuccessful", "200", true).await;
}

#[tokio::test]
async fn another_content_type_is_read_all_the_same() {
    zone_is_read(FaultKind::ContentType("text/plain".to_owned())).await;
}

#[tokio::test]
async fn an_answer_without_messages_is_read() {
    zone_is_read(FaultKind::NoMessages).await;
}

#[tokio::test]
async fn fields_that_nobody_knows_are_ignored() {
    zone_is_read(FaultKind::UnknownFields).await;
}

#[tokio::test]
async fn a_page_without_result_info_is_read() {
    zone_is_read(FaultKind::NoResultInfo).await;
}
