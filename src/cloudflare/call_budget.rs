//! Limits the time that an operation may take.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::on_drop::OnDrop;
use crate::panics::lock;

/// The time budget of one operation, such as a zone poll. All its requests share it. Attempts and
/// backoff count; waiting for the rate limit, a pause or a permit does not.
#[derive(Debug)]
pub struct CallBudget {
    started: Instant,
    budget: Duration,
    kind: CallKind,
    waits: Mutex<Waits>,
}

/// The share of the rate limit that an operation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallKind {
    /// The whole limit.
    Regular,
    /// The whole limit. Goes ahead of other operations while this takes at most a fifth of it.
    Urgent,
    /// At most a tenth.
    Probe,
}

/// Overlapping waits count once.
#[derive(Debug, Default)]
struct Waits {
    ended: Duration,
    running: u32,
    since: Option<Instant>,
}

impl CallBudget {
    /// An operation that starts now, with this budget.
    pub fn new(budget: Duration) -> Self {
        Self::of_kind(budget, CallKind::Regular)
    }

    /// An operation that goes ahead of regular ones, as long as such operations use at most a fifth
    /// of the account's rate limit.
    pub fn urgent(budget: Duration) -> Self {
        Self::of_kind(budget, CallKind::Urgent)
    }

    /// An operation that an external client requests. Together, these may use at most a tenth of
    /// the account's rate limit.
    pub fn probe(budget: Duration) -> Self {
        Self::of_kind(budget, CallKind::Probe)
    }

    fn of_kind(budget: Duration, kind: CallKind) -> Self {
        Self {
            started: Instant::now(),
            budget,
            kind,
            waits: Mutex::default(),
        }
    }

    /// How long it has waited for the rate limit, a pause or a permit, including a wait in
    /// progress. May be called from another task.
    pub fn waited(&self) -> Duration {
        let waits = lock(&self.waits);
        waits.ended + waits.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The remaining budget.
    pub(super) fn remaining(&self) -> Duration {
        self.budget.saturating_sub(self.spent())
    }

    /// By how much the budget is exceeded.
    pub fn overspent(&self) -> Duration {
        self.spent().saturating_sub(self.budget)
    }

    fn spent(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.waited())
    }

    pub(super) fn kind(&self) -> CallKind {
        self.kind
    }

    /// Excludes the time until the guard is dropped.
    pub(super) fn waiting(&self) -> OnDrop<impl FnMut()> {
        let mut waits = lock(&self.waits);
        waits.running += 1;
        waits.since.get_or_insert_with(Instant::now);
        OnDrop(|| {
            let mut waits = lock(&self.waits);
            waits.running -= 1;
            if waits.running == 0
                && let Some(since) = waits.since.take()
            {
                waits.ended += since.elapsed();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn waits_are_seen_while_they_last_and_are_not_spent() {
        let call = CallBudget::new(10 * SECOND);
        tokio::time::advance(SECOND).await;
        let waiting = call.waiting();
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(call.waited(), 20 * SECOND);
        assert_eq!(call.remaining(), 9 * SECOND);
        drop(waiting);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(call.waited(), 20 * SECOND);
        assert_eq!(call.remaining(), 7 * SECOND);
        assert_eq!(call.overspent(), Duration::ZERO);
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(call.remaining(), Duration::ZERO);
        assert_eq!(call.overspent(), 13 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_that_overlap_count_once() {
        let call = CallBudget::new(10 * SECOND);
        let first = call.waiting();
        tokio::time::advance(SECOND).await;
        let second = call.waiting();
        tokio::time::advance(SECOND).await;
        drop(first);
        tokio::time::advance(SECOND).await;
        drop(second);
        assert_eq!(call.waited(), 3 * SECOND);
    }
}
