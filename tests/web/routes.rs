//! What each path answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{AccountName, Zone, ZoneId, ZoneName};
use cloudflare_origin_region_exporter::findings::TieredCache;
use cloudflare_origin_region_exporter::snapshot::{Directory, StaleAfter, ZoneSlot, ZoneState};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt as _;

use crate::support::*;

#[tokio::test]
async fn metrics_are_served_in_the_text_format() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /metrics?collect=all HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let (head, body) = read_response(&mut stream).await;
    assert_eq!(status(&head), 200);
    assert_eq!(body, METRICS.as_bytes());
    assert_eq!(
        header(&head, "content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(header(&head, "vary"), Some("Accept-Encoding"));
    assert_eq!(header(&head, "content-encoding"), None);
    assert_eq!(header(&head, "x-content-type-options"), Some("nosniff"));

    // The same connection serves the next request.
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br;q=1\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n")
        .await
        .unwrap();
    let (head, body) = read_response(&mut stream).await;
    assert_eq!(body, COMPRESSED);
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    assert_eq!(header(&head, "vary"), Some("Accept-Encoding"));
    server.expect_requests("metrics", "200", 2);
}

#[tokio::test]
async fn a_common_client_reads_every_path() {
    let server = Server::start().await;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(no_tls())
        .build()
        .unwrap();
    for (path, code) in [
        ("/", 200),
        ("/metrics", 200),
        ("/-/healthy", 200),
        ("/-/ready", 503),
        ("/metrics/", 404),
        ("/nothing", 404),
    ] {
        let url = format!("http://{}{path}", server.addresses[0]);
        let response = client
            .get(&url)
            .header("accept-encoding", "identity")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), code, "{path}");
        assert!(!response.text().await.unwrap().is_empty(), "{path}");
    }
}

fn no_tls() -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test]
async fn head_gets_the_headers_of_get_without_the_body() {
    let server = Server::start().await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/nothing"] {
        let mut heads = Vec::new();
        for method in ["GET", "HEAD"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = server.raw(request.as_bytes()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.is_empty(), method == "HEAD", "{path}");
            assert_ne!(header(head, "content-length"), Some("0"), "{path}");
            let mut lines: Vec<_> = head.lines().map(str::to_owned).collect();
            lines.retain(|line| !line.starts_with("date:"));
            heads.push(lines);
        }
        assert_eq!(heads[0], heads[1], "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_work() {
    let server = Server::start().await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready"] {
        for method in ["OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
            );
            let answer = server.raw(request.as_bytes()).await;
            assert_eq!(status(&answer), 405, "{method} {path}");
            assert_eq!(header(&answer, "allow"), Some("GET, HEAD"));
        }
    }
    server.expect_requests("metrics", "405", 7);
}

#[tokio::test]
async fn an_unknown_path_is_not_found_whatever_the_method() {
    let server = Server::start().await;
    for target in [
        "GET /x",
        "POST /x",
        "GET /metrics/",
        "GET //",
        "OPTIONS *",
        "CONNECT x:1",
    ] {
        let request = format!("{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(
            status(&server.raw(request.as_bytes()).await),
            404,
            "{target}"
        );
    }
    server.expect_requests("other", "404", 6);
}

#[tokio::test]
async fn health_and_readiness() {
    let server = Server::start().await;
    assert_eq!(
        server.get("/-/healthy").await,
        (200, "Healthy\n".to_owned())
    );
    assert_eq!(server.get("/-/ready").await.0, 503);
    assert_eq!(server.get("/metrics").await.0, 200);
    server.ready.send(true).unwrap();
    assert_eq!(server.get("/-/ready").await, (200, "Ready\n".to_owned()));
}

#[tokio::test]
async fn the_metrics_can_take_the_place_of_the_page() {
    let mut options = Options::default();
    options.settings.telemetry_path = "/".to_owned();
    let server = options.start().await;
    assert_eq!(server.get("/").await, (200, METRICS.to_owned()));
    assert_eq!(server.get("/metrics").await.0, 404);
}

#[tokio::test]
async fn the_page_shows_the_zones_and_is_harmless() {
    let server = Server::start().await;
    let mut zone = Zone::unknown(ZoneId::parse("abc").unwrap());
    zone.name = ZoneName::parse("<script>alert(1)</script>").unwrap();
    let state = ZoneState {
        zone,
        account: AccountName::parse("default").unwrap(),
        interval: Duration::from_mins(5),
        stale_after: StaleAfter::Never,
        last_poll: None,
        last_success: None,
        data: None,
        tiered_cache: TieredCache::default(),
        changes: None,
        polls: 0,
        errors: BTreeMap::default(),
        rejected_rows: 0,
    };
    let slot = ZoneSlot::new(ZoneId::parse("abc").unwrap(), state);
    server.snapshot.publish(Directory {
        zones: vec![Arc::new(slot)],
        ..Directory::default()
    });

    let answer = server
        .raw(b"GET /?q=script HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains("<script"), "{page}");
    assert_eq!(
        header(head, "content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = header(head, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(header(head, "x-content-type-options"), Some("nosniff"));
}
