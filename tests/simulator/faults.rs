//! Each fault of the simulated API, as a client sees it.

use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::http_client::{self, BodyError};
use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, Operation, RetryAfter, Simulator, World, zone_id_of,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::TOKEN;

/// More than any regular response in these tests.
const BODY_LIMIT: usize = 1 << 20;

struct Api {
    simulator: Simulator,
    client: Client,
    _stop: DropGuard,
}

impl Api {
    /// A zone with 150 mappings, which are two pages.
    async fn new() -> Self {
        let shutdown = CancellationToken::new();
        let world = World::generate(TOKEN, 1, 150, 3);
        let simulator = Simulator::local(world, shutdown.clone()).await.unwrap();
        let builder = http_client::client_builder(None).unwrap();
        Self {
            simulator,
            client: builder.timeout(Duration::from_mins(1)).build().unwrap(),
            _stop: shutdown.drop_guard(),
        }
    }

    async fn failing(kind: FaultKind) -> Self {
        let api = Self::new().await;
        api.simulator.add_fault(Fault::new(kind));
        api
    }

    async fn send(&self, page: usize) -> reqwest::Result<reqwest::Response> {
        let zone = zone_id_of("zone-00000.example");
        let base = self.simulator.base_url();
        let url = format!("{base}/zones/{zone}/origin/cloud_regions?per_page=100&page={page}");
        self.client.get(url).bearer_auth(TOKEN).send().await
    }

    async fn bytes(&self, page: usize) -> Result<Vec<u8>, BodyError> {
        http_client::read_body(self.send(page).await?, BODY_LIMIT).await
    }

    async fn json(&self, page: usize) -> Value {
        serde_json::from_slice(&self.bytes(page).await.unwrap()).unwrap()
    }
}

fn failure_of(error: BodyError) -> reqwest::Error {
    match error {
        BodyError::Transport(error) => error,
        BodyError::TooLarge { limit } => panic!("larger than {limit}"),
    }
}

#[tokio::test]
async fn a_status_with_an_error_or_another_body() {
    let api = Api::failing(FaultKind::Status(503, None)).await;
    let answer = api.send(1).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(api.json(1).await["success"], false);
    let api = Api::failing(FaultKind::Status(502, Some("bad gateway".to_owned()))).await;
    assert_eq!(api.bytes(1).await.unwrap(), b"bad gateway");
    let api = Api::failing(FaultKind::ApiError(400, 9106, "no".to_owned())).await;
    assert_eq!(
        api.json(1).await["errors"][0],
        json!({"code": 9106, "message": "no"})
    );
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_again() {
    for (when, expected) in [
        (RetryAfter::Seconds(7), Some("7")),
        (RetryAfter::Text("soon".to_owned()), Some("soon")),
        (RetryAfter::Absent, None),
    ] {
        let api = Api::failing(FaultKind::TooManyRequests(when)).await;
        let answer = api.send(1).await.unwrap();
        assert_eq!(answer.status(), 429);
        let header = answer.headers().get("retry-after");
        assert_eq!(header.map(|value| value.to_str().unwrap()), expected);
    }
    let date = RetryAfter::Date(Duration::from_mins(1));
    let api = Api::failing(FaultKind::TooManyRequests(date)).await;
    let answer = api.send(1).await.unwrap();
    let date = answer.headers()["retry-after"].to_str().unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
}

#[tokio::test]
async fn late_slow_and_no_answers() {
    let api = Api::failing(FaultKind::Delay(Duration::from_millis(200))).await;
    let start = Instant::now();
    assert_eq!(api.json(1).await["success"], true);
    assert!(start.elapsed() >= Duration::from_millis(200));
    for kind in [FaultKind::Hang, FaultKind::Slow(Duration::from_millis(50))] {
        let mut api = Api::failing(kind).await;
        let builder = http_client::client_builder(None).unwrap();
        api.client = builder.timeout(Duration::from_millis(300)).build().unwrap();
        assert!(failure_of(api.bytes(1).await.unwrap_err()).is_timeout());
    }
}

#[tokio::test]
async fn connections_that_end_early() {
    for kind in [
        FaultKind::CutBeforeHead,
        FaultKind::CutInHead,
        FaultKind::CutInBody,
        FaultKind::Reset,
        FaultKind::ChunkedGarbage,
        FaultKind::Raw("not HTTP at all".into()),
    ] {
        let api = Api::failing(kind.clone()).await;
        let failure = failure_of(api.bytes(1).await.unwrap_err());
        let is_transport = http_client::has_source::<hyper::Error>(&failure);
        let has_other_cause = failure.is_timeout() || failure.is_connect();
        assert!(is_transport && !has_other_cause, "{kind:?}: {failure:?}");
        api.simulator.clear_faults();
        assert_eq!(
            api.json(1).await["success"],
            true,
            "the next connection works"
        );
    }
    assert_eq!(
        Api::failing(FaultKind::Http10).await.json(1).await["success"],
        true
    );
}

#[tokio::test]
async fn bodies_that_are_no_envelope() {
    for kind in [
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::TruncatedJson,
    ] {
        let body = Api::failing(kind.clone()).await.bytes(1).await.unwrap();
        assert!(serde_json::from_slice::<Value>(&body).is_err(), "{kind:?}");
    }
    let api = Api::failing(FaultKind::CorruptGzip).await;
    let failure = failure_of(api.bytes(1).await.unwrap_err());
    assert!(failure.is_decode() && !http_client::has_source::<hyper::Error>(&failure));
    for kind in [
        FaultKind::HugeBody(200 << 20),
        FaultKind::GzipBomb(50 << 20),
    ] {
        let error = Api::failing(kind).await.bytes(1).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge { .. }));
    }
}

#[tokio::test]
async fn a_bomb_is_whole() {
    let api = Api::failing(FaultKind::GzipBomb(3 << 20)).await;
    let response = api.send(1).await.unwrap();
    let body = http_client::read_body(response, 3 << 20).await.unwrap();
    assert_eq!(body, vec![b' '; 3 << 20]);
}

#[tokio::test]
async fn headers_that_mislead() {
    let api = Api::failing(FaultKind::ContentType("text/plain".to_owned())).await;
    assert_eq!(
        api.send(1).await.unwrap().headers()["content-type"],
        "text/plain"
    );
    assert_eq!(api.json(1).await["success"], true);
    let api = Api::failing(FaultKind::Redirect("http://192.0.2.1/".to_owned())).await;
    let answer = api.send(1).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"http://192.0.2.1/".parse().unwrap())
    );
}

#[tokio::test]
async fn envelopes_that_lack_or_add_something() {
    let json = |kind| async { Api::failing(kind).await.json(1).await };
    let unsuccessful = json(FaultKind::Unsuccessful).await;
    assert_eq!(
        (&unsuccessful["success"], &unsuccessful["result"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(json(FaultKind::NullResult).await["result"], Value::Null);
    assert!(
        json(FaultKind::NoResultInfo)
            .await
            .get("result_info")
            .is_none()
    );
    assert!(json(FaultKind::NoMessages).await.get("errors").is_none());
    let unknown = json(FaultKind::UnknownFields).await;
    assert!(unknown["of_the_future"].is_object());
    assert!(unknown["result"][0]["of_the_future"].is_object());
    assert_eq!(unknown["result"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn rows_that_are_bad_or_doubled() {
    let row = json!({"origin_ip": "nowhere"});
    let bad = Api::failing(FaultKind::BadRow(row.clone()))
        .await
        .json(1)
        .await;
    assert_eq!(bad["result"][99], row);
    for agreeing in [true, false] {
        let api = Api::failing(FaultKind::DuplicateRow { agreeing }).await;
        let page = api.json(1).await;
        let rows = &page["result"];
        assert_ne!(
            rows[0]["origin_ip"], rows[99]["origin_ip"],
            "a different spelling"
        );
        assert_eq!(rows[0]["region"] == rows[99]["region"], agreeing);
    }
}

#[tokio::test]
async fn pages_that_lie() {
    let pages = |kind| async {
        let api = Api::failing(kind).await;
        [api.json(1).await, api.json(2).await]
    };
    let totals = |pages: &[Value; 2]| {
        pages
            .each_ref()
            .map(|p| p["result_info"]["total_count"].as_u64().unwrap())
    };
    assert_eq!(totals(&pages(FaultKind::TotalCount(-3)).await), [147, 147]);
    assert_eq!(
        totals(&pages(FaultKind::ShiftingTotal(2)).await),
        [150, 152]
    );
    let wrong = pages(FaultKind::TotalPages(3)).await;
    assert_eq!(wrong[0]["result_info"]["total_pages"], 5);
    let repeated = pages(FaultKind::RepeatedRows).await;
    assert_eq!(repeated[0]["result"], repeated[1]["result"]);
    assert_eq!(repeated[1]["result_info"]["page"], 2);
    let short = pages(FaultKind::ShortPage).await;
    assert_eq!(short[0]["result"].as_array().unwrap().len(), 99);
    let api = Api::failing(FaultKind::EndlessPages).await;
    let far = api.json(5000).await;
    assert_eq!(far["result"].as_array().unwrap().len(), 100);
    assert!(far["result_info"]["total_pages"].as_u64().unwrap() > 5000);
}

#[tokio::test]
async fn a_fault_strikes_one_call_of_one_zone_as_often_as_told() {
    let api = Api::new().await;
    let fault = Fault::new(FaultKind::Status(500, None));
    let fault = fault.on(Operation::ListMappings).zone("zone-00000.example");
    api.simulator.add_fault(fault.page(2).times(1));
    let mut statuses = Vec::new();
    for page in [1, 2, 2] {
        statuses.push(api.send(page).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 500, 200]);
    let recorded = api.simulator.requests();
    assert_eq!(recorded.len(), 3);
    assert_eq!(recorded[1].query, "per_page=100&page=2");
    assert_eq!(recorded[1].credential.as_deref(), Some("token-1"));
}
