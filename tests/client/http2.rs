//! HTTP/2 connections that close, freeze or get stuck, over real TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloudflare_origin_region_exporter::cloudflare::{Client, Credentials, Secrets};
use cloudflare_origin_region_exporter::http_client::HttpClient;
use cloudflare_origin_region_exporter::simulator::{Simulator, World};
use h2::server::SendResponse;
use prometheus::Registry;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::support::{call, http, inline, name, settings, zone};

const EMPTY: &[u8] = include_bytes!("../data/cloudflare/list-empty.json");

/// How the server treats its connections. The first one has the number 0.
#[derive(Debug, Clone, Copy)]
enum Habit {
    /// Sends GOAWAY after every third request. Later requests are not processed.
    GoAwayAfterThree,
    /// Closes the connection once it has been idle for this long.
    CloseIdle(Duration),
    /// Stops reading and writing on the first connection after one response.
    FreezeFirst,
    /// On the first connection, responds to pings but only to the first request.
    StuckFirst,
}

struct Http2Server {
    address: SocketAddr,
    ca: tempfile::NamedTempFile,
    connections: Arc<AtomicUsize>,
}

impl Http2Server {
    async fn start(habit: Habit) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), key.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // The client may close the connection.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, habit, number).await.ok();
                    }
                });
            }
        });
        Self {
            address,
            ca,
            connections,
        }
    }

    fn client(&self, timeout: Duration, retries: u32) -> Client {
        let mut settings = settings(&format!(
            "https://localhost:{}/client/v4",
            self.address.port()
        ));
        settings.timeout = timeout;
        settings.retries = retries;
        let http = HttpClient::new(Some(self.ca.path())).unwrap();
        let secrets = Secrets::default();
        Client::new(
            &settings,
            name(),
            Credentials::Token(inline("a-token")),
            http,
            &Registry::new(),
            &secrets,
        )
        .unwrap()
    }
}

async fn serve(stream: TlsStream<TcpStream>, habit: Habit, number: usize) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    let mut requests = 0;
    let mut unanswered = Vec::new();
    loop {
        let next = match habit {
            Habit::CloseIdle(idle) if requests > 0 => {
                let Ok(next) = tokio::time::timeout(idle, connection.accept()).await else {
                    return Ok(());
                };
                next
            }
            _ => connection.accept().await,
        };
        let Some(request) = next else { return Ok(()) };
        let (_, respond) = request?;
        requests += 1;
        match habit {
            Habit::GoAwayAfterThree if requests == 3 => {
                answer(respond)?;
                connection.abrupt_shutdown(h2::Reason::NO_ERROR);
            }
            Habit::FreezeFirst if number == 0 && requests > 1 => {
                std::future::pending::<()>().await;
            }
            Habit::StuckFirst if number == 0 && requests > 1 => unanswered.push(respond),
            _ => answer(respond)?,
        }
    }
}

fn answer(mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let head = hyper::Response::builder().status(200).body(()).unwrap();
    let mut body = respond.send_response(head, false)?;
    body.send_data(Bytes::from_static(EMPTY), true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_after_every_third_request_costs_no_call() {
    let server = Http2Server::start(Habit::GoAwayAfterThree).await;
    let client = server.client(Duration::from_secs(10), 0);
    for _ in 0..10 {
        client.list_mappings(&zone(), &call()).await.unwrap();
    }
    // Several at once, so that some are sent on a connection that is about to close.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        calls.spawn(async move {
            for _ in 0..5 {
                client.list_mappings(&zone(), &call()).await.unwrap();
            }
        });
    }
    calls.join_all().await;
    assert!(server.connections.load(Ordering::SeqCst) >= 50 / 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_that_is_closed_just_as_a_call_begins_costs_no_call() {
    let idle = Duration::from_millis(20);
    let server = Http2Server::start(Habit::CloseIdle(idle)).await;
    let client = server.client(Duration::from_secs(10), 0);
    for number in 0..60 {
        client.list_mappings(&zone(), &call()).await.unwrap();
        let around = Duration::from_micros(19_000 + 50 * number);
        tokio::time::sleep(around).await;
    }
    assert!(server.connections.load(Ordering::SeqCst) > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_freezes_is_noticed_by_pings() {
    let server = Http2Server::start(Habit::FreezeFirst).await;
    let client = server.client(Duration::from_mins(2), 1);
    client.list_mappings(&zone(), &call()).await.unwrap();
    let started = Instant::now();
    let patient =
        cloudflare_origin_region_exporter::cloudflare::CallBudget::new(Duration::from_mins(2));
    client.list_mappings(&zone(), &patient).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_answers_pings_and_no_request_is_given_up() {
    let server = Http2Server::start(Habit::StuckFirst).await;
    let client = server.client(Duration::from_millis(500), 0);
    client.list_mappings(&zone(), &call()).await.unwrap();
    for _ in 0..2 {
        client.list_mappings(&zone(), &call()).await.unwrap_err();
    }
    for _ in 0..3 {
        client.list_mappings(&zone(), &call()).await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_base_url_that_is_wrong_is_probably_named() {
    let server = crate::scripted::Server::start(|seen| {
        if seen.target.starts_with("/client/v4") {
            crate::support::answer(200, "<!DOCTYPE html><title>Sign in</title>")
        } else {
            crate::support::answer(404, "<html>not found</html>")
        }
    })
    .await;
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let simulator = Simulator::local(World::empty(), shutdown).await.unwrap();
    let not_tls = simulator.base_url().replace("http://", "https://");
    for (base, hint) in [
        (not_tls, "may not speak TLS"),
        (
            format!("http://{}", server.address),
            "base_url does not end in /client/v4",
        ),
        (
            format!("http://{}/client/v4", server.address),
            "it is a web page",
        ),
    ] {
        let mut settings = settings(&base);
        settings.retries = 0;
        settings.timeout = Duration::from_secs(5);
        let secrets = Secrets::default();
        let client = Client::new(
            &settings,
            name(),
            Credentials::Token(inline("t")),
            http(),
            &Registry::new(),
            &secrets,
        )
        .unwrap();
        let error = client.list_zones(&call()).await.unwrap_err();
        assert!(error.detail.contains(hint), "{base}: {error}");
    }
}
