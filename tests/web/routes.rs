//! The responses of each path.

use std::io::Read as _;
use std::sync::Arc;

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
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains(METRICS), "{text}");
    assert_eq!(
        header(&head, "content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(header(&head, "vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(header(&head, "content-encoding"), None);
    assert_eq!(header(&head, "x-content-type-options"), Some("nosniff"));

    // The same connection serves the next request.
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br;q=1\r\nAccept-Encoding: gzip;q=0.5\r\n\r\n")
        .await
        .unwrap();
    let (head, body) = read_response(&mut stream).await;
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&*body)
        .read_to_string(&mut unpacked)
        .unwrap();
    assert!(unpacked.contains(METRICS), "{unpacked}");
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    assert_eq!(header(&head, "vary"), Some("Accept, Accept-Encoding"));
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
        ("/api/v1/zones", 200),
        ("/api/v1/mappings", 200),
        ("/api/v1/findings", 200),
        ("/probe", 400),
        ("/zones/none", 404),
        ("/docs/", 200),
        ("/docs/api.md", 200),
        ("/docs/none", 404),
        ("/metrics/", 404),
        ("/api/v1/", 404),
        ("/api/v1/zones/", 404),
        ("/zones", 404),
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
    for path in [
        "/metrics",
        "/",
        "/-/healthy",
        "/-/ready",
        "/api/v1/zones",
        "/api/v1/zones?no",
        "/probe",
        "/docs/",
        "/nothing",
    ] {
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
    for path in [
        "/metrics",
        "/",
        "/-/healthy",
        "/-/ready",
        "/api/v1/mappings",
        "/probe",
        "/zones/x",
        "/docs/",
    ] {
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
    let (status, text) = server.get("/").await;
    assert!(status == 200 && text.contains(METRICS), "{text}");
    for path in ["/metrics", "/zones/x", "/docs/"] {
        assert_eq!(server.get(path).await.0, 404, "{path}");
    }
    assert_eq!(server.get("/api/v1/zones").await.0, 200);
}

#[tokio::test]
async fn every_link_in_the_documentation_leads_somewhere() {
    let server = Server::start().await;
    let links = |page: &str| -> Vec<String> {
        let links = page.split("href=\"").skip(1);
        let links = links.filter_map(|rest| rest.split(['"', '#']).next());
        links
            .filter(|link| !link.starts_with("http"))
            .map(str::to_owned)
            .collect()
    };
    let (_, list) = server.get("/docs/").await;
    let names = links(&list);
    assert!(
        names.contains(&"/docs/runbooks".to_owned()) && names.len() > 15,
        "{names:?}"
    );
    let mut targets = std::collections::BTreeSet::new();
    for name in names {
        let (status, page) = server.get(&name).await;
        assert_eq!(
            status / 100,
            if name == "/-/ready" { 5 } else { 2 },
            "{name}"
        );
        if name.starts_with("/docs/") {
            assert!(page.contains("<h1"), "{name}");
            targets.extend(links(&page));
        }
    }
    targets.remove("/-/ready");
    for target in targets {
        assert_eq!(server.get(&target).await.0, 200, "{target}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_neither_reload_nor_probe() {
    let mut options = Options::default();
    options.settings.enable_lifecycle = true;
    let server = options.start().await;
    server.snapshot.publish(crate::world::small());
    for (target, headers, code) in [
        ("POST /-/reload", "", 200),
        ("POST /-/reload", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("POST /-/reload", "Origin: http://x\r\n", 200),
        ("POST /-/reload", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("POST /-/reload", "Origin: http://y\r\n", 403),
        ("PUT /-/reload", "Origin: null\r\n", 403),
        ("GET /probe?zone=a1&target=192.0.2.1", "", 200),
        (
            "GET /probe?zone=a1&target=192.0.2.1",
            "Sec-Fetch-Site: same-site\r\n",
            403,
        ),
        ("GET /metrics", "Sec-Fetch-Site: cross-site\r\n", 200),
    ] {
        let request = format!("{target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), code, "{target} {headers}");
    }
    server.expect_requests("reload", "403", 3);
    server.expect_requests("probe", "403", 1);
}
