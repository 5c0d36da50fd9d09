//! How many connections are open, and which of them can be spared.
//!
//! Anybody can open connections and send nothing. If new ones then had to wait for a place, a few
//! hundred silent connections would keep every scraper out. So a new connection is always let in
//! as long as another one is waiting for a request: of those, the one that has waited longest is
//! closed. A scraper sends its request at once, from when on its connection is not spared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::http2_body::Sending;

/// The open connections of all listeners.
#[derive(Debug)]
pub(super) struct Admission {
    places: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// The connections without a request in flight, in the order in which they began to wait.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    tokens: BTreeMap<u64, CancellationToken>,
}

impl Admission {
    /// Room for at most `limit` connections.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(limit)),
            waiting: Mutex::default(),
        })
    }

    /// A place for a new connection, which is to end when `cut` is cancelled. Where all places
    /// are taken, the connection that has waited longest for a request makes room; where each has
    /// a request in flight, this waits for one to end.
    pub(super) async fn admit(self: &Arc<Self>, cut: CancellationToken) -> Arc<Place> {
        let permit = if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            Some(permit)
        } else {
            self.cut_longest_waiting();
            // An error would mean that the semaphore is closed, which it never is.
            Arc::clone(&self.places).acquire_owned().await.ok()
        };
        let ticket = self.waiting().begin(cut.clone());
        Arc::new(Place {
            admission: Arc::clone(self),
            cut,
            state: Mutex::new(State {
                in_flight: 0,
                ticket,
                waiting_since: Instant::now(),
                sending: Vec::new(),
            }),
            _permit: permit,
        })
    }

    /// Closes the connection that has waited longest for a request. Whether one waits.
    pub(super) fn cut_longest_waiting(&self) -> bool {
        let longest = self.waiting().tokens.pop_first();
        if let Some((_, cut)) = &longest {
            cut.cancel();
        }
        longest.is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn begin(&mut self, cut: CancellationToken) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.tokens.insert(ticket, cut);
        ticket
    }
}

/// One connection's place. It is free again when the last clone is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    cut: CancellationToken,
    state: Mutex<State>,
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    ticket: u64,
    /// Since when there has been no request in flight, if there is none.
    waiting_since: Instant,
    /// The responses of an HTTP/2 connection that are being sent, and some that have been.
    sending: Vec<Weak<Sending>>,
}

impl Place {
    /// Cancelled when the connection is to end at once.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Marks the connection as busy for as long as the answer lives.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        if state.in_flight == 0 {
            self.admission.waiting().tokens.remove(&state.ticket);
        }
        state.in_flight += 1;
        Busy(Arc::clone(self))
    }

    /// Begins to send a response of an HTTP/2 connection.
    pub(super) fn send(&self) -> Arc<Sending> {
        let sending = Sending::begin();
        let mut state = self.state();
        state.sending.retain(|sending| sending.strong_count() > 0);
        state.sending.push(Arc::downgrade(&sending));
        sending
    }

    /// Ends when there has been no request in flight for this time.
    pub(super) async fn idle(&self, limit: Duration) {
        passed(limit, || {
            let state = self.state();
            (state.in_flight == 0).then_some(state.waiting_since)
        })
        .await;
    }

    /// Ends when the client has taken nothing of one of the responses for this time.
    pub(super) async fn stalled(&self, limit: Duration) {
        passed(limit, || {
            let state = self.state();
            let sending = state.sending.iter().filter_map(Weak::upgrade);
            sending.map(|sending| sending.last_progress()).min()
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ticket = self.state().ticket;
        self.admission.waiting().tokens.remove(&ticket);
    }
}

/// A request in flight: from its head to the last byte of the response.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.waiting_since = Instant::now();
            state.ticket = self.0.admission.waiting().begin(self.0.cut.clone());
        }
    }
}

/// Ends when `since` was this long ago. It can only move on while this sleeps, and where there is
/// none now there is none that ends before.
async fn passed(limit: Duration, since: impl Fn() -> Option<Instant>) {
    loop {
        let now = Instant::now();
        let at = since().unwrap_or(now) + limit;
        if at <= now {
            return;
        }
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    async fn admit(admission: &Arc<Admission>) -> Arc<Place> {
        admission.admit(CancellationToken::new()).await
    }

    #[tokio::test]
    async fn the_one_that_has_waited_longest_makes_room() {
        let admission = Admission::new(2);
        let first = admit(&admission).await;
        let second = admit(&admission).await;
        drop(first.busy());
        assert!(!second.cut().is_cancelled());

        let cut = second.cut().clone();
        tokio::spawn(async move {
            second.cut().cancelled().await;
            drop(second);
        });
        admit(&admission).await;
        assert!(cut.is_cancelled());
        assert!(!first.cut().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_request_in_flight_is_not_cut() {
        let admission = Admission::new(1);
        let only = admit(&admission).await;
        let one = only.busy();
        let other = only.busy();
        drop(one);

        let refused = timeout(Duration::from_mins(1), admit(&admission)).await;
        assert!(refused.is_err());
        assert!(!only.cut().is_cancelled());

        drop(other);
        drop(only);
        admit(&admission).await;
    }

    #[tokio::test]
    async fn a_connection_that_ended_leaves_nothing_behind() {
        let admission = Admission::new(1);
        let place = admit(&admission).await;
        drop(place.busy());
        drop(place);
        assert!(admission.waiting().tokens.is_empty());
    }
}
