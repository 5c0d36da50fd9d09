//! Tracks the state of a connection: whether it can be closed to make room, whether it is idle, and
//! whether its client reads.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::panics::lock;

/// A client that has read nothing for this long may be closed if there is no room. A client that
/// reads does so in each round trip, but on a busy machine it may have to wait for the processor.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// One connection. Times are milliseconds since `opened`, so that the many connections of an attack
/// can be scanned without locks.
#[derive(Debug)]
pub(in crate::web) struct Activity {
    opened: Instant,
    cut: CancellationToken,
    /// Whether the client has sent anything.
    received: AtomicBool,
    in_flight: AtomicUsize,
    /// When the last request ended.
    waiting_since: AtomicU64,
    /// When the socket stopped accepting data, plus one; 0 if it accepts data.
    blocked_since: AtomicU64,
    sending: Mutex<Vec<Weak<Sending>>>,
}

/// Why a connection can be closed to make room. The first variant is closed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spare {
    /// The client does not read its response.
    Stalled,
    /// The client has sent nothing.
    Silent,
    /// No request is in flight: the client is in the handshake, in its request head, or idle.
    Waiting,
}

impl Activity {
    /// A connection that opens now and ends when `cut` is cancelled.
    pub(super) fn new(cut: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            cut,
            received: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            waiting_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            sending: Mutex::default(),
        })
    }

    /// Closes the connection immediately.
    pub(in crate::web) fn cut(&self) {
        self.cut.cancel();
    }

    /// Records that the client has sent something.
    pub(super) fn mark_received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Records whether the socket accepts data.
    pub(super) fn set_blocked(&self, blocked: bool) {
        let since = if blocked { self.now() + 1 } else { 0 };
        self.blocked_since.store(since, Ordering::Relaxed);
    }

    /// Counts a request as in flight while the guard lives.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Starts sending a response, which should finish within `allowance`. A `tracked` response
    /// reports the progress of each chunk.
    pub(in crate::web) fn send(&self, allowance: Duration, tracked: bool) -> Arc<Sending> {
        let now = Instant::now();
        let sending = Arc::new(Sending {
            deadline: now.checked_add(allowance),
            last_progress: tracked.then(|| Mutex::new(now)),
        });
        let mut all = lock(&self.sending);
        all.retain(|sending| sending.strong_count() > 0);
        all.push(Arc::downgrade(&sending));
        sending
    }

    /// Why the connection can be closed to make room, and for how long. `None` if a request is in
    /// flight and the client reads.
    pub(super) fn spare(&self) -> Option<(Spare, Duration)> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            let stalled = self.stalled_for();
            return (stalled >= STALLED_AFTER).then_some((Spare::Stalled, stalled));
        }
        let spare = if self.received.load(Ordering::Relaxed) {
            Spare::Waiting
        } else {
            Spare::Silent
        };
        Some((
            spare,
            self.since(self.waiting_since.load(Ordering::Relaxed)),
        ))
    }

    /// Whether the client reads so slowly that its connection may be closed to make room.
    pub(in crate::web) fn is_stalled(&self) -> bool {
        matches!(self.spare(), Some((Spare::Stalled, _)))
    }

    /// How long the client has read nothing of one of its responses.
    fn stalled_for(&self) -> Duration {
        let blocked = match self.blocked_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.since(since - 1),
        };
        self.oldest_progress()
            .map_or(blocked, |progress| blocked.max(progress.elapsed()))
    }

    fn oldest_progress(&self) -> Option<Instant> {
        let sending = lock(&self.sending);
        let sending = sending.iter().filter_map(Weak::upgrade);
        sending.filter_map(|sending| sending.last_progress()).min()
    }

    /// Completes when no request has been in flight for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        passed(limit, || {
            if self.in_flight.load(Ordering::Relaxed) > 0 {
                return None;
            }
            let since = Duration::from_millis(self.waiting_since.load(Ordering::Relaxed));
            self.opened.checked_add(since + limit)
        })
        .await;
    }

    /// Completes when the client has read nothing of a tracked response for `stall`, or a response
    /// exceeds its allowance. Allowances must not be shorter than `stall`.
    pub(super) async fn overdue(&self, stall: Duration) {
        passed(stall, || {
            let deadlines: Vec<_> = {
                let sending = lock(&self.sending);
                let sending = sending.iter().filter_map(Weak::upgrade);
                sending.filter_map(|sending| sending.deadline).collect()
            };
            let stalled = self.oldest_progress();
            let stalled = stalled.and_then(|progress| progress.checked_add(stall));
            deadlines.into_iter().chain(stalled).min()
        })
        .await;
    }

    fn since(&self, time: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A request in flight, from its head to the last byte of the response.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        // Store the time first, so that a thread which sees no request in flight sees it too.
        self.0.waiting_since.store(self.0.now(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Release);
    }
}

/// A response that is being sent.
#[derive(Debug)]
pub(in crate::web) struct Sending {
    /// When the response must be finished.
    deadline: Option<Instant>,
    /// When the client last read some of it; `None` if the socket tracks this.
    last_progress: Option<Mutex<Instant>>,
}

impl Sending {
    fn last_progress(&self) -> Option<Instant> {
        let progress = self.last_progress.as_ref()?;
        Some(*lock(progress))
    }

    /// Records that the client has read some of it.
    pub(super) fn progress(&self) {
        if let Some(progress) = &self.last_progress {
            *lock(progress) = Instant::now();
        }
    }
}

/// Completes when the deadline has passed. The deadline may change during the sleep, as long as a
/// new one is at least `least` ahead.
async fn passed(least: Duration, deadline: impl Fn() -> Option<Instant>) {
    loop {
        match deadline() {
            Some(deadline) if deadline <= Instant::now() => return,
            Some(deadline) => sleep_until(deadline).await,
            None => sleep(least).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn activity() -> Arc<Activity> {
        Activity::new(CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_silent_then_waiting_then_busy_then_waiting_again() {
        let activity = activity();
        advance(SECOND).await;
        assert_eq!(activity.spare(), Some((Spare::Silent, SECOND)));
        activity.mark_received();
        assert_eq!(activity.spare(), Some((Spare::Waiting, SECOND)));
        let (one, other) = (activity.busy(), activity.busy());
        drop(one);
        assert_eq!(activity.spare(), None);
        drop(other);
        assert_eq!(activity.spare(), Some((Spare::Waiting, Duration::ZERO)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_stalls_at_the_socket_or_in_one_of_its_streams() {
        let activity = activity();
        let _busy = activity.busy();
        activity.set_blocked(true);
        advance(SECOND).await;
        assert_eq!(activity.spare(), Some((Spare::Stalled, SECOND)));
        activity.set_blocked(false);
        assert_eq!(activity.spare(), None);

        let slow = activity.send(100 * SECOND, true);
        let fast = activity.send(100 * SECOND, true);
        advance(SECOND).await;
        fast.progress();
        assert!(activity.is_stalled());
        slow.progress();
        assert!(!activity.is_stalled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_overdue_after_a_stall_or_its_allowance() {
        let activity = activity();
        let start = Instant::now();
        let stalled = activity.send(100 * SECOND, true);
        activity.overdue(10 * SECOND).await;
        assert_eq!(start.elapsed(), 10 * SECOND);

        drop(stalled);
        let slow = activity.send(20 * SECOND, false);
        activity.overdue(10 * SECOND).await;
        assert_eq!(start.elapsed(), 30 * SECOND);
        drop(slow);
        let over = tokio::time::timeout(1000 * SECOND, activity.overdue(10 * SECOND)).await;
        assert!(over.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_begins_with_the_end_of_the_last_request() {
        let activity = activity();
        let busy = activity.busy();
        let start = Instant::now();
        let idle = activity.idle(10 * SECOND);
        let release = async {
            sleep(15 * SECOND).await;
            drop(busy);
        };
        tokio::join!(idle, release);
        assert_eq!(start.elapsed(), 25 * SECOND);
    }
}
