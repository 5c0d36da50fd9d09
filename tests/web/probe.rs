//! Live lookups of one mapping.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::cloudflare::{ApiError, Operation, Reason};
use cloudflare_origin_region_exporter::domain::Mapping;
use cloudflare_origin_region_exporter::web::{LookUp, Wanted};

use crate::support::*;
use crate::world;

/// A lookup with this result, and the requests that it received.
fn scripted(outcome: Result<Option<Mapping>, String>) -> (LookUp, Arc<Mutex<Vec<Wanted>>>) {
    let asked = Arc::<Mutex<Vec<Wanted>>>::default();
    let seen = Arc::clone(&asked);
    let look_up: LookUp = Arc::new(move |wanted| {
        seen.lock().unwrap().push(wanted);
        let outcome = outcome.clone();
        Box::pin(async move { outcome })
    });
    (look_up, asked)
}

async fn server(look_up: LookUp) -> Server {
    let options = Options {
        look_up,
        ..Options::default()
    };
    let server = options.start().await;
    server.snapshot.publish(world::small());
    server
}

#[tokio::test]
async fn a_mapping_is_shown_with_its_place_and_time() {
    let mapping = world::mapping("192.0.2.1", "aws", "us-east-1", "2026-03-01T12:30:00.5Z");
    let (look_up, asked) = scripted(Ok(Some(mapping)));
    let server = server(look_up).await;
    let (status, body) = server
        .get("/probe?target=%3A%3Affff%3A192.0.2.1&module=x&zone=EXAMPLE.com")
        .await;
    assert_eq!(status, 200);
    for line in [
        "probe_success 1",
        "probe_mapping_present 1",
        "probe_mapping_info{origin_ip=\"192.0.2.1\",region=\"us-east-1\",vendor=\"aws\"} 1",
        "probe_mapping_last_modified_timestamp_seconds 1772368200.5",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}: {body}");
    }
    assert!(body.contains("\nprobe_duration_seconds "), "{body}");
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].zone.as_str(), "a1");
    assert_eq!(asked[0].account.as_str(), "production");
    assert_eq!(asked[0].origin_ip.to_string(), "192.0.2.1");
    server.expect_requests("probe", "200", 1);
}

#[tokio::test]
async fn that_there_is_no_mapping_is_a_success() {
    let (look_up, _) = scripted(Ok(None));
    let server = server(look_up).await;
    let (status, body) = server.get("/probe?zone=b2&target=192.0.2.7").await;
    assert_eq!(status, 200);
    assert!(body.contains("\nprobe_success 1\n"), "{body}");
    assert!(body.contains("\nprobe_mapping_present 0\n"), "{body}");
    assert!(
        !body.contains("probe_mapping_info") && !body.contains("last_modified"),
        "{body}"
    );
}

#[tokio::test]
async fn what_could_not_be_told_says_why() {
    let detail = "the API answered 502";
    let error = ApiError::new(Operation::GetMapping, Reason::ServerError, detail);
    let (look_up, _) = scripted(Err(error.to_string()));
    let server = server(look_up).await;
    let (status, body) = server.get("/probe?zone=b2&target=192.0.2.7").await;
    assert_eq!(status, 200);
    assert!(body.contains("\nprobe_success 0\n"), "{body}");
    assert!(!body.contains("probe_mapping"), "{body}");
    assert!(body.starts_with("# The look-up failed: get_mapping: the API answered 502\n"));
}

#[tokio::test]
async fn a_request_that_makes_no_sense_asks_nobody() {
    let (look_up, asked) = scripted(Ok(None));
    let server = server(look_up).await;
    for (query, expected) in [
        ("", "zone is missing"),
        ("?zone=example.com", "target is missing"),
        ("?target=192.0.2.1", "zone is missing"),
        (
            "?zone=example.net&target=192.0.2.1",
            "No zone \"example.net\"",
        ),
        (
            "?zone=example.com&target=origin.example.com",
            "target is \"origin.example.com\"",
        ),
        (
            "?zone=example.com&zone=b2&target=192.0.2.1",
            "zone is given twice",
        ),
    ] {
        let (status, body) = server.get(&format!("/probe{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.contains(expected), "{query}: {body}");
    }
    assert!(asked.lock().unwrap().is_empty());
    server.expect_requests("probe", "400", 6);
}

#[tokio::test]
async fn a_probe_ends_before_its_caller_gives_up() {
    let server = server(Arc::new(|_| Box::pin(std::future::pending()))).await;
    let started = Instant::now();
    let answer = server
        .raw(
            b"GET /probe?zone=a1&target=192.0.2.1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
              x-prometheus-scrape-timeout-seconds: 0.8\r\n\r\n",
        )
        .await;
    assert!(
        started.elapsed() < Duration::from_millis(800),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("\nprobe_success 0\n"), "{answer}");
    assert!(answer.contains("no answer within"), "{answer}");
}

#[tokio::test]
async fn probes_that_wait_are_limited() {
    let server = Arc::new(server(Arc::new(|_| Box::pin(std::future::pending()))).await);
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..80 {
        let server = Arc::clone(&server);
        probes.spawn(async move {
            let request = b"GET /probe?zone=a1&target=192.0.2.1 HTTP/1.1\r\nHost: x\r\n\
                Connection: close\r\nX-Prometheus-Scrape-Timeout-Seconds: 4\r\n\r\n";
            status(&server.raw(request).await)
        });
    }
    let statuses = probes.join_all().await;
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(refused, 68, "{statuses:?}");
    assert_eq!(server.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn a_probe_needs_some_time() {
    let (look_up, asked) = scripted(Ok(None));
    let server = server(look_up).await;
    for timeout in ["0", "0.05"] {
        let request = format!(
            "GET /probe?zone=a1&target=192.0.2.1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             X-Prometheus-Scrape-Timeout-Seconds: {timeout}\r\n\r\n"
        );
        let answer = server.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{timeout}");
        assert!(answer.contains("a probe needs at least 100ms"), "{answer}");
    }
    assert!(asked.lock().unwrap().is_empty());
}
