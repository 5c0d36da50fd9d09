//! Logs failures and unreadable rows of optional calls, declarations that Cloudflare does not
//! support, and origins that need no mapping.

use tracing::{debug, info, warn};

use super::SourceOutcome;
use super::account::Account;
use crate::cloudflare::{ApiError, Operation, Reason};
use crate::domain::ZoneId;
use crate::findings::ZoneFindings;
use crate::snapshot::ZoneState;

impl Account {
    /// Logs what an optional call did not read.
    pub(super) fn log_outcome(
        &mut self,
        zone_id: &ZoneId,
        operation: Operation,
        outcome: &SourceOutcome,
    ) {
        match outcome {
            SourceOutcome::Failed(error) => self.log_optional_failure(zone_id, error),
            SourceOutcome::PartlyRead => self.log_unreadable_rows(zone_id, operation),
            _ => {}
        }
    }

    /// Logs the failure of an optional call, which does no harm. Each kind of failure is a warning
    /// only once.
    pub(super) fn log_optional_failure(&mut self, zone_id: &ZoneId, error: &ApiError) {
        let first = self.logged.insert((error.operation, Some(error.reason)));
        let (account, operation) = (&self.state.name, error.operation.as_str());
        if !first {
            debug!(%account, %zone_id, operation, %error, "optional call failed again");
        } else if error.reason == Reason::Forbidden {
            let permission = error.operation.permission().unwrap_or_default();
            warn!(%account, %zone_id, operation, %error, permission,
                  "optional call forbidden: add the permission to the token, or switch off what \
                   needs it; logged once for all zones of the account");
        } else {
            warn!(%account, %zone_id, operation, %error,
                  "optional call failed; logged once for all zones of the account");
        }
    }

    /// Logs that some rows of a source could not be read. This is a warning only once per source.
    fn log_unreadable_rows(&mut self, zone_id: &ZoneId, operation: Operation) {
        let first = self.logged.insert((operation, None));
        let (account, operation) = (&self.state.name, operation.as_str());
        if first {
            warn!(%account, %zone_id, operation,
                  "some rows cannot be read, so unused mappings are not known where they may name \
                   origins; logged once for all zones of the account");
        } else {
            debug!(%account, %zone_id, operation, "some rows cannot be read");
        }
    }
}

/// Logs the number of origins left out for each reason, if it changed.
pub(super) fn log_left_out(old: &ZoneState, new: &ZoneState) {
    let left_out = |state: &ZoneState| state.findings().map(ZoneFindings::left_out_by_reason);
    let (before, now) = (left_out(old), left_out(new).unwrap_or_default());
    if !now.is_empty() && before.as_ref() != Some(&now) {
        let reasons: Vec<_> = now
            .iter()
            .map(|(why, count)| format!("{}: {count}", why.as_str()))
            .collect();
        info!(zone = %new.zone.name, zone_id = %new.zone.id, left_out = reasons.join(", "),
              "origins left out");
    }
}

/// Logs declared vendors and regions that Cloudflare does not list, if they changed.
pub(super) fn log_unsupported_declarations(old: &ZoneState, new: &ZoneState) {
    let unsupported = |state| ZoneState::findings(state).map(|f| &f.unsupported_declarations);
    let now = unsupported(new).filter(|now| !now.is_empty());
    if let Some(now) = now
        && unsupported(old) != Some(now)
    {
        let declarations: Vec<_> = now.iter().map(ToString::to_string).collect();
        warn!(zone = %new.zone.name, zone_id = %new.zone.id,
              declarations = declarations.join(", "),
              "Cloudflare does not support a declared vendor or region: correct expect.zones");
    }
}
