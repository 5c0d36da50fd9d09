//! Certificates and users change while the server runs.

use std::time::Duration;

use rustls::RootCertStore;
use tokio::time::{Instant, sleep};

use crate::access::{PASSWORD, get_as, user};
use crate::log::Log;
use crate::secure::*;
use crate::support::*;

/// Long enough for the server to notice a change.
const SEEN: Duration = Duration::from_secs(3);

/// Waits until a condition is true.
async fn eventually(mut expected: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !expected().await {
        assert!(start.elapsed() < PATIENCE, "the change is not seen");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn certificates_rotate_without_a_restart() {
    let site = Site::new(TLS);
    let server = site.start().await;
    let old = || site.client(None);
    let kept = connect(&server, old()).await.unwrap();
    let next = Authority::new("next");
    let roots = || -> RootCertStore { next.roots() };
    let new = || client(roots(), rustls::ALL_VERSIONS, None);
    assert!(is_served(&server, old()).await && !is_served(&server, new()).await);

    site.write_identity(&next.server());
    eventually(async || is_served(&server, new()).await).await;
    assert!(!is_served(&server, old()).await);
    drop(kept);
}

#[tokio::test]
async fn a_bad_certificate_keeps_the_one_before_until_it_is_mended() {
    let site = Site::new(TLS);
    let server = site.start().await;
    let next = Authority::new("next");
    let identity = next.server();
    site.write("server.pem", &identity.certificate);
    sleep(SEEN).await;
    assert!(is_served(&server, site.client(None)).await);

    site.write("server.key", &identity.key);
    let new = || client(next.roots(), rustls::ALL_VERSIONS, None);
    eventually(async || is_served(&server, new()).await).await;
}

#[tokio::test]
async fn users_change_without_a_restart() {
    let site = Site::new(&user("alice", PASSWORD));
    let server = site.start().await;
    let code =
        async |name, password| status(&get_as(&server, "/metrics", Some((name, password))).await);
    assert_eq!(code("alice", PASSWORD).await, 200);

    site.write("web.yml", &user("bob", "another"));
    eventually(async || code("bob", "another").await == 200).await;
    assert_eq!(code("alice", PASSWORD).await, 401);

    // Neither a mistake in the file nor its removal changes who has access.
    site.write("web.yml", "basic_auth_users: { eve: no-hash }");
    sleep(SEEN).await;
    assert_eq!(code("bob", "another").await, 200);
    assert_eq!(code("eve", "no-hash").await, 401);
    std::fs::remove_file(site.path("web.yml")).unwrap();
    sleep(SEEN).await;
    assert_eq!(code("bob", "another").await, 200);
    assert_eq!(server.get("/metrics").await.0, 401);

    site.write("web.yml", &user("bob", "third"));
    eventually(async || code("bob", "third").await == 200).await;
    assert_eq!(code("bob", "another").await, 401);
}

#[tokio::test]
async fn tls_does_not_vanish_from_a_server_that_runs() {
    let site = Site::new(TLS);
    let server = site.start().await;
    site.write("web.yml", "");
    sleep(SEEN).await;
    assert!(is_served(&server, site.client(None)).await);
    assert_eq!(server.get("/metrics").await.0, 400);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_a_metric_and_once_it_has_passed_an_error() {
    let log = Log::of_the_process();
    let site = Site::new(TLS);
    let server = site.start().await;
    let not_after = || {
        let name = "cloudflare_origin_region_exporter_web_certificate_not_after_timestamp_seconds";
        let families = server.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        Some(family.get_metric()[0].get_gauge().get_value())
    };
    assert!(not_after().unwrap() > 4e9, "rcgen's certificates last long");
    site.write_identity(&site.authority.expired());
    let expected = 1_577_836_800.0;
    eventually(async || not_after() == Some(expected)).await;
    let expired = || {
        let is_logged = |line: &&str| {
            line.contains("ERROR")
                && line.contains("the certificate of the web server has expired")
                && line.contains("not_after=2020-01-01T00:00:00Z")
        };
        log.text().lines().filter(is_logged).count()
    };
    eventually(async || expired() == 1).await;
    // The next check does not log it again.
    sleep(SEEN).await;
    assert_eq!(expired(), 1);

    let clear = Server::start().await;
    let names = clear.registry.gather();
    assert!(
        !names
            .iter()
            .any(|family| family.name().contains("certificate"))
    );
}
