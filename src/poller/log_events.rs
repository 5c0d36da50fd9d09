//! What the log says of optional calls that failed, and of origins that need no mapping.

use tracing::{debug, info, warn};

use super::account::Account;
use super::enrichment::fetch::Enriched;
use crate::cloudflare::{ApiError, Operation, Reason};
use crate::domain::ZoneId;
use crate::snapshot::ZoneState;

/// An optional call that fails harms nothing; the log names each kind of failure once an account.
pub(super) fn tell_failures(account: &mut Account, zone: &ZoneId, done: &Enriched) {
    for error in done.failures() {
        let kind = (error.operation, error.reason);
        let first = account.optional_failures.insert(kind);
        tell_failure(account.state.name.as_str(), zone, error, first);
    }
}

fn tell_failure(account: &str, zone_id: &ZoneId, error: &ApiError, first: bool) {
    let operation = Operation::as_str(error.operation);
    if !first {
        debug!(account, %zone_id, operation, %error, "an optional call failed again");
    } else if error.reason == Reason::Forbidden {
        let permission = error.operation.permission().unwrap_or_default();
        warn!(account, %zone_id, operation, %error, permission,
              "the token may not make this optional call: add the permission, or switch off what \
               needs it; said once for all zones of the account");
    } else {
        warn!(account, %zone_id, operation, %error,
              "an optional call failed; said once for all zones of the account");
    }
}

/// Says how many origins count for nothing, and why, when that has changed.
pub(super) fn tell_left_out(old: &ZoneState, new: &ZoneState) {
    let left_out = |state: &ZoneState| {
        let findings = state.data.as_ref().map(|data| &data.findings);
        findings.map(|findings| findings.left_out.clone())
    };
    let (before, now) = (left_out(old), left_out(new).unwrap_or_default());
    if !now.is_empty() && before.as_ref() != Some(&now) {
        let reasons: Vec<_> = now
            .iter()
            .map(|(why, count)| format!("{}: {count}", why.as_str()))
            .collect();
        info!(zone = %new.zone.name, zone_id = %new.zone.id, left_out = reasons.join(", "),
              "origins that are not expected to have a mapping");
    }
}
