//! What survives a restart.

use std::path::Path;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::support::{Api, BAD, Config, Daemon, GOOD, ON_BAD, PATIENCE, TOKEN, program, world};

async fn start(api: &Api, storage: &Path) -> Daemon {
    let config = Config::polling("interval: 200ms, retries: 0, timeout: 3s");
    let config = config.text(&api.simulator.base_url());
    let flag = format!("--storage.path={}", storage.display());
    Daemon::start_with(&config, &[&flag], &[]).await
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn after_a_kill_everything_is_served_while_the_api_is_down() {
    let api = Api::start(world()).await;
    let storage = folder();
    let mut daemon = start(&api, storage.path()).await;
    daemon.until_read().await;
    api.fail(FaultKind::Status(500, None));
    daemon
        .until("one zone fails", |s| s.up(BAD) == Some(false))
        .await;
    sleep(Duration::from_secs(2)).await;
    let (success, polls) = ("zone_last_success_timestamp_seconds", "zone_polls_total");
    let before = daemon.scrape().await;
    let (read_at, polled) = (before.value(success, ON_BAD), before.sum(polls, &[]));
    daemon.signal("KILL");
    drop(daemon);
    api.simulator.clear_faults();
    api.simulator.add_fault(Fault::new(FaultKind::Hang));
    let mut daemon = start(&api, storage.path()).await;
    let after = daemon.scrape().await;
    assert_eq!((after.up(GOOD), after.up(BAD)), (Some(true), Some(false)));
    assert_eq!((after.mappings(GOOD), after.mappings(BAD)), (3, 3));
    assert!(read_at.is_some() && after.value(success, ON_BAD) == read_at);
    // The last polls may be lost, but none are added.
    let restored = after.sum(polls, &[]);
    assert!(
        restored > 0.0 && restored <= polled + 10.0,
        "{restored}, {polled}"
    );
    assert_eq!(after.value("exporter_storage_up", &[]), Some(1.0));
    api.simulator.clear_faults();
    daemon.until_read().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_change_while_the_daemon_was_down_is_counted_and_logged() {
    let api = Api::start(world()).await;
    let storage = folder();
    let mut daemon = start(&api, storage.path()).await;
    daemon.until_read().await;
    daemon.stop().await;
    api.simulator.update(|world| {
        world.zone_mut(BAD).unmap("192.0.2.1");
    });
    let mut daemon = start(&api, storage.path()).await;
    let removed = [("zone", BAD), ("change", "removed")];
    daemon
        .until("the change is counted", |s| {
            s.value("mapping_changes_total", &removed) == Some(1.0)
        })
        .await;
    daemon
        .assert_logged(&["mapping removed", BAD, "192.0.2.1"], 1)
        .await;
    assert_eq!(daemon.last().sum("mapping_changes_total", &[]), 1.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_storage_ends_with_a_clear_error() {
    let api = Api::start(world()).await;
    let storage = folder();
    let mut daemon = start(&api, storage.path()).await;
    daemon.until_read().await;
    let other = folder();
    let flag = format!("--storage.path={}", storage.path().display());
    let mut command = program(other.path(), &[&flag, "--web.listen-address=127.0.0.1:0"]);
    let output = command.env("CLOUDFLARE_API_TOKEN", TOKEN).output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("storage"), "{text}");
    daemon.until_polled_again(2.0).await;
    assert_eq!(daemon.last().value("exporter_storage_up", &[]), Some(1.0));
    daemon.stop().await;
}
