//! Connections, memory and password checks are shared fairly between clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::access::base64;
use crate::secure::*;
use crate::support::*;

/// More than the kernel buffers for a client that does not read.
const LARGE: usize = 32 << 20;

const GET_ONCE: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";

/// A connection from another local address.
async fn connect_from(address: &str, server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(address.parse().unwrap(), 0))
        .unwrap();
    socket.connect(server.addresses[0]).await.unwrap()
}

async fn ask(mut stream: TcpStream, request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.unwrap();
    status(&read_to_end_lossy(&mut stream).await)
}

#[tokio::test]
async fn clients_that_do_not_read_lock_nobody_out() {
    let mut options = Options::default();
    options.limits.connections = 8;
    options.metrics = UpMetric::of_bytes(LARGE);
    let server = options.start().await;
    let mut lazy = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(&GET_METRICS.repeat(3)).await.unwrap();
        lazy.push(stream);
        let healthy = timeout(Duration::from_secs(2), server.get("/-/healthy"));
        assert_eq!(healthy.await.expect("an immediate response").0, 200);
    }
    let start = Instant::now();
    for address in ["127.0.0.1", "127.0.0.2"] {
        loop {
            let stream = connect_from(address, &server).await;
            if ask(stream, &format!("{GET_ONCE}\r\n")).await == 200 {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{address}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_window_of_nothing_locks_nobody_out() {
    let site = Site::new(TLS);
    let mut options = site.options();
    options.limits.connections = 4;
    let server = options.start().await;
    let mut lazy = Vec::new();
    for _ in 0..10 {
        let mut config = site.client(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let Ok(stream) = connect(&server, config).await else {
            continue;
        };
        let handshake = h2::client::Builder::new()
            .initial_window_size(0)
            .handshake::<_, bytes::Bytes>(stream);
        let Ok((mut requests, connection)) = handshake.await else {
            continue;
        };
        let connection = tokio::spawn(connection);
        let request = hyper::Request::get("https://localhost/").body(()).unwrap();
        let response = requests.send_request(request, true);
        lazy.push((requests, connection, response));
        let healthy = request_path(&site, &server, "/-/healthy");
        let healthy = timeout(Duration::from_secs(2), healthy).await;
        assert_eq!(healthy.expect("an immediate response"), Some(200));
    }
    let start = Instant::now();
    while request_path(&site, &server, "/metrics").await != Some(200) {
        assert!(start.elapsed() < Duration::from_secs(5), "locked out");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn request_path(site: &Site, server: &Server, path: &str) -> Option<u16> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = request(server, site.client(None), &text).await.ok()?;
    Some(status(&answer))
}

#[tokio::test]
async fn one_peer_does_not_close_the_connections_of_another() {
    let mut options = Options::default();
    options.limits.connections = 8;
    let server = options.start().await;
    let mut patient = connect_from("127.0.0.2", &server).await;
    let mut storm = Vec::new();
    for _ in 0..100 {
        storm.push(server.connect().await);
    }
    patient.write_all(GET_METRICS).await.unwrap();
    let (head, _) = read_response(&mut patient).await;
    assert_eq!(status(&head), 200);
}

#[tokio::test]
async fn a_storm_does_not_end_a_handshake_under_way() {
    let site = Site::new(TLS);
    let mut options = site.options();
    options.limits.connections = 8;
    let server = options.start().await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(site.client(None)), name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    let (first, rest) = hello.split_at(hello.len() / 2);
    let mut slow = server.connect().await;
    slow.write_all(first).await.unwrap();
    // A later request was answered, so the server has read this part.
    assert_eq!(request_path(&site, &server, "/-/healthy").await, Some(200));

    let mut storm = Vec::new();
    for _ in 0..100 {
        storm.push(server.connect().await);
    }
    slow.write_all(rest).await.unwrap();
    let answer = timeout(PATIENCE, slow.read_u8()).await.unwrap();
    assert_eq!(answer.unwrap(), 0x16, "a handshake record");
}

#[tokio::test]
async fn slow_readers_hold_two_large_bodies_at_most() {
    let metrics = UpMetric::of_bytes(3 * LARGE);
    let rendered = metrics.collections();
    let options = Options {
        metrics,
        ..Options::default()
    };
    let server = options.start().await;
    let (hurry, slowly) = watch::channel(false);
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let mut stream = server.connect().await;
        stream.write_all(GET_METRICS).await.unwrap();
        stream.readable().await.unwrap();
        let hurry = slowly.clone();
        readers.spawn(async move {
            let (mut chunk, mut received) = (vec![0; 64 << 10], 0);
            while received < 3 * LARGE {
                match stream.read(&mut chunk).await {
                    Ok(n @ 1..) => received += n,
                    _ => return false,
                }
                if !*hurry.borrow() {
                    sleep(Duration::from_millis(20)).await;
                }
            }
            true
        });
        // Long enough that the next scrape gets a new body.
        sleep(Duration::from_millis(1100)).await;
    }
    hurry.send(true).unwrap();
    let whole = readers.join_all().await.into_iter().filter(|whole| *whole);
    let cut = 4 - whole.count();
    let rendered = usize::try_from(rendered.get()).unwrap();
    assert!(rendered - cut <= 2, "{rendered} bodies, {cut} cut");
    assert_eq!(server.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn a_scrape_waits_for_memory_while_steady_readers_get_their_bodies_whole() {
    let metrics = UpMetric::of_bytes(LARGE);
    let rendered = metrics.collections();
    let options = Options {
        metrics,
        ..Options::default()
    };
    let server = options.start().await;
    let (hurry, hurried) = watch::channel(false);
    let mut readers = JoinSet::new();
    // Two bodies use all the memory for bodies.
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(GET_METRICS).await.unwrap();
        let hurried = hurried.clone();
        readers.spawn(async move {
            let (mut part, mut received) = (vec![0; 256 << 10], 0);
            while received < LARGE {
                match timeout(PATIENCE, stream.read_exact(&mut part)).await {
                    Ok(Ok(n)) => received += n,
                    _ => return false,
                }
                // Slow, but the client never stops reading.
                if !*hurried.borrow() {
                    sleep(Duration::from_millis(50)).await;
                }
            }
            true
        });
        // Long enough that the next scrape gets a new body.
        sleep(Duration::from_millis(1100)).await;
    }
    assert_eq!(rendered.get(), 2, "the third scrape waits");
    hurry.send_replace(true);
    assert_eq!(readers.join_all().await, [true; 3]);
    assert_eq!(rendered.get(), 3);
}

#[tokio::test]
async fn a_response_has_a_least_rate() {
    let mut options = Options {
        metrics: UpMetric::of_bytes(LARGE),
        ..Options::default()
    };
    options.limits.stall_timeout = Duration::from_secs(2);
    options.limits.least_rate = 32 << 20;
    let server = options.start().await;
    let mut slow = server.connect().await;
    slow.write_all(GET_METRICS).await.unwrap();
    let start = Instant::now();
    let mut received = 0;
    let mut chunk = vec![0; 64 << 10];
    // The client reads continuously, but needs at least five seconds where three are allowed.
    while received < LARGE
        && let Ok(n @ 1..) = timeout(PATIENCE, slow.read(&mut chunk)).await.unwrap()
    {
        received += n;
        sleep(Duration::from_millis(10)).await;
        assert!(start.elapsed() < PATIENCE, "the response is never cut");
    }
    assert!(received < LARGE, "{received}");
}

#[tokio::test]
async fn wrong_passwords_do_not_keep_out_a_scraper_from_elsewhere() {
    let hash = bcrypt::hash("right", 10).unwrap();
    let site = Site::new(&format!("basic_auth_users: {{ prometheus: \"{hash}\" }}\n"));
    let server = Arc::new(site.start().await);
    let request = |password: &str| {
        let credentials = base64(&format!("prometheus:{password}"));
        format!("{GET_ONCE}Authorization: Basic {credentials}\r\n\r\n")
    };
    let mut guesses = JoinSet::new();
    for guess in 0..200 {
        let (server, text) = (Arc::clone(&server), request(&guess.to_string()));
        guesses.spawn(async move { ask(server.connect().await, &text).await });
    }
    sleep(Duration::from_millis(100)).await;
    let scraper = connect_from("127.0.0.2", &server).await;
    let right = request("right");
    tokio::select! {
        status = ask(scraper, &right) => assert_eq!(status, 200),
        () = checked(&mut guesses) => panic!("the guesses were checked first"),
    }
}

#[tokio::test]
async fn wrong_passwords_do_not_keep_out_a_scraper_from_the_same_address() {
    const GUESSERS: usize = 100;
    let hash = bcrypt::hash("right", 10).unwrap();
    let site = Site::new(&format!("basic_auth_users: {{ prometheus: \"{hash}\" }}\n"));
    let server = Arc::new(site.start().await);
    let request = |password: &str| {
        let credentials = base64(&format!("prometheus:{password}"));
        format!("{GET_ONCE}Authorization: Basic {credentials}\r\n\r\n")
    };
    let mut guessers = JoinSet::new();
    for guesser in 0..GUESSERS {
        let server = Arc::clone(&server);
        guessers.spawn(async move {
            for guess in 0.. {
                let text = request(&format!("{guesser}-{guess}"));
                // The server may close the connection to make room.
                let mut stream = server.connect().await;
                let _ = stream.write_all(text.as_bytes()).await;
                read_to_end_lossy(&mut stream).await;
            }
        });
    }
    let start = Instant::now();
    let mut number = 0;
    while ask(server.connect().await, &request(&number.to_string())).await != 503 {
        assert!(start.elapsed() < PATIENCE, "no guess is rejected");
        number += 1;
    }
    let right = request("right");
    let mut attempts = 1;
    while ask(server.connect().await, &right).await != 200 {
        attempts += 1;
        assert!(attempts < 5, "the scraper is locked out");
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(ask(server.connect().await, &right).await, 200, "remembered");
}

/// Waits until more than 30 guesses have been rejected.
async fn checked(guesses: &mut JoinSet<u16>) {
    let mut refused = 0;
    while let Some(status) = guesses.join_next().await {
        refused += usize::from(status.unwrap() == 401);
        if refused > 30 {
            return;
        }
    }
}
