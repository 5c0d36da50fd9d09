//! Faults of the connection and the response, and how they are classified.

use std::io::Write as _;
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{Client, Credentials, Reason, Secrets};
use prometheus::Registry;

use crate::scripted::{Reply, Server};
use crate::support::{Set, TOKEN, answer, call, error, http, inline, name, settings, zone};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: Vec<u8>) -> Reply {
    Reply::Answer(200, vec![("content-encoding", "gzip".to_owned())], body)
}

fn raw(text: &str) -> Reply {
    Reply::Raw(text.as_bytes().to_vec())
}

/// The name, the reply of the server, the reason of the error, the `code` label, and the number of
/// attempts.
type Fault = (&'static str, Reply, Reason, &'static str, usize);

fn faults_of_the_connection() -> Vec<Fault> {
    vec![
        ("cut before the head", raw(""), Reason::Http, "none", 2),
        (
            "cut in the head",
            raw("HTTP/1.1 200 OK\r\ncont"),
            Reason::Http,
            "none",
            2,
        ),
        (
            "cut in the body",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"success\""),
            Reason::Http,
            "200",
            2,
        ),
        (
            "no HTTP",
            raw("SSH-2.0-OpenSSH\r\n"),
            Reason::Http,
            "none",
            2,
        ),
        (
            "chunked garbage",
            raw(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            ),
            Reason::Http,
            "200",
            2,
        ),
        (
            "silence",
            Reply::Hang(Vec::new()),
            Reason::Timeout,
            "none",
            2,
        ),
        (
            "silence after the head",
            Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()),
            Reason::Timeout,
            "200",
            2,
        ),
        (
            "drip",
            Reply::Drip(Duration::from_millis(100)),
            Reason::Timeout,
            "200",
            2,
        ),
    ]
}

fn faults_of_the_body() -> Vec<Fault> {
    let ok = include_bytes!("../data/cloudflare/list-two.json");
    let mut corrupt = gzip(ok);
    corrupt[15] ^= 0xff;
    vec![
        (
            "corrupt gzip",
            gzipped(corrupt),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "half a gzip",
            gzipped(gzip(ok)[..40].to_vec()),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "gzip bomb",
            gzipped(gzip(&vec![b' '; 17 << 20])),
            Reason::TooLarge,
            "200",
            1,
        ),
        (
            "200 MB",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n{"),
            Reason::TooLarge,
            "200",
            1,
        ),
        (
            "HTML",
            answer(200, "<html>Log in</html>"),
            Reason::Malformed,
            "200",
            2,
        ),
        ("nothing", answer(200, ""), Reason::Malformed, "200", 2),
        (
            "null result",
            answer(200, r#"{"success":true,"result":null}"#),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "no list",
            answer(200, r#"{"success":true,"result":{}}"#),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "unsuccessful",
            error(200, 1),
            Reason::Unsuccessful,
            "200",
            2,
        ),
    ]
}

fn refusals() -> Vec<Fault> {
    vec![
        (
            "redirect",
            Reply::Answer(302, vec![("location", "/elsewhere".to_owned())], Vec::new()),
            Reason::Http,
            "302",
            1,
        ),
        ("401", error(401, 1), Reason::Unauthorized, "401", 1),
        (
            "400 with 9106",
            error(400, 9106),
            Reason::Unauthorized,
            "400",
            1,
        ),
        ("403", answer(403, "<html>"), Reason::Forbidden, "403", 1),
        ("404", error(404, 1), Reason::NotFound, "404", 1),
        ("no route", error(400, 7003), Reason::NoRoute, "400", 1),
        (
            "the documented 1146",
            answer(
                400,
                include_str!("../data/cloudflare/list-bad-per-page.json"),
            ),
            Reason::ClientError,
            "400",
            1,
        ),
        ("429", error(429, 10000), Reason::RateLimited, "429", 1),
        (
            "500 in HTML",
            answer(500, "<html>"),
            Reason::ServerError,
            "500",
            2,
        ),
        (
            "503 without end",
            Reply::Hang(b"HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\n".to_vec()),
            Reason::ServerError,
            "503",
            2,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_its_class_and_what_may_pass_is_tried_again() {
    // Create all clients first: this is slow enough to affect the timeouts of running requests.
    let mut sets = Vec::new();
    for (name, reply, reason, code, attempts) in
        [faults_of_the_connection(), faults_of_the_body(), refusals()].concat()
    {
        let set = Set::up(move |_| reply.clone()).await;
        sets.push((set, name, reason, code, attempts));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (set, name, reason, code, attempts) in sets {
        tasks.spawn(async move {
            let error = set
                .client
                .list_mappings(&zone(), &call())
                .await
                .unwrap_err();
            assert_eq!(error.reason, reason, "{name}: {error}");
            let seen = set.server.seen();
            assert_eq!(seen.len(), attempts, "{name}");
            assert!(
                seen.iter().all(|seen| !seen.target.contains("elsewhere")),
                "{name}"
            );
            #[expect(
                clippy::cast_precision_loss,
                reason = "the number of attempts is small"
            )]
            let attempts = Some(attempts as f64);
            let by = |family: &str, label: &str| {
                let (before, after) = if label.starts_with("code") {
                    (label, r#"operation="list_mappings""#)
                } else {
                    (r#"operation="list_mappings""#, label)
                };
                set.metric(&format!(r#"{family}{{account="main",{before},{after}}}"#))
            };
            assert_eq!(
                by("api_requests_total", &format!("code=\"{code}\"")),
                attempts,
                "{name}"
            );
            assert_eq!(
                by("api_errors_total", &format!("reason=\"{reason}\"")),
                attempts,
                "{name}"
            );
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn no_connection_and_no_tls_have_their_classes() {
    let plain = Server::start(|_| answer(200, "{}")).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_address = closed.local_addr().unwrap();
    drop(closed);
    for (base, reason) in [
        (format!("http://{closed_address}"), Reason::Connect),
        ("http://no-such-host.invalid".to_owned(), Reason::Connect),
        (format!("https://{}", plain.address), Reason::Tls),
    ] {
        let mut settings = settings(&base.replace("://", "://user:hidden-password@"));
        settings.retries = 0;
        settings.timeout = Duration::from_secs(5);
        let client = Client::new(
            &settings,
            name(),
            Credentials::Token(inline(TOKEN)),
            http(),
            &Registry::new(),
            &Secrets::default(),
        )
        .unwrap();
        let error = client.get_zone(&zone(), &call()).await.unwrap_err();
        assert_eq!(error.reason, reason, "{base}: {error}");
        assert!(
            !format!("{error} {error:?} {client:?}").contains("hidden-password"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_fault_that_passes_harms_nothing() {
    let mut first = true;
    let set = Set::up(move |_| {
        if std::mem::take(&mut first) {
            answer(502, "")
        } else {
            answer(200, include_str!("../data/cloudflare/list-empty.json"))
        }
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert!(list.rows.is_empty());
    assert_eq!(
        set.metric(r#"api_retries_total{account="main",operation="list_mappings"}"#),
        Some(1.0)
    );
}
