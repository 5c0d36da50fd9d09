//! Whether the rate limit allows what the configuration asks for, said in the log.

use std::time::Duration;

use tracing::{info, warn};

use crate::poller::{Load, Poller};

/// What the log last said of one account.
#[derive(Debug, Default)]
pub(in crate::poller) struct BudgetCheck {
    /// Whether the estimate is as of the last listing.
    pub(in crate::poller) judged: bool,
    /// The interval that would fit, where the one in force does not.
    fitting: Option<Duration>,
}

impl Poller {
    /// Compares what an account's polls need with its budget: after each listing, once every zone
    /// was tried and its size is known. Only what is new is said.
    pub(in crate::poller) fn judge_pace(&mut self, index: usize) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        if self.once || account.pace.judged || !account.listed || !account.first_round_over() {
            return;
        }
        account.pace.judged = true;
        let (budget, window) = (account.client.budget(), account.client.window());
        let name = &account.state.name;
        let load = Load::of(
            &self.snapshot.directory(),
            name,
            &self.settings,
            &self.evaluation.expect,
        );
        let fitting = load.fitting_interval(self.settings.interval, budget, window);
        if std::mem::replace(&mut account.pace.fitting, fitting) == fitting {
            return;
        }
        let window = humantime::format_duration(window);
        if let Some(fitting) = fitting {
            warn!(
                account = %name, budget, %window,
                fitting_interval = %humantime::format_duration(fitting),
                "the zones need more requests than are allowed, so polls come late: choose a longer \
                 poll.interval, fewer zones, or a larger share of the rate limit"
            );
        } else {
            info!(account = %name, budget, %window, "the poll interval can be kept again");
        }
    }
}
