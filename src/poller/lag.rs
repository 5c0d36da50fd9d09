//! How late an account's polls are.

use std::time::Duration;

use super::Context;
use super::account::Account;

/// Starting a task takes less than this, so it does not count as lag.
const NOISE: Duration = Duration::from_millis(50);

/// A poll ends as soon as its time budget is used up. One that runs this much longer hangs.
const HANGS_AFTER: Duration = Duration::from_mins(1);

/// How often the lag is updated while it may grow.
const UPDATE: Duration = Duration::from_millis(250);

impl Account {
    /// Shows the lag of the most overdue zone, including the waits of running polls.
    pub(super) fn show_lag(&mut self, context: &Context) {
        let now = context.now;
        let waiting = self.queue.first_due();
        let waiting = waiting.map(|due| now.saturating_duration_since(due));
        let running = self.polling.values();
        let running = running.map(|poll| poll.late + poll.call.waited());
        let lag = running.chain(waiting).max().filter(|lag| *lag >= NOISE);
        let lag = lag.unwrap_or_default();
        let gauge = &context.metrics.lag;
        let gauge = gauge.with_label_values(&[self.name().as_str()]);
        gauge.set(lag.as_secs_f64());
        let is_paused = self.client.paused_until().is_some_and(|end| end > now);
        let may_grow = !lag.is_zero() || !self.polling.is_empty() || is_paused;
        self.lag_update = may_grow.then_some(now + UPDATE);
    }

    /// Whether a poll hangs, which is a bug in this program.
    pub(super) fn hangs(&self) -> bool {
        let mut running = self.polling.values();
        running.any(|poll| poll.call.overspent() >= HANGS_AFTER)
    }
}
