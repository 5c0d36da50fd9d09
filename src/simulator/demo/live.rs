//! Ongoing changes in the demo's world.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{FLAKY_ZONE, LIVELY_ZONE};
use crate::simulator::{
    AuditedCall, Fault, FaultKind, Operation, SimulatedZone, Simulator, World, zone_id_of,
};

/// The pause before each step.
const PACE: Duration = Duration::from_secs(5);
/// How long a removed mapping stays away. Its origin is reported as missing for that time.
const REMOVED_FOR: Duration = Duration::from_secs(7);
/// The origin whose mapping is removed now and then.
pub(super) const COMES_AND_GOES: &str = "34.68.100.12";
/// The number of successful polls of the flaky zone, of one request each, before one fails.
const GOOD_POLLS: u64 = 4;
/// The number of requests of the failing poll: the first one and three retries.
const FAILING_REQUESTS: u64 = 4;

/// The actor of the changes.
const EDITOR: &str = "sam@example.com";
/// The number of audit log entries to keep: one day's.
const KEPT_ENTRIES: usize = 17_280;

/// One step of a change.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Map this address to this Google Cloud region.
    Map(&'static str, &'static str),
    /// Remove the mapping of this address.
    Unmap(&'static str),
}

/// Each change, and the step that undoes it.
const CHANGES: &[[Step; 2]] = &[
    [
        Step::Map("34.68.100.15", "us-central1"),
        Step::Unmap("34.68.100.15"),
    ],
    [
        Step::Map("2600:1f18:b:1::15", "us-central1"),
        Step::Unmap("2600:1f18:b:1::15"),
    ],
    [
        Step::Unmap(COMES_AND_GOES),
        Step::Map(COMES_AND_GOES, "us-central1"),
    ],
    [
        Step::Map("34.68.100.141", "europe-west4"),
        Step::Map("34.68.100.141", "europe-west1"),
    ],
];

/// Adds, removes and changes mappings until the shutdown. Each change is undone, so that the world
/// does not grow. One in five polls of the flaky zone fails. The same seed gives the same changes.
///
/// # Panics
///
/// If the lively zone was removed from the world.
pub async fn live(simulator: Simulator, shutdown: CancellationToken, seed: u64) {
    let error = "An unknown error has occurred".to_owned();
    let flaky = Fault::new(FaultKind::ApiError(500, 10013, error))
        .on(Operation::ListMappings)
        .zone(FLAKY_ZONE)
        .after(GOOD_POLLS)
        .times(FAILING_REQUESTS)
        .again();
    simulator.add_fault(flaky);
    let mut random = fastrand::Rng::with_seed(seed);
    while let Some(change) = random.choice(CHANGES) {
        let mut pause = PACE;
        for step in change {
            let pause = tokio::time::sleep(std::mem::replace(&mut pause, step.shown_for()));
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let now = Timestamp::now();
            simulator.update(|world| {
                step.take(world.zone_mut(LIVELY_ZONE), now);
                step.log(world, now);
            });
        }
    }
}

impl Step {
    /// How long the state after this step lasts.
    fn shown_for(self) -> Duration {
        match self {
            Self::Unmap(COMES_AND_GOES) => REMOVED_FOR,
            Self::Map(..) | Self::Unmap(_) => PACE,
        }
    }

    /// Adds the change to the audit log, as if it had been made in the dashboard.
    fn log(self, world: &mut World, now: Timestamp) {
        let zone = zone_id_of(LIVELY_ZONE);
        let (method, ip, request) = match self {
            Self::Map(ip, region) => {
                let request = json!({"origin_ip": ip, "vendor": "gcp", "region": region});
                ("PUT", ip, request)
            }
            Self::Unmap(ip) => ("DELETE", ip, Value::Null),
        };
        let call = AuditedCall {
            email: EDITOR,
            context: "dash",
            token_name: None,
            method,
            path: &format!("/client/v4/zones/{zone}/origin/cloud_regions/{ip}"),
            zone: Some(&zone),
            request,
        };
        if let Some(account) = world.accounts.values_mut().next() {
            account.audit_log.add(&call, now);
            // A demo that runs for weeks keeps only one day.
            let surplus = account.audit_log.entries.len().saturating_sub(KEPT_ENTRIES);
            account.audit_log.entries.drain(..surplus);
        }
    }

    fn take(self, zone: &mut SimulatedZone, now: Timestamp) {
        match self {
            Self::Map(ip, region) => zone.map(ip, "gcp", region, Some(now)),
            Self::Unmap(ip) => {
                zone.unmap(ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::demo;

    #[test]
    fn each_change_is_undone() {
        let now = Timestamp::UNIX_EPOCH;
        let mut world = demo::world(now);
        let zone = world.zone_mut(LIVELY_ZONE);
        let places = |zone: &SimulatedZone| {
            let mappings = zone.mappings.values().cloned();
            let places = mappings.map(|m| (m.origin_ip, m.vendor, m.region));
            places.collect::<Vec<_>>()
        };
        let before = places(zone);
        for [change, undo] in CHANGES {
            change.take(zone, now);
            assert_ne!(places(zone), before, "{change:?}");
            undo.take(zone, now);
            assert_eq!(places(zone), before, "{undo:?}");
        }
    }
}
