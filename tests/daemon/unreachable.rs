//! An API that becomes unreachable: no zone can be read, and nothing that was read is lost.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::failing::MOVING;
use crate::support::{Api, BAD, Config, Daemon, GOOD, ON_BAD, ON_GOOD, world};

/// Reads both zones, then reloads with an address where the API is not, and later with the right
/// one again. A reload keeps all data.
async fn cannot_be_reached(elsewhere: &str, reason: &str) {
    cannot_be_reached_when("timeout: 1s, retries: 1", elsewhere, reason).await;
}

/// Like [`cannot_be_reached`], with other settings of the polls.
async fn cannot_be_reached_when(attempts: &str, elsewhere: &str, reason: &str) {
    let api = Api::start(world()).await;
    let poll = format!("interval: 200ms, discovery_interval: 300ms, {attempts}");
    let config = Config::polling(&poll);
    let text = config.text(&api.simulator.base_url());
    // Give up on an unresponsive resolver early, if the C library supports this variable.
    let resolver = ("RES_OPTIONS", "timeout:1 attempts:2");
    let mut daemon = Daemon::start_with(&text, &[], &[resolver]).await;
    let before = daemon.until_read().await;
    let read = [BAD, GOOD].map(|zone| before.lines_of(zone, &MOVING));
    daemon.until_ready().await;
    let file = daemon.folder.path().join("config.yaml");
    fs::write(&file, config.text(elsewhere)).unwrap();
    daemon.signal("HUP");
    let failed = daemon
        .until("neither the zones nor the list can be read", |scrape| {
            let zones = [BAD, GOOD].map(|zone| scrape.up(zone));
            zones == [Some(false); 2] && scrape.value("exporter_discovery_up", &[]) == Some(0.0)
        })
        .await;
    assert_eq!(
        failed.values_of("reason", "zone_poll_errors_total", &[]),
        [reason]
    );
    for operation in ["list_zones", "list_mappings"] {
        let errors = [("operation", operation), ("reason", reason)];
        let errors = failed.sum("exporter_api_errors_total", &errors);
        assert!(errors >= 1.0, "{operation}");
    }
    let kept = [BAD, GOOD].map(|zone| failed.lines_of(zone, &MOVING));
    assert_eq!(kept, read, "nothing is lost");
    let success = "zone_last_success_timestamp_seconds";
    assert!(failed.value(success, ON_BAD).is_some() && failed.value(success, ON_GOOD).is_some());
    let logged = format!("reason={reason} ");
    daemon
        .assert_logged(&["level=warn", "poll failed", &logged, "error=\""], 2)
        .await;
    // On a slow machine, the zones may have been listed again meanwhile.
    daemon
        .until_logged(&["level=warn", "listing zones failed", reason])
        .await;
    for page in ["/-/ready", "/-/healthy"] {
        assert_eq!(daemon.get(page).await.0, 200, "{page}");
    }

    fs::write(&file, config.text(&api.simulator.base_url())).unwrap();
    daemon.signal("HUP");
    let after = daemon
        .until("everything can be read again", |scrape| {
            let zones = [BAD, GOOD].map(|zone| scrape.up(zone));
            zones == [Some(true); 2] && scrape.value("exporter_discovery_up", &[]) == Some(1.0)
        })
        .await;
    assert_eq!(after.sum("mapping_changes_total", &[]), 0.0);
    daemon.stop().await;
}

/// Starts a server that treats every connection the same, and returns its address.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

#[tokio::test]
async fn a_name_that_dns_does_not_know() {
    // The C library may ask an unresponsive resolver again only after five seconds.
    let attempts = "timeout: 15s, retries: 0";
    cannot_be_reached_when(attempts, "https://name.invalid/client/v4", "connect").await;
}

#[tokio::test]
async fn a_port_that_nothing_listens_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    cannot_be_reached(&format!("http://{address}/client/v4"), "connect").await;
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.into()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let [refused, accepted] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&refused), Arc::clone(&accepted));
    let address = server(move |stream| {
        let (acceptor, (refused, accepted)) = (acceptor.clone(), counters.clone());
        async move {
            let counter = match acceptor.accept(stream).await {
                Ok(_) => accepted,
                Err(_) => refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    cannot_be_reached(&format!("https://{address}/client/v4"), "tls").await;
    assert!(refused.load(Ordering::Relaxed) >= 2);
    let accepted = accepted.load(Ordering::Relaxed);
    assert_eq!(accepted, 0, "an untrusted server may be sent a request");
}

#[tokio::test]
async fn a_peer_that_hangs_up_in_the_handshake() {
    let address = server(|mut stream| async move {
        let mut hello = [0; 4096];
        let _ = stream.read(&mut hello).await;
    })
    .await;
    cannot_be_reached(&format!("https://{address}/client/v4"), "tls").await;
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls() {
    let address = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    cannot_be_reached(&format!("https://{address}/client/v4"), "tls").await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on() {
    let address = server(|stream| async move {
        tokio::time::sleep(Duration::from_hours(1)).await;
        drop(stream);
    })
    .await;
    cannot_be_reached(&format!("https://{address}/client/v4"), "timeout").await;
}
