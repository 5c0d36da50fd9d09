//! Listening on addresses, and graceful shutdown.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use cloudflare_origin_region_exporter::web::bind;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::secure::{Site, TLS};
use crate::support::*;

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Server::start().await;
    let address = server.addresses[0].to_string();
    let mut settings = Options::default().settings;
    settings.listen = vec!["127.0.0.1:0".to_owned(), address.clone()];
    let error = bind(&settings).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {address}: address already in use; is another exporter running? \
             choose another with --web.listen-address"
        )
    );
}

#[tokio::test]
async fn addresses_that_cannot_work_are_errors() {
    for (listen, part) in [
        (vec!["nonsense"], "host:port or :port"),
        (vec!["192.0.2.1:0"], "cannot listen on 192.0.2.1:0"),
        (vec!["no-such-host.invalid:1"], "cannot be resolved"),
        (vec![], "--web.listen-address"),
    ] {
        let mut settings = Options::default().settings;
        settings.listen = listen.iter().map(ToString::to_string).collect();
        let error = bind(&settings).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn every_listener_serves_and_reports_its_real_port() {
    let mut options = Options::default();
    options.settings.listen = vec![
        "127.0.0.1:0".to_owned(),
        "localhost:0".to_owned(),
        ":0".to_owned(),
    ];
    let mut server = options.start().await;
    assert_eq!(server.addresses.len(), 3);
    let everywhere = server.addresses.pop().unwrap();
    let mut targets = server.addresses.clone();
    targets.push(SocketAddr::from(([127, 0, 0, 1], everywhere.port())));
    if everywhere.is_ipv6() {
        targets.push(SocketAddr::from((Ipv6Addr::LOCALHOST, everywhere.port())));
    }
    for target in targets {
        assert_ne!(target.port(), 0);
        server.addresses = vec![target];
        assert_eq!(server.get("/-/healthy").await.0, 200, "{target}");
    }
}

#[tokio::test]
async fn the_end_waits_for_what_is_in_flight_and_closes_what_is_idle() {
    let (metrics, gate) = UpMetric::gated();
    let options = Options {
        metrics,
        ..Options::default()
    };
    let server = options.start().await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    read_response(&mut idle).await;
    let mut busy = server.connect().await;
    busy.write_all(GET_METRICS).await.unwrap();
    // Until the server has received the request, whose response waits for the gate.
    sleep(Duration::from_millis(200)).await;

    server.shutdown.cancel();
    assert_eq!(read_to_end(&mut idle).await, "");
    assert!(TcpStream::connect(server.addresses[0]).await.is_err());
    assert!(!server.task.is_finished());
    drop(gate);
    let answer = read_to_end(&mut busy).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains(METRICS), "{answer}");
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let mut options = Options::default();
    options.limits.drain_timeout = SHORT;
    let (metrics, _gate) = UpMetric::gated();
    options.metrics = metrics;
    let server = options.start().await;
    let mut stuck = server.connect().await;
    stuck.write_all(GET_METRICS).await.unwrap();
    let mut half = server.connect().await;
    half.write_all(b"GET / HT").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.shutdown.cancel();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert_eq!(read_to_end(&mut stuck).await, "");
    assert_eq!(read_to_end(&mut half).await, "");
}

#[tokio::test]
async fn half_a_request_head_is_not_in_flight() {
    let site = Site::new(TLS);
    for mut options in [Options::default(), site.options()] {
        options.limits.drain_timeout = PATIENCE;
        let server = options.start().await;
        let mut half = server.connect().await;
        // A partial TLS handshake and a partial request.
        half.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
        let mut head = server.connect().await;
        head.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        sleep(Duration::from_millis(100)).await;
        server.shutdown.cancel();
        let ended = timeout(Duration::from_secs(3), server.task).await;
        ended.expect("the shutdown does not wait").unwrap();
    }
}
