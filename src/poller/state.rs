//! Computes the state of a zone after a poll. Pure: no I/O and no clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cloudflare::Reason;
use crate::domain::ZoneMappings;
use crate::findings::{TieredCache, ZoneFindings};
use crate::snapshot::{LastPoll, ZoneData, ZoneState};
use crate::storage::StoredZone;

/// The state of a zone that is found again after a restart. Data younger than `retain` is shown.
pub(super) fn restored(
    stored: &StoredZone,
    found: ZoneState,
    retain: Duration,
    now: Timestamp,
) -> ZoneState {
    let state = &stored.state;
    let since = state.failing_since.or(state.last_success);
    let is_fresh = since.is_some_and(|since| elapsed(since, now) < retain);
    ZoneState {
        zone: found.zone,
        account: found.account,
        interval: found.interval,
        stale_after: found.stale_after,
        data: state
            .data
            .clone()
            .filter(|_| stored.left.is_none() && is_fresh),
        ..state.clone()
    }
}

/// The time from `since` to `now`; zero if the clock was set back.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// The state after a successful poll with `rejected` unreadable rows. Unchanged mappings and findings
/// keep their allocations, so that readers can detect that nothing changed.
pub(super) fn succeeded(
    old: &ZoneState,
    mappings: ZoneMappings,
    findings: ZoneFindings,
    rejected: u64,
    poll: LastPoll,
) -> ZoneState {
    let mut changes = old.changes.unwrap_or_default();
    if let Some(data) = &old.data {
        for difference in data.mappings.differences(&mappings) {
            match difference {
                (None, _) => changes.added += 1,
                (_, None) => changes.removed += 1,
                (Some(_), Some(_)) => changes.changed += 1,
            }
        }
    }
    let shared = old.data.as_ref();
    let data = ZoneData {
        mappings: keep(shared.map(|data| &data.mappings), mappings),
        findings: keep(shared.map(|data| &data.findings), findings),
    };
    ZoneState {
        last_success: Some(poll.ended),
        last_poll: Some(poll),
        failing_since: None,
        data: Some(data),
        changes: Some(changes),
        polls: old.polls + 1,
        rejected_rows: old.rejected_rows + rejected,
        ..old.clone()
    }
}

/// The state after a failed poll. The current mappings and findings are kept.
pub(super) fn failed(old: &ZoneState, reason: Reason, poll: LastPoll) -> ZoneState {
    let mut new = old.clone();
    new.failing_since = old.failing_since.or(Some(poll.ended));
    new.last_poll = Some(poll);
    new.polls += 1;
    *new.errors.entry(reason).or_default() += 1;
    new
}

/// The state after another evaluation; `None` if nothing changed.
pub(super) fn evaluated(
    old: &ZoneState,
    findings: Option<ZoneFindings>,
    tiered_cache: TieredCache,
) -> Option<ZoneState> {
    let mut new = old.clone();
    let mut changed = new.tiered_cache != tiered_cache;
    new.tiered_cache = tiered_cache;
    if let (Some(data), Some(findings)) = (&mut new.data, findings)
        && *data.findings != findings
    {
        data.findings = Arc::new(findings);
        changed = true;
    }
    changed.then_some(new)
}

/// The state once the retention of a failing zone's data is over.
pub(super) fn expired(old: &ZoneState) -> ZoneState {
    ZoneState {
        data: None,
        ..old.clone()
    }
}

fn keep<T: PartialEq>(old: Option<&Arc<T>>, new: T) -> Arc<T> {
    match old {
        Some(old) if **old == new => Arc::clone(old),
        _ => Arc::new(new),
    }
}
