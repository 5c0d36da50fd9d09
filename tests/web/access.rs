//! Users, the rate limit and security headers.

use std::sync::Arc;

use tokio::time::Instant;

use crate::log::Log;
use crate::secure::*;
use crate::support::*;

pub(crate) const PASSWORD: &str = "correct-horse";

/// A web configuration with one user. The hash has the lowest cost, for speed.
pub(crate) fn user(name: &str, password: &str) -> String {
    let hash = bcrypt::hash(password, 4).unwrap();
    format!("basic_auth_users: {{ {name}: \"{hash}\" }}\n")
}

pub(crate) async fn get_as(server: &Server, path: &str, user: Option<(&str, &str)>) -> String {
    let authorization = user.map_or_else(String::new, |(name, password)| {
        let credentials = base64(&format!("{name}:{password}"));
        format!("Authorization: Basic {credentials}\r\n")
    });
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n");
    server.raw(request.as_bytes()).await
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn only_users_may_read() {
    let site = Site::new(&user("alice", PASSWORD));
    let server = site.start().await;
    let good = Some(("alice", PASSWORD));
    for path in ["/metrics", "/", "/nothing"] {
        for wrong in [None, Some(("alice", "x")), Some(("bob", PASSWORD))] {
            let answer = get_as(&server, path, wrong).await;
            assert_eq!(status(&answer), 401, "{path} {wrong:?}");
            let challenge = header(&answer, "www-authenticate").unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
            assert!(!answer.contains("up 1"), "{answer}");
        }
        assert_ne!(status(&get_as(&server, path, good).await), 401, "{path}");
    }
    server.expect_requests("metrics", "401", 3);
    server.expect_requests("landing", "401", 3);
    server.expect_requests("other", "401", 3);
    server.expect_requests("metrics", "200", 1);
}

#[tokio::test]
async fn health_and_readiness_ask_for_nothing() {
    let site = Site::new(&format!(
        "{}rate_limit: {{ interval: 1h, burst: 0 }}\n",
        user("alice", PASSWORD)
    ));
    let server = site.start().await;
    for _ in 0..3 {
        assert_eq!(server.get("/-/healthy").await.0, 200);
        assert_eq!(server.get("/-/ready").await.0, 503);
    }
    assert_eq!(server.get("/metrics").await.0, 429);
}

#[tokio::test]
async fn two_hundred_first_scrapes_check_the_password_a_few_times() {
    let hash = bcrypt::hash(PASSWORD, 6).unwrap();
    let site = Site::new(&format!("basic_auth_users: {{ alice: \"{hash}\" }}\n"));
    let mut options = site.options();
    options.settings.max_requests = 0;
    let server = Arc::new(options.start().await);
    let start = Instant::now();
    let first = get_as(&server, "/metrics", Some(("alice", PASSWORD))).await;
    let one = start.elapsed();
    assert_eq!(status(&first), 200);
    let mut scrapes = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let server = Arc::clone(&server);
        scrapes.spawn(async move {
            status(&get_as(&server, "/metrics", Some(("alice", PASSWORD))).await)
        });
    }
    assert_eq!(scrapes.join_all().await, [200; 200]);
    assert!(start.elapsed() < one * 100, "{:?} {one:?}", start.elapsed());
}

#[tokio::test]
async fn requests_beyond_the_rate_are_refused() {
    let site = Site::new("rate_limit: { interval: 1h, burst: 3 }\n");
    let server = site.start().await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(server.get("/metrics").await.0);
    }
    assert_eq!(codes, [200, 200, 200, 429, 429]);
    server.expect_requests("metrics", "429", 2);
}

#[tokio::test]
async fn headers_of_the_file_are_on_every_response() {
    let site = Site::new(
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
         Content-Security-Policy: default-src 'self'\n",
    );
    let server = site.start().await;
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/nothing"] {
        let answer = get_as(&server, path, None).await;
        assert_eq!(header(&answer, "x-frame-options"), Some("deny"), "{path}");
        let policy = header(&answer, "content-security-policy");
        assert_eq!(policy, Some("default-src 'self'"), "{path}");
    }
}

#[tokio::test]
async fn no_password_and_no_key_is_logged_at_any_level() {
    let log = Log::of_the_process();
    let users = user("alice", PASSWORD);
    let site = Site::new(&format!("{TLS}{users}"));
    let server = site.start().await;
    for protocol in ["h2", "http/1.1"] {
        let client = reqwest(&server, site.client(None), &[protocol]);
        for (password, code) in [(PASSWORD, 200), ("wrong-guess", 401)] {
            let request = client.get(url(&server, "/metrics"));
            let request = request.basic_auth("alice", Some(password));
            assert_eq!(request.send().await.unwrap().status(), code);
        }
    }
    let log = log.text();
    assert!(log.contains("request"), "{log}");
    let key = std::fs::read_to_string(site.path("server.key")).unwrap();
    let hash = users.split('"').nth(1).unwrap();
    let credentials = base64(&format!("alice:{PASSWORD}"));
    let secrets = [
        PASSWORD,
        "wrong-guess",
        hash,
        &credentials,
        key.lines().nth(1).unwrap(),
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
