//! What every failure of a zone has in common, whatever the reason, and the recovery from it.

use cloudflare_origin_region_exporter::simulator::FaultKind;

use crate::scrape::Scrape;
use crate::support::{Api, BAD, Daemon, GOOD, ON_BAD, ON_GOOD};

/// More than the program needs for the zones of these tests, and less than it would need if it kept
/// everything that a faulty server sends.
const MOST_MEMORY: u64 = 100 << 20;

const LAST_SUCCESS: &str = "zone_last_success_timestamp_seconds";

/// Families that a failed poll changes, or that change with the clock. All other series of a zone
/// keep their values.
pub(crate) const MOVING: [&str; 7] = [
    "zone_up",
    "zone_polls_total",
    "zone_poll_errors_total",
    "zone_poll_duration_seconds",
    LAST_SUCCESS,
    "oldest_mapping_age_seconds",
    "newest_mapping_age_seconds",
];

/// Reads both zones, then lets the polls of the bad one fail. Only this reason is counted and
/// logged, all series from the last good poll are still served, the other zone is still polled, and
/// memory stays small.
pub(crate) async fn fails<'a>(
    api: &Api,
    daemon: &'a mut Daemon,
    kind: FaultKind,
    reason: &str,
) -> &'a Scrape {
    let before = daemon.until_read().await;
    let read = before.lines_of(BAD, &MOVING);
    let last_success = before.value(LAST_SUCCESS, ON_BAD);
    api.fail(kind);
    let failed = daemon
        .until("the poll failed", |scrape| scrape.poll_errors(BAD) >= 1.0)
        .await;
    let other_success = failed.value(LAST_SUCCESS, ON_GOOD);
    let failed = daemon
        .until("the other zone is still polled", |scrape| {
            scrape.value(LAST_SUCCESS, ON_GOOD) > other_success
        })
        .await;
    let reasons = failed.values_of("reason", "zone_poll_errors_total", ON_BAD);
    assert_eq!(reasons, [reason]);
    let errors = [("operation", "list_mappings"), ("reason", reason)];
    assert!(failed.sum("exporter_api_errors_total", &errors) >= 1.0);
    assert_eq!(failed.up(BAD), Some(false));
    assert!(failed.value(LAST_SUCCESS, ON_BAD) >= last_success);
    assert_eq!(failed.lines_of(BAD, &MOVING), read, "nothing is lost");
    assert_eq!(failed.up(GOOD), Some(true));
    assert_eq!(failed.count("zone_poll_errors_total", ON_GOOD), 0);
    let logged = [
        "level=warn",
        "message=\"poll failed\"",
        &format!("zone={BAD} "),
        &format!("reason={reason} "),
        "error=\"",
    ];
    daemon.assert_logged(&logged, 1).await;
    let memory = daemon.peak_memory();
    assert!(memory < MOST_MEMORY, "{memory} bytes used");
    daemon.last()
}

/// Ends the failure. The zone is read again, which is logged and counts no change.
pub(crate) async fn recovers(api: &Api, daemon: &mut Daemon) {
    api.simulator.clear_faults();
    let after = daemon.until_read().await;
    assert_eq!(after.sum("mapping_changes_total", ON_BAD), 0.0);
    daemon
        .assert_logged(&["poll succeeded again", BAD], 1)
        .await;
}
