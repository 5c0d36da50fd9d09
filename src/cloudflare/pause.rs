//! Periods in which an account must not send requests.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::panics::lock;

/// The pauses of one account, on the monotonic clock. A later pause never shortens an earlier one.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// After a 429, with its end on the wall clock for display.
    blocked: Option<(Instant, Timestamp)>,
    /// While the quota is nearly used up.
    quota: Option<Instant>,
}

impl Pauses {
    /// Records a 429. Returns the end of the pause if one began, or `None` if one was already
    /// active.
    pub(super) fn block(&self, pause: Duration, now: Timestamp) -> Option<Timestamp> {
        let until = Instant::now() + pause;
        let mut state = lock(&self.state);
        let was_blocked = state.blocked.is_some_and(|(end, _)| end > Instant::now());
        if state.blocked.is_none_or(|(end, _)| end < until) {
            let wall = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
            state.blocked = Some((until, wall));
        }
        let wall = state.blocked.map(|(_, wall)| wall);
        wall.filter(|_| !was_blocked)
    }

    /// Records that the quota is nearly used up.
    pub(super) fn wait_for_reset(&self, reset: Duration) {
        let until = Instant::now() + reset;
        let mut state = lock(&self.state);
        state.quota = state.quota.max(Some(until));
    }

    /// The end of the current pause, if any.
    pub(super) fn until(&self) -> Option<Instant> {
        let state = lock(&self.state);
        let blocked = state.blocked.map(|(until, _)| until);
        blocked.max(state.quota).filter(|&end| end > Instant::now())
    }

    /// The end of the current pause after a 429 on the wall clock, if any.
    pub(super) fn blocked_until(&self) -> Option<Timestamp> {
        let (until, wall) = lock(&self.state).blocked?;
        (until > Instant::now()).then_some(wall)
    }

    /// Waits until there is no pause.
    pub(super) async fn wait(&self) {
        while let Some(until) = self.until() {
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_later_429_lengthens_a_pause_and_never_shortens_it() {
        let pauses = Pauses::default();
        let now = Timestamp::UNIX_EPOCH;
        let start = Instant::now();
        assert_eq!(pauses.block(10 * SECOND, now), Some(now + 10 * SECOND));
        assert_eq!(pauses.block(SECOND, now), None, "the pause is not new");
        assert_eq!(pauses.until(), Some(start + 10 * SECOND));
        pauses.block(20 * SECOND, now);
        pauses.wait().await;
        assert_eq!(start.elapsed(), 20 * SECOND);
        assert_eq!(pauses.blocked_until(), None);
        assert_eq!(pauses.block(SECOND, now), Some(now + SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_quota_is_no_block() {
        let pauses = Pauses::default();
        let start = Instant::now();
        pauses.wait_for_reset(5 * SECOND);
        pauses.wait_for_reset(SECOND);
        assert_eq!(pauses.blocked_until(), None);
        pauses.wait().await;
        assert_eq!(start.elapsed(), 5 * SECOND);
    }
}
