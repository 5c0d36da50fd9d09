//! Writes by others, as the audit log shows them.

use std::fs;
use std::path::Path;

use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{Credential, Operation, World, zone_id_of};
use reqwest::Method;

use crate::support::{Api, BAD, Config, Daemon, GOOD, OTHER_TOKEN, TOKEN, world};

const EMAIL: &str = "ops@example.com";
/// The key of the operator who makes the writes.
const KEY: &str = "operator-secret-token-of-the-tests";

pub(crate) fn config(more: &str) -> Config {
    Config {
        more: format!("audit_log: {{ enabled: true, interval: 1s{more} }}"),
        ..Config::polling("interval: 1h, retries: 0")
    }
}

pub(crate) fn with_operator() -> World {
    operated(world())
}

pub(crate) fn operated(world: World) -> World {
    world.credential(Credential::key("operator", EMAIL, KEY))
}

/// Sends a write as another user.
pub(crate) async fn write(api: &Api, method: Method, path: &str, body: &str) {
    let url = format!("{}{path}", api.simulator.base_url());
    let http = http_client::client_builder(None).unwrap().build().unwrap();
    let request = http
        .request(method, url)
        .header("x-auth-email", EMAIL)
        .header("x-auth-key", KEY)
        .body(body.to_owned());
    request.send().await.unwrap().error_for_status().unwrap();
}

/// Removes a mapping as another user.
pub(crate) async fn unmap(api: &Api, zone: &str, ip: &str) {
    let zone = zone_id_of(zone);
    let path = format!("/zones/{zone}/origin/cloud_regions/{ip}");
    write(api, Method::DELETE, &path, "").await;
}

/// The number of entries read so far; `relevant` is `yes` or `no`.
pub(crate) fn entries(daemon: &Daemon, relevant: &str) -> f64 {
    let labels = [("relevant", relevant)];
    daemon
        .last()
        .sum("exporter_audit_log_entries_total", &labels)
}

/// Scrapes until the log was read this many more times.
pub(crate) async fn until_read_again(daemon: &mut Daemon, api: &Api, times: usize) {
    let readings = api.simulator.count(Operation::AuditLog);
    daemon
        .until("the log is read again", |_| {
            api.simulator.count(Operation::AuditLog) >= readings + times
        })
        .await;
}

pub(crate) async fn until_up(daemon: &mut Daemon) {
    daemon.until_read().await;
    daemon
        .until("the log is read", |s| {
            s.value("exporter_audit_log_up", &[]) == Some(1.0)
        })
        .await;
}

#[tokio::test]
async fn a_write_of_somebody_else_is_polled_at_once_and_has_its_actor() {
    let api = Api::start(with_operator()).await;
    let mut daemon = api.daemon(&config("")).await;
    until_up(&mut daemon).await;
    unmap(&api, BAD, "192.0.2.1").await;
    let removed = [("zone", BAD), ("change", "removed")];
    let scrape = daemon
        .until("the change is seen", |s| {
            s.value("mapping_changes_total", &removed) == Some(1.0)
        })
        .await;
    let relevant = [("relevant", "yes")];
    assert_eq!(
        scrape.value("exporter_prompted_polls_total", &[]),
        Some(1.0)
    );
    assert_eq!(
        scrape.value("exporter_audit_log_entries_total", &relevant),
        Some(1.0)
    );
    assert_eq!(scrape.sum("zone_polls_total", &[("zone", GOOD)]), 1.0);
    daemon
        .assert_logged(&["mapping removed", "192.0.2.1", EMAIL], 1)
        .await;
    let (_, changes) = daemon.get("/api/v1/changes").await;
    assert!(changes.contains(EMAIL), "{changes}");
    assert!(!daemon.last().text.contains(EMAIL));
    // The log returns the entry again, but it counts once.
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}

/// Whether any file in the folder contains the text.
fn holds(folder: &Path, text: &str) -> bool {
    let mut files = fs::read_dir(folder).unwrap();
    files.any(|file| {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

/// The places that show the actor of a write: API, pages, metrics, log or storage.
async fn places_of_the_name(more: &str) -> Vec<&'static str> {
    let api = Api::start(with_operator()).await;
    let storage = tempfile::tempdir().unwrap();
    let flag = format!("--storage.path={}", storage.path().display());
    let text = config(more).text(&api.simulator.base_url());
    let mut daemon = Daemon::start_with(&text, &[&flag], &[]).await;
    until_up(&mut daemon).await;
    unmap(&api, BAD, "192.0.2.1").await;
    daemon
        .until("the change is seen", |s| s.mappings(BAD) == 2)
        .await;
    until_read_again(&mut daemon, &api, 2).await;
    let zone = format!("/zones/{BAD}");
    let mut places = Vec::new();
    for (place, path) in [
        ("API", "/api/v1/changes"),
        ("page", "/changes"),
        ("zone's page", &zone),
        ("metrics", "/metrics"),
    ] {
        let (status, body) = daemon.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(place == "metrics" || body.contains("192.0.2.1"), "{body}");
        if body.contains(EMAIL) {
            places.push(place);
        }
    }
    if daemon.log().contains(EMAIL) {
        places.push("log");
    }
    daemon.stop().await;
    if holds(storage.path(), EMAIL) {
        places.push("storage");
    }
    assert!(
        holds(storage.path(), BAD),
        "the storage contains the zone in plain text"
    );
    places
}

#[tokio::test]
async fn an_actor_is_named_everywhere_but_in_metrics() {
    assert_eq!(
        places_of_the_name("").await,
        ["API", "page", "zone's page", "log", "storage"]
    );
}

#[tokio::test]
async fn without_actors_nobody_is_named_anywhere() {
    assert!(places_of_the_name(", actors: false").await.is_empty());
}

#[tokio::test]
async fn a_log_that_moves_to_another_account_goes_on_where_it_was() {
    let api =
        Api::start(with_operator().credential(Credential::user_token("b", OTHER_TOKEN))).await;
    let accounts = |first: &str| Config {
        accounts: format!("[{first}{{ name: second, api_token: {OTHER_TOKEN} }}]"),
        ..config("")
    };
    let both = accounts(&format!("{{ name: first, api_token: {TOKEN} }}, "));
    let mut daemon = api.daemon(&both).await;
    daemon.until_read().await;
    unmap(&api, BAD, "192.0.2.1").await;
    daemon
        .until("the change is seen", |s| s.mappings(BAD) == 2)
        .await;
    assert_eq!(entries(&daemon, "yes"), 1.0);
    let text = accounts("").text(&api.simulator.base_url());
    fs::write(daemon.folder.path().join("config.yaml"), text).unwrap();
    daemon.signal("HUP");
    daemon
        .until("the second account reads the log", |s| {
            s.value("exporter_audit_log_up", &[("account", "second")]) == Some(1.0)
        })
        .await;
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(entries(&daemon, "yes"), 0.0);
    daemon.stop().await;
}

#[tokio::test]
async fn writes_in_a_row_are_polled_once_in_ten_seconds() {
    let api = Api::start(with_operator()).await;
    let mut daemon = api.daemon(&config("")).await;
    until_up(&mut daemon).await;
    unmap(&api, BAD, "192.0.2.1").await;
    daemon
        .until("the first change is seen", |s| s.mappings(BAD) == 2)
        .await;
    unmap(&api, BAD, "192.0.2.2").await;
    daemon
        .until("the second change is seen", |s| s.mappings(BAD) == 1)
        .await;
    let readings = api.readings(BAD);
    assert_eq!(readings.len(), 3);
    let gap = readings[2].at - readings[1].at;
    assert!(gap.as_secs_f64() > 9.5, "{gap:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn after_a_restart_no_entry_counts_again() {
    let api = Api::start(with_operator()).await;
    let storage = tempfile::tempdir().unwrap();
    let flag = format!("--storage.path={}", storage.path().display());
    let text = config("").text(&api.simulator.base_url());
    let mut daemon = Daemon::start_with(&text, &[&flag], &[]).await;
    until_up(&mut daemon).await;
    unmap(&api, BAD, "192.0.2.1").await;
    daemon
        .until("the change is seen", |s| s.mappings(BAD) == 2)
        .await;
    daemon.stop().await;
    let mut daemon = Daemon::start_with(&text, &[&flag], &[]).await;
    until_up(&mut daemon).await;
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(
        daemon.last().sum("exporter_audit_log_entries_total", &[]),
        0.0
    );
    let (_, changes) = daemon.get("/api/v1/changes").await;
    assert!(changes.contains(EMAIL), "{changes}");
    daemon.stop().await;
}

#[tokio::test]
async fn there_are_no_series_where_it_is_off() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_polled_again(2.0).await;
    assert!(!scrape.text.contains("_exporter_audit_log_"));
    assert!(!scrape.text.contains("_exporter_prompted_polls_"));
    assert_eq!(api.simulator.count(Operation::AuditLog), 0);
    daemon.stop().await;
}
