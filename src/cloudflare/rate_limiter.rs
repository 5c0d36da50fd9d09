//! The rate limiter, a log of the requests in the last window.
//!
//! Token buckets and the generic cell rate algorithm allow twice the budget in a window (a full
//! burst at its start, plus everything refilled since). This limiter never exceeds the budget in
//! any window as the server sees it. A request counts from before it is sent until one window after
//! its response ended, so it counts for long enough, whenever the server saw it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::on_drop::OnDrop;
use crate::panics::lock;

/// Ended requests that are closer together than this fraction of the window share one log entry,
/// with the time of the latest. This limits the log for any budget, and frees a slot at most 0.3
/// seconds late with a window of five minutes.
const ENTRIES_PER_WINDOW: u32 = 1024;
/// The longest window of a rate limit. Ended requests are remembered for this long, give or take a
/// minute and a half, so that a window which a reload extends includes them.
pub const LONGEST_RATE_WINDOW: Duration = Duration::from_hours(24);

/// The state to keep across restarts: recent requests and the end of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateLimitState {
    /// The requests of the last window, oldest first.
    pub requests: Vec<PastRequests>,
    /// The end of a pause after a 429.
    pub blocked_until: Option<Timestamp>,
}

/// Requests that ended at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRequests {
    /// When the last of them ended.
    pub at: Timestamp,
    /// How many there are.
    pub count: u64,
}

/// Allows at most `budget` requests in any window. Within a lane, callers are served in order;
/// urgent requests go ahead of regular ones.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    regular: Queue,
    urgent: Queue,
    log: Mutex<Log>,
    grant_wanted: OnceLock<Arc<Notify>>,
}

/// The lane in which a request waits for its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// May use the budget except for the part reserved for urgent requests.
    Regular,
    /// Goes ahead of regular requests, and may also use the reserved part.
    Urgent,
}

/// The waiting requests of a lane.
#[derive(Debug, Default)]
struct Queue {
    /// Held by the caller that waits for the next free slot; tokio's mutex is fair.
    turnstile: tokio::sync::Mutex<()>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Log {
    budget: u64,
    /// The part of the budget that only urgent requests may use.
    reserved: u64,
    /// The number of waiting urgent requests.
    urgent_waiting: u64,
    window: Duration,
    in_flight: u64,
    /// Within the last window, oldest first.
    ended: VecDeque<Ended>,
    ended_count: u64,
    /// Before the last window.
    past: VecDeque<Ended>,
    /// The total number of slots taken and not returned.
    taken: u64,
    /// Requests that an earlier process may have made, until the server forgets them. `None` before
    /// the first response with a quota.
    foreign: Option<(u64, Instant)>,
    /// The limit on `taken` until the server's window ends.
    ceiling: Option<(u64, Instant)>,
    /// The limit on `taken` until more is granted; `None` if no grant is needed.
    granted: Option<u64>,
}

/// Requests that ended at about the same time.
#[derive(Debug)]
struct Ended {
    first: Instant,
    last: Instant,
    count: u64,
}

impl Limiter {
    pub(super) fn new(budget: u32, window: Duration) -> Self {
        Self {
            log: Mutex::new(Log {
                budget: budget.max(1).into(),
                window,
                ..Log::default()
            }),
            ..Self::default()
        }
    }

    /// Changes the limit; earlier requests still count.
    pub(super) fn configure(&self, budget: u32, window: Duration) {
        let mut log = lock(&self.log);
        log.budget = budget.max(1).into();
        log.reserved = log.reserved.min(log.budget - 1);
        log.set_window(window, Instant::now());
        drop(log);
        self.notify();
    }

    /// The most requests per window.
    pub(super) fn budget(&self) -> u32 {
        u32::try_from(lock(&self.log).budget).unwrap_or(u32::MAX)
    }

    /// Reserves part of the budget for urgent requests.
    pub(super) fn reserve(&self, requests: u32) {
        let mut log = lock(&self.log);
        log.reserved = u64::from(requests).min(log.budget.saturating_sub(1));
        drop(log);
        self.notify();
    }

    /// From now on, allows only granted requests. `wanted` is notified when a request waits for a
    /// grant.
    ///
    /// The granter first stores how many requests may be made. So a killed process has never made
    /// more requests than the next one counts.
    pub(super) fn require_grants(&self, wanted: &Arc<Notify>) {
        if self.grant_wanted.set(Arc::clone(wanted)).is_ok() {
            let mut log = lock(&self.log);
            log.granted = Some(log.taken);
        }
    }

    /// Raises the limit on `taken` to this.
    pub(super) fn grant(&self, up_to: u64) {
        let mut log = lock(&self.log);
        log.granted = log.granted.map(|granted| granted.max(up_to));
        drop(log);
        self.notify();
    }

    /// Records the server's own count: `used` requests by all users of the credentials in its
    /// window, which ends in `reset`.
    ///
    /// If the first response counts more requests than this process made, the surplus may be from
    /// an earlier process. It uses up the budget until the server forgets it, or until it is older
    /// than the window. Later surpluses come from others: of what they leave, this process sends at
    /// most `allowed` until the server's window ends.
    ///
    /// If the server's window differs from the configured one, its first count says nothing about
    /// the requests in this window.
    pub(super) fn note_quota(
        &self,
        used: u64,
        allowed: u64,
        reset: Duration,
        window: Option<Duration>,
    ) {
        let now = Instant::now();
        let end = now + reset;
        let mut log = lock(&self.log);
        let own = log.in_flight + log.ended_count;
        let is_same_window = window.is_none_or(|window| window == log.window);
        let foreign = used.saturating_sub(if is_same_window { own } else { used });
        let forgotten = end.min(now + log.window);
        log.foreign.get_or_insert((foreign, forgotten));
        log.ceiling = Some((log.taken.saturating_add(allowed), end));
        drop(log);
        self.notify();
    }

    /// The requests in the window, those in flight as of `now`, and the total of slots taken.
    pub(super) fn state(&self, now: Timestamp) -> (Vec<PastRequests>, u64) {
        let log = lock(&self.log);
        let at = |time: Instant| now.saturating_sub(time.elapsed()).unwrap_or(now);
        let ended = log.ended.iter().map(|ended| PastRequests {
            at: at(ended.last),
            count: ended.count,
        });
        let in_flight = (log.in_flight > 0).then_some(PastRequests {
            at: now,
            count: log.in_flight,
        });
        (ended.chain(in_flight).collect(), log.taken)
    }

    /// Counts the requests of an earlier process. A time in the future, after the clock was set
    /// back, counts as now.
    pub(super) fn restore(&self, requests: &[PastRequests], now: Timestamp) {
        let instant = Instant::now();
        let mut log = lock(&self.log);
        let mut restored: Vec<_> = requests
            .iter()
            .map(|past| {
                let age = Duration::try_from(now.duration_since(past.at)).unwrap_or_default();
                // Times before this machine booted are older than any window.
                (instant.checked_sub(age), past.count)
            })
            .filter_map(|(last, count)| Some((last?, count)))
            .filter(|(last, _)| instant - *last < log.window)
            .collect();
        restored.sort_unstable();
        for (last, count) in restored.into_iter().rev() {
            log.ended_count += count;
            log.ended.push_front(Ended {
                first: last,
                last,
                count,
            });
        }
        log.ended.make_contiguous().sort_by_key(|ended| ended.last);
    }

    /// Waits for a free slot.
    pub(super) async fn take(self: &Arc<Self>, lane: Lane) -> Slot {
        let queue = match lane {
            Lane::Regular => &self.regular,
            Lane::Urgent => &self.urgent,
        };
        // Regular requests wait while an urgent one does.
        let _waiting = (lane == Lane::Urgent).then(|| {
            lock(&self.log).urgent_waiting += 1;
            OnDrop(|| {
                lock(&self.log).urgent_waiting -= 1;
                self.notify();
            })
        });
        let _turn = queue.turnstile.lock().await;
        loop {
            let next_free = match lock(&self.log).take(lane, Instant::now()) {
                Take::Taken => return self.slot(),
                Take::FreeAt(at) => Some(at),
                Take::FreeLater => None,
                Take::FreeWhenGranted => {
                    if let Some(wanted) = self.grant_wanted.get() {
                        wanted.notify_one();
                    }
                    None
                }
            };
            match next_free {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = queue.changed.notified() => {}
                },
                None => queue.changed.notified().await,
            }
        }
    }

    /// Takes a slot if one is free.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Slot> {
        let taken = lock(&self.log).take(Lane::Urgent, Instant::now());
        matches!(taken, Take::Taken).then(|| self.slot())
    }

    fn slot(self: &Arc<Self>) -> Slot {
        Slot {
            limiter: Arc::clone(self),
            used: false,
        }
    }

    /// Wakes the first waiter in each lane.
    fn notify(&self) {
        self.urgent.changed.notify_one();
        self.regular.changed.notify_one();
    }
}

enum Take {
    Taken,
    FreeAt(Instant),
    /// Free when a request ends or no urgent request waits.
    FreeLater,
    FreeWhenGranted,
}

impl Log {
    fn take(&mut self, lane: Lane, now: Instant) -> Take {
        let budget = match lane {
            Lane::Regular if self.urgent_waiting > 0 => return Take::FreeLater,
            Lane::Regular => self.budget - self.reserved,
            Lane::Urgent => self.budget,
        };
        let window = self.window;
        let is_over = |ended: &mut Ended| now - ended.last >= window;
        while let Some(oldest) = self.ended.pop_front_if(is_over) {
            self.ended_count -= oldest.count;
            add(&mut self.past, oldest, LONGEST_RATE_WINDOW);
        }
        let is_forgotten = |ended: &mut Ended| now - ended.last >= LONGEST_RATE_WINDOW;
        while self.past.pop_front_if(is_forgotten).is_some() {}
        if let Some((ceiling, end)) = self.ceiling.filter(|(_, end)| now < *end)
            && self.taken >= ceiling
        {
            return Take::FreeAt(end);
        }
        let foreign = self.foreign.filter(|(_, end)| now < *end);
        let foreign = foreign.map_or(0, |(count, _)| count);
        let used = self.in_flight + self.ended_count + foreign;
        if used < budget {
            if self.granted.is_some_and(|granted| self.taken >= granted) {
                return Take::FreeWhenGranted;
            }
            self.in_flight += 1;
            self.taken += 1;
            return Take::Taken;
        }
        let oldest = self.ended.front().map(|oldest| oldest.last + self.window);
        let foreign = self.foreign.filter(|_| foreign > 0).map(|(_, end)| end);
        let earliest = oldest.into_iter().chain(foreign).min();
        earliest.map_or(Take::FreeLater, Take::FreeAt)
    }

    fn end(&mut self, now: Instant, used: bool) {
        self.in_flight -= 1;
        if !used {
            self.taken -= 1;
            return;
        }
        self.ended_count += 1;
        let request = Ended {
            first: now,
            last: now,
            count: 1,
        };
        add(&mut self.ended, request, self.window);
    }

    /// A longer window includes requests again that had left the shorter one.
    fn set_window(&mut self, window: Duration, now: Instant) {
        self.window = window;
        while let Some(latest) = self.past.pop_back_if(|ended| now - ended.last < window) {
            self.ended_count += latest.count;
            self.ended.push_front(latest);
        }
    }
}

/// Adds ended requests to a log for this window.
fn add(log: &mut VecDeque<Ended>, new: Ended, window: Duration) {
    match log.back_mut() {
        Some(entry) if new.last - entry.first < window / ENTRIES_PER_WINDOW => {
            entry.last = new.last;
            entry.count += new.count;
        }
        _ => log.push_back(new),
    }
}

/// Permission to send one request. Hold it until the response is complete. If dropped unused, it
/// does not count.
#[derive(Debug)]
pub(super) struct Slot {
    limiter: Arc<Limiter>,
    used: bool,
}

impl Slot {
    /// Marks the request as sent.
    pub(super) fn mark_used(&mut self) {
        self.used = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.limiter.log).end(Instant::now(), self.used);
        self.limiter.notify();
    }
}

#[cfg(test)]
mod tests;
