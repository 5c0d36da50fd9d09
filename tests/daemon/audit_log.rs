//! Writes of others, which the audit log tells.

use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, Operation, World, zone_id_of,
};
use reqwest::Method;

use crate::support::{Api, BAD, Config, Daemon, GOOD, OTHER_TOKEN, world};

const EMAIL: &str = "ops@example.com";

fn config(more: &str) -> Config {
    Config {
        more: format!("audit_log: {{ enabled: true, interval: 1s{more} }}"),
        ..Config::polling("interval: 1h, retries: 0")
    }
}

fn with_operator() -> World {
    world().credential(Credential::key("operator", EMAIL, OTHER_TOKEN))
}

/// Removes a mapping as somebody else would.
async fn unmap(api: &Api, zone: &str, ip: &str) {
    let zone = zone_id_of(zone);
    let base = api.simulator.base_url();
    let url = format!("{base}/zones/{zone}/origin/cloud_regions/{ip}");
    let http = http_client::client_builder(None).unwrap().build().unwrap();
    let request = http
        .request(Method::DELETE, url)
        .header("x-auth-email", EMAIL)
        .header("x-auth-key", OTHER_TOKEN);
    request.send().await.unwrap().error_for_status().unwrap();
}

async fn until_up(daemon: &mut Daemon) {
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
    assert_eq!(daemon.logged(&["mapping removed", "192.0.2.1", EMAIL]), 1);
    let (_, changes) = daemon.get("/api/v1/changes").await;
    assert!(changes.contains(EMAIL), "{changes}");
    assert!(!daemon.last().text.contains(EMAIL));
    // The log shows the entry again and again, and it counts once.
    let readings = api.simulator.count(Operation::AuditLog);
    daemon
        .until("the log is read again", |_| {
            api.simulator.count(Operation::AuditLog) >= readings + 2
        })
        .await;
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn without_actors_nobody_is_named() {
    let api = Api::start(with_operator()).await;
    let mut daemon = api.daemon(&config(", actors: false")).await;
    until_up(&mut daemon).await;
    unmap(&api, BAD, "192.0.2.1").await;
    let removed = [("zone", BAD), ("change", "removed")];
    daemon
        .until("the change is seen", |s| {
            s.value("mapping_changes_total", &removed) == Some(1.0)
        })
        .await;
    let (_, changes) = daemon.get("/api/v1/changes").await;
    assert!(!changes.contains(EMAIL) && !daemon.log().contains(EMAIL));
    daemon.stop().await;
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_named_once_and_polls_go_on() {
    let api = Api::start(with_operator()).await;
    let kind = FaultKind::ApiError(403, 10000, "Authentication error".to_owned());
    api.simulator
        .add_fault(Fault::new(kind).on(Operation::AuditLog));
    let config = Config {
        poll: "interval: 200ms, retries: 0".to_owned(),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    daemon
        .until("the refusal shows", |s| {
            s.value("exporter_audit_log_up", &[]) == Some(0.0)
        })
        .await;
    let scrape = daemon.until_polled_again(10.0).await;
    assert_eq!(scrape.value("exporter_token_valid", &[]), Some(1.0));
    assert_eq!(api.simulator.count(Operation::AuditLog), 1);
    assert_eq!(daemon.logged(&["level=warn", "Account Settings: Read"]), 1);
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
    let before = api.simulator.count(Operation::AuditLog);
    let mut daemon = Daemon::start_with(&text, &[&flag], &[]).await;
    until_up(&mut daemon).await;
    daemon
        .until("the log is read again", |_| {
            api.simulator.count(Operation::AuditLog) >= before + 2
        })
        .await;
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
