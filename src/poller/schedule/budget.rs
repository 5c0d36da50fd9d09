//! Warns if the configured interval does not fit the rate limit.

use std::time::Duration;

use tracing::{info, warn};

use super::estimate::Load;
use crate::poller::Context;
use crate::poller::account::Account;
use crate::poller::records::RecordReadings;
use crate::snapshot::Snapshot;

/// What was last logged for an account.
#[derive(Debug, Default)]
pub(in crate::poller) struct BudgetCheck {
    /// Whether the estimate is current as of the last listing.
    pub(in crate::poller) is_current: bool,
    /// The interval that would fit, if the configured one is too short.
    fitting: Option<Duration>,
}

impl Account {
    /// Compares the demand of the account's polls with its budget. Runs after each listing, once
    /// every zone was tried and its size is known. Logs changes.
    pub(in crate::poller) fn check_budget(
        &mut self,
        context: &Context,
        snapshot: &Snapshot,
        records: &RecordReadings,
    ) {
        let ready = self.listing.complete && self.first_round_over();
        if context.once || self.budget_check.is_current || !ready {
            return;
        }
        self.budget_check.is_current = true;
        let fitting = self.fitting_interval(context, snapshot, records);
        if std::mem::replace(&mut self.budget_check.fitting, fitting) == fitting {
            return;
        }
        let (account, limit) = (&self.state.name, self.client.rate_limit());
        let (budget, window) = (limit.budget(), humantime::format_duration(limit.window));
        if let Some(fitting) = fitting {
            warn!(
                %account, budget, %window,
                fitting_interval = %humantime::format_duration(fitting),
                "the zones need more requests than the budget allows, so polls are late; choose a \
                 longer poll.interval, fewer zones, or a larger share of the rate limit"
            );
        } else {
            info!(%account, budget, %window, "the budget allows the poll interval again");
        }
    }

    /// The shortest poll interval that fits the budget, if the configured one is too short.
    pub(in crate::poller) fn fitting_interval(
        &self,
        context: &Context,
        snapshot: &Snapshot,
        records: &RecordReadings,
    ) -> Option<Duration> {
        let (account, limit) = (&self.state.name, self.client.rate_limit());
        let record_zones = records.of_account(account);
        let load = Load::of(&snapshot.directory(), account, context, record_zones);
        load.fitting_interval(context.settings.interval, limit.budget(), limit.window)
    }
}
