//! Admits the requests of an account: rate limit, pauses and concurrency.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::call_budget::CallKind;
use super::headers::{LONGEST_PAUSE, Quota};
use super::metrics::AccountMetrics;
use super::on_drop::OnDrop;
use super::pause::Pauses;
use super::rate_limiter::{Lane, Limiter, RateLimitState, Slot};
use super::{CallBudget, RateLimit, Settings};

/// Urgent calls go ahead of others while they use at most the budget divided by this, which is also
/// the part reserved for them.
pub const URGENT_SHARE: u32 = 5;
/// The requests in flight divided by this are reserved for urgent calls.
const URGENT_PLACES_SHARE: usize = 3;
/// The most requests in flight that are reserved for urgent calls.
const URGENT_PLACES: usize = 2;
/// Probes may use the budget divided by this.
const PROBE_SHARE: u32 = 10;
/// The most probes in flight. They have their own permits, so that many probes do not delay polls.
const PROBES_IN_FLIGHT: usize = 4;

/// The rate limit, the pauses and the concurrency of one account.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) limiter: Arc<Limiter>,
    urgent_limiter: Arc<Limiter>,
    probe_limiter: Arc<Limiter>,
    pub(super) pauses: Arc<Pauses>,
    permits: ArcSwap<Permits>,
    probe_permits: Arc<Semaphore>,
}

/// The permits for requests in flight.
#[derive(Debug)]
struct Permits {
    count: usize,
    has_reserve: bool,
    regular: Arc<Semaphore>,
    urgent: Arc<Semaphore>,
}

impl Permits {
    /// Permits for `count` requests. With a reserve and at least two requests, some are only for
    /// urgent calls.
    fn new(count: usize, has_reserve: bool) -> Self {
        let urgent = (count / URGENT_PLACES_SHARE).clamp(1, URGENT_PLACES);
        let places = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        let (regular, urgent) = if has_reserve && count > urgent {
            (places(count - urgent), places(urgent))
        } else {
            let shared = places(count);
            (Arc::clone(&shared), shared)
        };
        Self {
            count,
            has_reserve,
            regular,
            urgent,
        }
    }
}

impl Admission {
    pub(super) fn new(settings: &Settings) -> Self {
        let budget = settings.rate_limit.budget();
        let window = settings.rate_limit.window;
        Self {
            limiter: Arc::new(Limiter::new(budget, window)),
            urgent_limiter: Arc::new(Limiter::new(budget / URGENT_SHARE, window)),
            probe_limiter: Arc::new(Limiter::new(budget / PROBE_SHARE, window)),
            pauses: Arc::default(),
            permits: ArcSwap::from_pointee(Permits::new(settings.concurrency, false)),
            probe_permits: Arc::new(Semaphore::new(PROBES_IN_FLIGHT)),
        }
    }

    /// Changes the limits. Recent requests and pauses are kept. Requests in flight keep their old
    /// permits, so for a while there may be more than the new limit.
    pub(super) fn configure(&self, settings: &Settings) {
        let budget = settings.rate_limit.budget();
        let window = settings.rate_limit.window;
        self.limiter.configure(budget, window);
        self.urgent_limiter.configure(budget / URGENT_SHARE, window);
        self.probe_limiter.configure(budget / PROBE_SHARE, window);
        let permits = self.permits.load();
        if permits.has_reserve {
            self.limiter.reserve(budget / URGENT_SHARE);
        }
        if permits.count != settings.concurrency {
            let permits = Permits::new(settings.concurrency, permits.has_reserve);
            self.permits.store(Arc::new(permits));
        }
    }

    /// Sets whether part of the budget and of the permits is reserved for urgent calls.
    pub(super) fn reserve_for_urgent(&self, on: bool) {
        let permits = self.permits.load();
        if permits.has_reserve == on {
            return;
        }
        let budget = self.limiter.budget();
        self.limiter
            .reserve(if on { budget / URGENT_SHARE } else { 0 });
        self.permits
            .store(Arc::new(Permits::new(permits.count, on)));
    }

    pub(super) fn concurrency(&self) -> usize {
        self.permits.load().count
    }

    /// Records the quota that a response reports; see [`Limiter::note_quota`].
    pub(super) fn note_quota(&self, quota: Quota, configured: RateLimit) {
        let limit = quota.limit.unwrap_or(configured.requests.into());
        let used = limit.saturating_sub(quota.remaining);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a quota is far below 2^53, and a share lies in (0, 1]"
        )]
        let allowed = (quota.remaining as f64 * configured.share).ceil() as u64;
        self.limiter
            .note_quota(used, allowed, quota.reset, quota.window);
    }

    /// The recent requests, the end of the pause after a 429, and the number of slots ever taken.
    pub(super) fn state(&self, now: Timestamp) -> (RateLimitState, u64) {
        let (requests, taken) = self.limiter.state(now);
        let state = RateLimitState {
            requests,
            blocked_until: self.pauses.blocked_until(),
        };
        (state, taken)
    }

    /// Restores the state of an earlier process.
    pub(super) fn restore(&self, state: &RateLimitState, now: Timestamp) {
        self.limiter.restore(&state.requests, now);
        let pause = state.blocked_until.map(|until| until.duration_since(now));
        let pause = pause.and_then(|pause| Duration::try_from(pause).ok());
        if let Some(pause) = pause {
            self.pauses.block(pause.min(LONGEST_PAUSE), now);
        }
    }

    /// Waits until a request may be sent: for the end of a pause, then for the rate limit, then for
    /// a permit. If a pause has begun by then, releases everything and waits again, so that waiting
    /// requests are not sent after a 429.
    pub(super) async fn admit(&self, call: &CallBudget, metrics: &AccountMetrics) -> Permit {
        let _waiting = call.waiting();
        loop {
            let started = Instant::now();
            let throttled = OnDrop(|| metrics.throttled(started.elapsed()));
            self.pauses.wait().await;
            // The limit that the call counts against besides the budget.
            let share_slot = match call.kind() {
                CallKind::Regular => None,
                CallKind::Urgent => self.urgent_limiter.try_take(),
                CallKind::Probe => Some(self.probe_limiter.take(Lane::Regular).await),
            };
            let lane = match (call.kind(), &share_slot) {
                (CallKind::Urgent, Some(_)) => Lane::Urgent,
                _ => Lane::Regular,
            };
            let slot = self.limiter.take(lane).await;
            drop(throttled);
            let permits = self.permits.load_full();
            let semaphore = match (call.kind(), lane) {
                (CallKind::Probe, _) => Arc::clone(&self.probe_permits),
                (_, Lane::Urgent) => Arc::clone(&permits.urgent),
                (_, Lane::Regular) => Arc::clone(&permits.regular),
            };
            // The semaphore is never closed, so this always yields a permit.
            let permit = semaphore.acquire_owned().await.ok();
            if self.pauses.until().is_none() {
                return Permit {
                    slot,
                    share_slot,
                    _in_flight: permit,
                };
            }
        }
    }
}

/// Permission to send one request. Hold it until the response is complete.
#[derive(Debug)]
pub(super) struct Permit {
    slot: Slot,
    share_slot: Option<Slot>,
    _in_flight: Option<OwnedSemaphorePermit>,
}

impl Permit {
    /// Marks the request as sent.
    pub(super) fn mark_used(&mut self) {
        self.slot.mark_used();
        if let Some(slot) = &mut self.share_slot {
            slot.mark_used();
        }
    }
}
