//! Limits on a single HTTP/2 client, so that it does not affect others.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use hyper::Request;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::secure::*;
use crate::streaming::many_mappings;
use crate::support::*;

/// More than all buffers between a client and this server, including its window.
const LARGE: usize = 4 << 20;

struct Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    /// Connects with a window of this many bytes for each response.
    async fn connect(site: &Site, server: &Server, window: u32) -> Self {
        let mut config = site.client(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = connect(server, config).await.unwrap();
        let (requests, connection) = Builder::new()
            .initial_window_size(window)
            .initial_connection_window_size(1 << 20)
            .handshake(stream)
            .await
            .unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    async fn send(&mut self, path: &str) -> h2::client::ResponseFuture {
        let request = Request::get(format!("https://localhost{path}"));
        let mut ready = self.requests.clone().ready().await.unwrap();
        let (response, _) = ready.send_request(request.body(()).unwrap(), true).unwrap();
        response
    }

    /// Waits for the server to close the connection.
    async fn ends(mut self) {
        let _ = timeout(PATIENCE, &mut self.connection)
            .await
            .expect("the server closes the connection")
            .unwrap();
    }
}

fn options(site: &Site) -> Options {
    let mut options = site.options();
    options.metrics = UpMetric::of_bytes(LARGE);
    options
}

async fn read(
    response: impl Future<Output = Result<hyper::Response<h2::RecvStream>, h2::Error>>,
    pause: Duration,
) -> Result<usize, h2::Error> {
    let mut body = response.await?.into_body();
    let mut received = 0;
    while let Some(chunk) = body.data().await {
        let size = chunk?.len();
        received += size;
        body.flow_control().release_capacity(size)?;
        sleep(pause).await;
    }
    Ok(received)
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let site = Site::new(TLS);
    let mut options = site.options();
    options.limits.head_timeout = SHORT * 3;
    let server = options.start().await;
    let unused = Client::connect(&site, &server, 65_535).await;
    let mut used = Client::connect(&site, &server, 65_535).await;
    let start = Instant::now();
    let response = used.send("/metrics").await;
    assert!(read(response, Duration::ZERO).await.unwrap() > METRICS.len());
    used.ends().await;
    assert!(start.elapsed() >= SHORT);
    unused.ends().await;
}

#[tokio::test]
async fn a_response_that_is_not_taken_is_cut_and_frees_its_place() {
    let site = Site::new(TLS);
    let mut options = options(&site);
    options.limits.stall_timeout = SHORT * 3;
    options.limits.head_timeout = SHORT * 3;
    options.settings.max_requests = 1;
    let server = options.start().await;
    for window in [0, 1, 100_000] {
        let mut lazy = Client::connect(&site, &server, window).await;
        let response = timeout(PATIENCE, lazy.send("/metrics").await).await;
        let response = response.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        // The client still sends other requests; only this response makes no progress.
        let start = Instant::now();
        while !lazy.connection.is_finished() {
            assert!(
                start.elapsed() < PATIENCE,
                "{window}: the response is never cut"
            );
            sleep(SHORT / 10).await;
        }
        lazy.ends().await;
        let mut other = Client::connect(&site, &server, 1 << 20).await;
        let response = other.send("/metrics").await;
        assert!(read(response, Duration::ZERO).await.unwrap() > LARGE);
    }
}

#[tokio::test]
async fn pages_that_are_not_taken_are_bounded_over_all_connections() {
    const STREAMS: usize = 32;
    let site = Site::new(TLS);
    let server = site.start().await;
    let mut lazy = Vec::new();
    let mut responses = Vec::new();
    // More pages than may be sent at once.
    for _ in 0..3 {
        let mut client = Client::connect(&site, &server, 0).await;
        for _ in 0..STREAMS {
            responses.push(client.send("/").await);
        }
        lazy.push(client);
    }
    let start = Instant::now();
    while !lazy.iter().any(|client| client.connection.is_finished()) {
        let mut other = Client::connect(&site, &server, 1 << 20).await;
        let response = other.send("/").await;
        drop(timeout(PATIENCE, read(response, Duration::ZERO)).await);
        assert!(start.elapsed() < PATIENCE, "no connection is closed");
        sleep(SHORT).await;
    }
}

#[tokio::test]
async fn a_slow_client_gets_the_whole_response() {
    let site = Site::new(TLS);
    // Rendered completely before sending, or in pieces during sending.
    for in_pieces in [false, true] {
        let mut options = options(&site);
        if in_pieces {
            options.metrics = UpMetric::default();
            options.whole_at_most = 1 << 20;
        }
        options.limits.stall_timeout = SHORT * 3;
        options.limits.head_timeout = SHORT * 3;
        let server = options.start().await;
        if in_pieces {
            server.snapshot.publish(many_mappings(12, "us-east-1"));
        }
        let mut slow = Client::connect(&site, &server, 1 << 20).await;
        let start = Instant::now();
        let response = slow.send("/metrics").await.await.unwrap();
        let announced = response.headers()["content-length"].to_str().unwrap();
        let announced: usize = announced.parse().unwrap();
        let pause = Duration::from_millis(2);
        let received = read(async { Ok(response) }, pause).await.unwrap();
        assert_eq!(received, announced);
        assert!(received > LARGE);
        assert!(start.elapsed() > SHORT, "the timeouts did not apply");
    }
}

#[tokio::test]
async fn the_requests_of_one_connection_are_bounded() {
    let site = Site::new(TLS);
    let mut options = site.options();
    options.limits.http2_streams = 3;
    options.settings.max_requests = 0;
    let (metrics, _gate) = UpMetric::gated();
    options.metrics = metrics;
    let server = options.start().await;
    let mut client = Client::connect(&site, &server, 65_535).await;
    read(client.send("/-/healthy").await, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(client.requests.current_max_send_streams(), 3);
}

#[tokio::test]
async fn an_oversized_head_is_refused() {
    let site = Site::new(TLS);
    let server = site.start().await;
    let client = reqwest(&server, site.client(None), &["h2"]);
    let request = client.get(url(&server, "/metrics"));
    let answer = request.header("x", "y".repeat(40 << 10)).send().await;
    assert!(answer.is_err() || answer.unwrap().status() == 431);
    let answer = client.get(url(&server, "/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn what_is_in_flight_at_the_end_is_answered() {
    let site = Site::new(TLS);
    let mut options = site.options();
    let (metrics, gate) = UpMetric::gated();
    options.metrics = metrics;
    let server = options.start().await;
    let mut client = Client::connect(&site, &server, 65_535).await;
    let response = client.send("/metrics").await;
    sleep(SHORT).await;
    server.shutdown.cancel();
    sleep(SHORT).await;
    drop(gate);
    assert!(read(response, Duration::ZERO).await.unwrap() > METRICS.len());
    client.ends().await;
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}
