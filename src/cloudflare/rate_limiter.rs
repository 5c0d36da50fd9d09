//! The rate limit: a log of the requests of the last window.
//!
//! Token buckets and the generic cell rate algorithm let twice the budget through a window (a full
//! burst at its start, and all that was refilled since). Here no window, as the server sees it,
//! ever holds more requests than the budget: a request counts from before it is sent until one
//! window after its answer ended, so whenever the server saw it, it is counted for long enough.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Ended requests that lie closer together than this part of the window share one entry of the
/// log, under the time of the latest. It bounds the log whatever the budget is, and makes a slot
/// free at most 0.3 seconds late for a window of five minutes.
const ENTRIES_PER_WINDOW: u32 = 1024;
/// The longest window of a rate limit. Ended requests are remembered for as long, give or take a
/// minute and a half, so that a window which a reload lengthens holds them too.
pub const LONGEST_RATE_WINDOW: Duration = Duration::from_hours(24);

/// Lets at most `budget` requests through any window, in the order in which they asked.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Held by the one that waits for the next free slot; tokio's mutex is fair.
    turnstile: tokio::sync::Mutex<()>,
    log: Mutex<Log>,
    changed: Notify,
}

#[derive(Debug)]
struct Log {
    budget: u64,
    window: Duration,
    in_flight: u64,
    /// Of the last window, the oldest first.
    ended: VecDeque<Ended>,
    ended_count: u64,
    /// Those before.
    past: VecDeque<Ended>,
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
            turnstile: tokio::sync::Mutex::new(()),
            log: Mutex::new(Log {
                budget: budget.max(1).into(),
                window,
                in_flight: 0,
                ended: VecDeque::new(),
                ended_count: 0,
                past: VecDeque::new(),
            }),
            changed: Notify::new(),
        }
    }

    /// Changes the limit; requests that were made stay counted.
    pub(super) fn configure(&self, budget: u32, window: Duration) {
        let mut log = self.lock();
        log.budget = budget.max(1).into();
        log.set_window(window, Instant::now());
        drop(log);
        self.changed.notify_one();
    }

    /// Waits for a free slot. Callers are served in the order in which they came.
    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        let _turn = self.turnstile.lock().await;
        loop {
            let next_free = {
                let mut log = self.lock();
                match log.take(Instant::now()) {
                    Take::Taken => {
                        return Slot {
                            limiter: Arc::clone(self),
                            used: false,
                        };
                    }
                    Take::FreeAt(at) => Some(at),
                    Take::FreeWhenOneEnds => None,
                }
            };
            match next_free {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Take {
    Taken,
    FreeAt(Instant),
    FreeWhenOneEnds,
}

impl Log {
    fn take(&mut self, now: Instant) -> Take {
        let window = self.window;
        let is_over = |ended: &mut Ended| now - ended.last >= window;
        while let Some(oldest) = self.ended.pop_front_if(is_over) {
            self.ended_count -= oldest.count;
            add(&mut self.past, oldest, LONGEST_RATE_WINDOW);
        }
        let is_forgotten = |ended: &mut Ended| now - ended.last >= LONGEST_RATE_WINDOW;
        while self.past.pop_front_if(is_forgotten).is_some() {}
        if self.in_flight + self.ended_count < self.budget {
            self.in_flight += 1;
            return Take::Taken;
        }
        self.ended.front().map_or(Take::FreeWhenOneEnds, |oldest| {
            Take::FreeAt(oldest.last + self.window)
        })
    }

    fn end(&mut self, now: Instant, used: bool) {
        self.in_flight -= 1;
        if !used {
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

    /// A longer window holds requests again that the one before held no more.
    fn set_window(&mut self, window: Duration, now: Instant) {
        self.window = window;
        while let Some(latest) = self.past.pop_back_if(|ended| now - ended.last < window) {
            self.ended_count += latest.count;
            self.ended.push_front(latest);
        }
    }
}

/// Adds the latest requests to a log of such a window.
fn add(log: &mut VecDeque<Ended>, new: Ended, window: Duration) {
    match log.back_mut() {
        Some(entry) if new.last - entry.first < window / ENTRIES_PER_WINDOW => {
            entry.last = new.last;
            entry.count += new.count;
        }
        _ => log.push_back(new),
    }
}

/// The right to send one request. Hold it until the answer has ended. Dropped unused, it goes
/// back as if it had not been taken.
#[derive(Debug)]
pub(super) struct Slot {
    limiter: Arc<Limiter>,
    used: bool,
}

impl Slot {
    /// The request is about to leave.
    pub(super) fn mark_used(&mut self) {
        self.used = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limiter.lock().end(Instant::now(), self.used);
        self.limiter.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    async fn request(limiter: &Arc<Limiter>, takes: Duration) -> Instant {
        let mut slot = limiter.take().await;
        slot.mark_used();
        tokio::time::sleep(takes).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_within_the_budget_does_not_wait_and_the_next_waits_a_window() {
        let limiter = Arc::new(Limiter::new(3, WINDOW));
        let start = Instant::now();
        for _ in 0..3 {
            request(&limiter, Duration::ZERO).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        request(&limiter, Duration::ZERO).await;
        assert_eq!(start.elapsed(), WINDOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_comes_free_a_window_after_the_answer_not_after_the_start() {
        let limiter = Arc::new(Limiter::new(1, WINDOW));
        let start = Instant::now();
        request(&limiter, Duration::from_secs(4)).await;
        drop(limiter.take().await);
        assert_eq!(start.elapsed(), WINDOW + Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_slot_costs_nothing_and_wakes_the_next() {
        let limiter = Arc::new(Limiter::new(1, WINDOW));
        let slot = limiter.take().await;
        let start = Instant::now();
        let next = tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move { limiter.take().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(slot);
        drop(next.await.unwrap());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_order_and_a_larger_budget_wakes_them() {
        let limiter = Arc::new(Limiter::new(1, WINDOW));
        request(&limiter, Duration::ZERO).await;
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..4 {
            let (limiter, sender) = (Arc::clone(&limiter), sender.clone());
            tokio::spawn(async move {
                limiter.take().await.mark_used();
                sender.send((number, Instant::now())).unwrap();
            });
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        limiter.configure(3, WINDOW);
        let mut served = Vec::new();
        for _ in 0..4 {
            let (number, at) = order.recv().await.unwrap();
            served.push((number, at - start));
        }
        assert_eq!(
            served,
            [
                (0, Duration::ZERO),
                (1, Duration::ZERO),
                (2, WINDOW),
                (3, WINDOW)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_stays_small_whatever_the_budget() {
        let limiter = Arc::new(Limiter::new(u32::MAX, WINDOW));
        for _ in 0..20_000 {
            limiter.take().await.mark_used();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let entries = limiter.lock().ended.len();
        assert!(entries <= 1 + ENTRIES_PER_WINDOW as usize, "{entries}");
        assert!(entries > 500, "{entries}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_window_holds_the_requests_that_were_made_before_it() {
        const MINUTE: Duration = Duration::from_mins(1);
        let limiter = Arc::new(Limiter::new(3, 5 * MINUTE));
        let start = Instant::now();
        for _ in 0..3 {
            request(&limiter, Duration::ZERO).await;
            tokio::time::advance(10 * MINUTE).await;
        }
        limiter.configure(3, 60 * MINUTE);
        request(&limiter, Duration::ZERO).await;
        assert_eq!(start.elapsed(), 60 * MINUTE);
        // A shorter one forgets none for good: of the minutes 10, 20, 60 and 60, the third last.
        limiter.configure(3, 5 * MINUTE);
        request(&limiter, Duration::ZERO).await;
        assert_eq!(start.elapsed(), 60 * MINUTE);
        limiter.configure(3, 60 * MINUTE);
        request(&limiter, Duration::ZERO).await;
        assert_eq!(start.elapsed(), 80 * MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_of_a_day_stays_small() {
        let limiter = Arc::new(Limiter::new(u32::MAX, Duration::from_millis(100)));
        for _ in 0..10_000 {
            limiter.take().await.mark_used();
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        let past = limiter.lock().past.len();
        assert!(past <= 1 + ENTRIES_PER_WINDOW as usize, "{past}");
        assert!(past > 500, "{past}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_window_ever_exceeds_the_budget(
            budget in 1u32..8,
            // When each request asks, how long it takes, and at which part of that the server
            // sees it.
            requests in prop::collection::vec((0u64..30_000, 0u64..15_000, 0u64..=100), 1..60),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let mut seen = runtime.block_on(async {
                let limiter = Arc::new(Limiter::new(budget, WINDOW));
                let tasks: Vec<_> = requests
                    .iter()
                    .map(|&(asks, takes, part)| {
                        let limiter = Arc::clone(&limiter);
                        tokio::spawn(async move {
                            tokio::time::sleep(Duration::from_millis(asks)).await;
                            let mut slot = limiter.take().await;
                            slot.mark_used();
                            let before = takes * part / 100;
                            tokio::time::sleep(Duration::from_millis(before)).await;
                            let seen = Instant::now();
                            tokio::time::sleep(Duration::from_millis(takes - before)).await;
                            seen
                        })
                    })
                    .collect();
                let mut seen = Vec::new();
                for task in tasks {
                    seen.push(task.await.unwrap());
                }
                seen
            });
            seen.sort();
            prop_assert_eq!(seen.len(), requests.len());
            let more_than_budget = usize::try_from(budget).unwrap() + 1;
            for too_many in seen.windows(more_than_budget) {
                let span = *too_many.last().unwrap() - *too_many.first().unwrap();
                prop_assert!(span >= WINDOW, "{more_than_budget} requests in {span:?}");
            }
        }
    }
}
