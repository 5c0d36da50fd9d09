//! Tracks the state of a connection: whether it can be closed to make room, whether it is idle, and
//! whether its client reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::panics::lock;

/// A client that has not read a chunk for this long may be closed if there is no room. A client that
/// reads does so in each round trip, but on a busy machine it may have to wait for the processor.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub(super) struct Activity {
    cut: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether the client has sent anything.
    received: bool,
    /// When the connection opened or its last request ended.
    waiting_since: Instant,
    next_id: u64,
    /// The requests in flight, and the responses of those that are answered.
    in_flight: HashMap<u64, Option<Sending>>,
}

/// A response that is being sent.
#[derive(Debug)]
struct Sending {
    started: Instant,
    /// When it must be finished.
    deadline: Option<Instant>,
    /// When the client last read some of it.
    last_progress: Instant,
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
            cut,
            state: Mutex::new(State {
                received: false,
                waiting_since: Instant::now(),
                next_id: 0,
                in_flight: HashMap::new(),
            }),
        })
    }

    /// Closes the connection immediately.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Records that the client has sent something.
    pub(super) fn mark_received(&self) {
        lock(&self.state).received = true;
    }

    /// Records that a request has arrived. It is in flight while the guard lives.
    pub(super) fn begin(self: &Arc<Self>) -> Arc<InFlight> {
        let mut state = lock(&self.state);
        state.received = true;
        let id = state.next_id;
        state.next_id += 1;
        state.in_flight.insert(id, None);
        Arc::new(InFlight {
            activity: Arc::clone(self),
            id,
        })
    }

    /// Why the connection can be closed to make room, and for how long. `None` if a request is in
    /// flight and the client reads.
    pub(super) fn spare(&self) -> Option<(Spare, Duration)> {
        let state = lock(&self.state);
        if !state.in_flight.is_empty() {
            let oldest = state.sending().map(|sending| sending.last_progress).min();
            let stalled = oldest?.elapsed();
            return (stalled >= STALLED_AFTER).then_some((Spare::Stalled, stalled));
        }
        let spare = if state.received {
            Spare::Waiting
        } else {
            Spare::Silent
        };
        Some((spare, state.waiting_since.elapsed()))
    }

    /// Completes when no request has been in flight for `limit`.
    pub(super) async fn idle(&self, limit: Duration) {
        passed(limit, || {
            let state = lock(&self.state);
            let is_idle = state.in_flight.is_empty();
            is_idle.then(|| state.waiting_since.checked_add(limit))?
        })
        .await;
    }

    /// Completes when the client has not read a chunk of a response for `stall`, or a response exceeds
    /// its allowance. Allowances must not be shorter than `stall`.
    pub(super) async fn overdue(&self, stall: Duration) {
        passed(stall, || {
            let state = lock(&self.state);
            let ends = state
                .sending()
                .flat_map(|sending| [sending.deadline, sending.last_progress.checked_add(stall)]);
            ends.flatten().min()
        })
        .await;
    }
}

impl State {
    fn sending(&self) -> impl Iterator<Item = &Sending> {
        self.in_flight.values().flatten()
    }
}

/// A request in flight, from its head to the last byte of the response.
#[derive(Debug)]
pub(in crate::web) struct InFlight {
    activity: Arc<Activity>,
    id: u64,
}

impl InFlight {
    /// Starts sending the response, which should finish within `allowance`.
    pub(super) fn send(&self, allowance: Duration) {
        let now = Instant::now();
        let sending = Sending {
            started: now,
            deadline: now.checked_add(allowance),
            last_progress: now,
        };
        let mut state = lock(&self.activity.state);
        state.in_flight.insert(self.id, Some(sending));
    }

    /// Records that the client has read some of the response.
    pub(in crate::web) fn progress(&self) {
        let mut state = lock(&self.activity.state);
        if let Some(Some(sending)) = state.in_flight.get_mut(&self.id) {
            sending.last_progress = Instant::now();
        }
    }

    /// Whether the connection may be closed to make room: its client stalls, or the response is
    /// being sent for `limit`.
    pub(in crate::web) fn is_slow(&self, limit: Duration) -> bool {
        let is_stalled = matches!(self.activity.spare(), Some((Spare::Stalled, _)));
        let state = lock(&self.activity.state);
        let sending = state.in_flight.get(&self.id).and_then(Option::as_ref);
        is_stalled || sending.is_some_and(|sending| sending.started.elapsed() >= limit)
    }

    /// Closes the connection immediately.
    pub(in crate::web) fn cut(&self) {
        self.activity.cut();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = lock(&self.activity.state);
        state.in_flight.remove(&self.id);
        state.waiting_since = Instant::now();
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

    fn sending(activity: &Arc<Activity>, allowance: Duration) -> Arc<InFlight> {
        let in_flight = activity.begin();
        in_flight.send(allowance);
        in_flight
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_silent_then_waiting_then_busy_then_waiting_again() {
        let activity = activity();
        advance(SECOND).await;
        assert_eq!(activity.spare(), Some((Spare::Silent, SECOND)));
        activity.mark_received();
        assert_eq!(activity.spare(), Some((Spare::Waiting, SECOND)));
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert_eq!(activity.spare(), None);
        drop(other);
        assert_eq!(activity.spare(), Some((Spare::Waiting, Duration::ZERO)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_stalls_in_one_of_its_responses() {
        let activity = activity();
        let _unanswered = activity.begin();
        advance(SECOND).await;
        assert_eq!(activity.spare(), None);
        let slow = sending(&activity, 100 * SECOND);
        let fast = sending(&activity, 100 * SECOND);
        advance(SECOND).await;
        fast.progress();
        assert_eq!(activity.spare(), Some((Spare::Stalled, SECOND)));
        assert!(fast.is_slow(100 * SECOND));
        slow.progress();
        assert_eq!(activity.spare(), None);
        assert!(slow.is_slow(SECOND) && !slow.is_slow(2 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_is_overdue_after_a_stall_or_its_allowance() {
        let activity = activity();
        let start = Instant::now();
        let stalled = sending(&activity, 100 * SECOND);
        activity.overdue(10 * SECOND).await;
        assert_eq!(start.elapsed(), 10 * SECOND);

        drop(stalled);
        let slow = sending(&activity, 20 * SECOND);
        let reading = async {
            loop {
                sleep(9 * SECOND).await;
                slow.progress();
            }
        };
        tokio::select! {
            () = activity.overdue(10 * SECOND) => {}
            () = reading => {}
        }
        assert_eq!(start.elapsed(), 30 * SECOND);
        drop(slow);
        let over = tokio::time::timeout(1000 * SECOND, activity.overdue(10 * SECOND)).await;
        assert!(over.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_begins_with_the_end_of_the_last_request() {
        let activity = activity();
        let request = activity.begin();
        let start = Instant::now();
        let idle = activity.idle(10 * SECOND);
        let release = async {
            sleep(15 * SECOND).await;
            drop(request);
        };
        tokio::join!(idle, release);
        assert_eq!(start.elapsed(), 25 * SECOND);
    }
}
