//! Limits on a single client, so that it does not affect others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;

#[tokio::test]
async fn a_connection_without_a_whole_head_is_closed() {
    let mut options = Options::default();
    options.limits.head_timeout = SHORT;
    let server = options.start().await;
    let mut dripping = server.connect().await;
    let drip = tokio::spawn(async move {
        while dripping.write_all(b"G").await.is_ok() {
            sleep(SHORT / 10).await;
        }
    });
    let mut after_a_request = server.connect().await;
    after_a_request.write_all(GET_METRICS).await.unwrap();
    read_response(&mut after_a_request).await;
    let mut half = server.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    let mut silent = server.connect().await;

    let start = Instant::now();
    for stream in [&mut after_a_request, &mut half, &mut silent] {
        assert_eq!(read_to_end(stream).await, "");
    }
    assert!(start.elapsed() >= SHORT / 2, "{:?}", start.elapsed());
    timeout(PATIENCE, drip).await.unwrap().unwrap();
}

/// Rendering pages delays neither the health check nor scrapes, and only a few pages are rendered
/// at once.
#[tokio::test]
async fn pages_that_take_long_hold_up_nothing_else() {
    let (end, gate) = std::sync::mpsc::channel::<()>();
    let (gate, running) = (std::sync::Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let mut options = Options::default();
    let counter = Arc::clone(&running);
    options.accounts = Arc::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        // Fails once the test drops the other end.
        gate.lock().unwrap().recv_timeout(PATIENCE).ok();
        Vec::new()
    });
    let server = Arc::new(options.start().await);
    let mut pages = JoinSet::new();
    for path in ["/"; 10].into_iter().chain(["/api/v1/zones"]) {
        let server = Arc::clone(&server);
        pages.spawn(async move { server.get(path).await.0 });
    }
    let start = Instant::now();
    while running.load(Ordering::SeqCst) < 4 {
        assert!(start.elapsed() < PATIENCE, "the pages are not rendered");
        assert_eq!(server.get("/-/healthy").await.0, 200);
    }
    sleep(SHORT).await;
    assert_eq!(server.get("/metrics").await.0, 200);
    assert_eq!(running.load(Ordering::SeqCst), 4);
    drop(end);
    assert_eq!(pages.join_all().await, [200; 11]);
}

/// More than the kernel buffers for a client that does not read.
const LARGE: usize = 64 << 20;

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_frees_its_place() {
    let mut options = Options::default();
    options.limits.stall_timeout = SHORT;
    options.settings.max_requests = 1;
    options.metrics = UpMetric::of_bytes(LARGE);
    let server = options.start().await;

    let mut lazy = server.connect().await;
    lazy.write_all(GET_METRICS).await.unwrap();
    lazy.readable().await.unwrap();
    // The response occupies the only slot while it is being sent.
    assert_eq!(server.get("/metrics").await.0, 503);
    let start = Instant::now();
    while server.get("/metrics").await.0 == 503 {
        assert!(start.elapsed() < PATIENCE, "the slot is never free again");
        sleep(SHORT / 10).await;
    }
    let mut received = 0;
    let mut chunk = vec![0; 1 << 20];
    while let Ok(n @ 1..) = timeout(PATIENCE, lazy.read(&mut chunk)).await.unwrap() {
        received += n;
    }
    assert!(received < LARGE, "the response was cut");
}

/// The client never waits for a response, and sends each request in time.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_that_reads_no_heads_is_cut() {
    let mut options = Options::default();
    options.limits.stall_timeout = SHORT;
    let server = options.start().await;
    let mut lazy = server.connect().await;
    let heads = b"HEAD /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let start = Instant::now();
    let mut sent = timeout(PATIENCE, lazy.write_all(&heads)).await;
    while sent.expect("the connection is never closed").is_ok() {
        assert!(start.elapsed() < PATIENCE, "the connection is never closed");
        sent = timeout(PATIENCE, lazy.write_all(&heads)).await;
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_response() {
    let mut options = Options::default();
    options.limits.stall_timeout = SHORT;
    options.limits.head_timeout = SHORT;
    options.metrics = UpMetric::of_bytes(LARGE);
    let server = options.start().await;
    let mut stream = server.connect().await;
    stream.write_all(GET_METRICS).await.unwrap();
    let start = Instant::now();
    let mut received = 0;
    let mut chunk = vec![0; 4 << 20];
    while received < LARGE {
        sleep(SHORT / 10).await;
        let n = timeout(PATIENCE, stream.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(n, 0, "cut after {received} bytes");
        received += n;
    }
    assert!(start.elapsed() > SHORT, "the timeouts did not apply");
}

#[tokio::test]
async fn silent_connections_do_not_lock_out_a_scrape() {
    let mut options = Options::default();
    options.limits.connections = 8;
    let server = options.start().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.get("/metrics").await.0, 200);
    // The first connection was closed, the last one is still open.
    assert_eq!(read_to_end(&mut silent[0]).await, "");
    let last = silent.last_mut().unwrap();
    last.write_all(GET_METRICS).await.unwrap();
    read_response(last).await;
}

#[tokio::test]
async fn more_scrapes_than_allowed_are_refused() {
    let (metrics, gate) = UpMetric::gated();
    let mut options = Options::default();
    options.settings.max_requests = 2;
    options.metrics = metrics;
    let server = options.start().await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(GET_METRICS).await.unwrap();
    }
    // Both are in progress when the third one arrives. If it were accepted, it would hang.
    sleep(Duration::from_millis(200)).await;
    let third = timeout(PATIENCE, server.get("/metrics")).await;
    let (status, body) = third.expect("an immediate response to a third scrape");
    assert_eq!(status, 503);
    assert!(body.contains("2 scrapes"), "{body}");
    server.expect_requests("metrics", "503", 1);
    // Everything else is served as usual.
    assert_eq!(server.get("/-/healthy").await.0, 200);

    // A slot is freed when its client disconnects, or when its request is done.
    drop(first);
    drop(gate);
    let (head, _) = read_response(&mut second).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let start = Instant::now();
    while server.get("/metrics").await.0 == 503 {
        assert!(start.elapsed() < PATIENCE, "the slot is never free again");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let server = Server::start().await;
    let long = "x".repeat(40 << 10);
    let many = "X: y\r\n".repeat(101);
    for (name, request, code) in [
        (
            "long header",
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
            431,
        ),
        (
            "long path",
            format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
            431,
        ),
        ("many headers", format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
    ] {
        assert_eq!(
            status(&server.raw(request.as_bytes()).await),
            code,
            "{name}"
        );
    }
    assert_eq!(server.get("/-/healthy").await.0, 200);
}

#[tokio::test]
async fn a_request_body_is_not_waited_for() {
    let mut options = Options::default();
    options.limits.head_timeout = SHORT;
    let server = options.start().await;
    for announced in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{announced}\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{announced}");
    }
}
