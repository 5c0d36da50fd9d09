//! Faults of the audit log: it is late, repeats itself, is flooded, is refused, or is garbage.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    AuditLog, AuditedCall, CursorShape, Fault, FaultKind, Operation, zone_id_of,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::audit_log::{config, entries, unmap, until_read_again, until_up, with_operator};
use crate::support::{Api, BAD, Config, Daemon};

/// Changes the log of the only account.
fn change_log(api: &Api, change: impl FnOnce(&mut AuditLog)) {
    api.simulator
        .update(|world| change(&mut world.accounts.values_mut().next().unwrap().audit_log));
}

async fn started(config: &Config) -> (Api, Daemon) {
    let api = Api::start(with_operator()).await;
    let mut daemon = api.daemon(config).await;
    until_up(&mut daemon).await;
    (api, daemon)
}

async fn until_removed(daemon: &mut Daemon) {
    let removed = [("zone", BAD), ("change", "removed")];
    daemon
        .until("the removal shows", |s| {
            s.value("mapping_changes_total", &removed) == Some(1.0)
        })
        .await;
}

#[tokio::test]
async fn a_late_entry_counts_once() {
    let (api, mut daemon) = started(&config("")).await;
    change_log(&api, |log| log.delay = Duration::from_secs(3));
    unmap(&api, BAD, "192.0.2.1").await;
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(entries(&daemon, "yes"), 0.0, "it does not show yet");
    until_removed(&mut daemon).await;
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(entries(&daemon, "yes"), 1.0);
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_repeated_entry_counts_once() {
    let (api, mut daemon) = started(&config("")).await;
    change_log(&api, |log| log.repeats = true);
    unmap(&api, BAD, "192.0.2.1").await;
    until_removed(&mut daemon).await;
    until_read_again(&mut daemon, &api, 2).await;
    assert_eq!(entries(&daemon, "yes"), 1.0);
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}

/// 12,000 entries, more than one read fetches, with one write in the middle.
async fn flood(shape: CursorShape) {
    let (api, mut daemon) = started(&config("")).await;
    change_log(&api, |log| {
        log.cursor = shape;
        let start = Timestamp::now() - Duration::from_mins(3);
        for second in 0..120 {
            log.flood(100, start + Duration::from_secs(second));
        }
    });
    unmap(&api, BAD, "192.0.2.1").await;
    until_removed(&mut daemon).await;
    daemon
        .until("all entries were read", |s| {
            s.sum("exporter_audit_log_entries_total", &[]) == 12_001.0
        })
        .await;
    until_read_again(&mut daemon, &api, 20).await;
    assert_eq!(entries(&daemon, "yes"), 1.0);
    assert_eq!(entries(&daemon, "no"), 12_000.0);
    assert_eq!(api.readings(BAD).len(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_by_the_cursor_of_the_reference() {
    flood(CursorShape::Reference).await;
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_by_the_cursor_of_the_python_client() {
    flood(CursorShape::After).await;
}

#[tokio::test]
async fn entries_without_order_and_with_strange_times_count_once() {
    let (api, mut daemon) = started(&config("")).await;
    change_log(&api, |log| {
        let now = Timestamp::now();
        let path = format!("/client/v4/zones/{}/dns_records/x", zone_id_of(BAD));
        for hours in [-48, 1, -1, 48, 0] {
            let call = AuditedCall {
                email: "robot@example.com",
                context: "api_token",
                token_name: None,
                method: "PUT",
                path: &path,
                zone: None,
                request: Value::Null,
            };
            log.add(&call, now);
            let (_, row) = log.entries.last_mut().unwrap();
            let time = now + jiff::SignedDuration::from_hours(hours);
            row["action"]["time"] = json!(time.to_string());
            row["id"] = json!(format!("entry-{hours}"));
        }
        // A row without anything useful, and rows that are not objects.
        let odd = [json!(7), json!("x"), json!({"raw": {"uri": 7}})];
        log.entries.extend(odd.map(|row| (now, row)));
    });
    daemon
        .until("the entries were read", |s| {
            s.sum("exporter_audit_log_entries_total", &[]) == 6.0
        })
        .await;
    until_read_again(&mut daemon, &api, 3).await;
    assert_eq!(entries(&daemon, "yes"), 5.0);
    assert_eq!(entries(&daemon, "no"), 1.0);
    assert_eq!(daemon.last().value("exporter_audit_log_up", &[]), Some(1.0));
    // All five entries are writes to the same zone.
    daemon
        .until("the zone was polled", |_| api.readings(BAD).len() == 2)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn garbage_and_silence_lose_no_entry() {
    let poll = "interval: 1h, retries: 0, timeout: 500ms";
    let config = Config {
        poll: poll.to_owned(),
        ..config("")
    };
    let (api, mut daemon) = started(&config).await;
    for kind in [
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::TruncatedJson,
        FaultKind::CorruptGzip,
        FaultKind::NullResult,
        FaultKind::Unsuccessful,
        FaultKind::CutInBody,
        FaultKind::HugeBody(64 << 20),
        FaultKind::Hang,
        FaultKind::Status(500, None),
    ] {
        let what = format!("{kind:?} shows");
        let fault = Fault::new(kind).on(Operation::AuditLog);
        api.simulator.add_fault(fault);
        daemon
            .until(&what, |s| {
                s.value("exporter_audit_log_up", &[]) == Some(0.0)
            })
            .await;
        api.simulator.clear_faults();
        daemon
            .until("the log can be read", |s| {
                s.value("exporter_audit_log_up", &[]) == Some(1.0)
            })
            .await;
    }
    let fault = Fault::new(FaultKind::Garbage).on(Operation::AuditLog);
    api.simulator.add_fault(fault);
    unmap(&api, BAD, "192.0.2.1").await;
    until_read_again(&mut daemon, &api, 2).await;
    api.simulator.clear_faults();
    until_removed(&mut daemon).await;
    assert_eq!(entries(&daemon, "yes"), 1.0);
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
    daemon
        .assert_logged(&["level=warn", "Account Settings: Read"], 1)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_log_that_may_be_read_again_after_a_reload_is_up() {
    let api = Api::start(with_operator()).await;
    let kind = FaultKind::ApiError(403, 10000, "Authentication error".to_owned());
    api.simulator
        .add_fault(Fault::new(kind).on(Operation::AuditLog).times(1));
    let mut daemon = api.daemon(&config("")).await;
    daemon
        .until("the refusal shows", |s| {
            s.value("exporter_audit_log_up", &[]) == Some(0.0)
        })
        .await;
    assert_eq!(api.simulator.count(Operation::AuditLog), 1);
    daemon.signal("HUP");
    until_up(&mut daemon).await;
    daemon.stop().await;
}

/// The number of requests for the log within this many seconds.
async fn requests_in(api: &Api, seconds: u64) -> usize {
    let before = api.simulator.count(Operation::AuditLog);
    sleep(Duration::from_secs(seconds)).await;
    api.simulator.count(Operation::AuditLog) - before
}

#[tokio::test]
async fn readings_take_no_more_than_a_tenth_of_the_budget() {
    let config = Config {
        // A tenth of the budget is one request in two seconds.
        rate_limit: "requests: 50, window: 10s, share: 1".to_owned(),
        ..config("")
    };
    let (api, daemon) = started(&config).await;
    let requests = requests_in(&api, 6).await;
    assert!((2..=4).contains(&requests), "{requests}");
    // Ten pages in total, then none for ten times as long.
    change_log(&api, |log| {
        let start = Timestamp::now() - Duration::from_mins(1);
        for second in 0..50 {
            log.flood(200, start + Duration::from_secs(second));
        }
    });
    let start = Instant::now();
    let before = api.simulator.count(Operation::AuditLog);
    while api.simulator.count(Operation::AuditLog) < before + 10 {
        assert!(start.elapsed() < Duration::from_secs(20));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(requests_in(&api, 8).await, 0);
    daemon.stop().await;
}
