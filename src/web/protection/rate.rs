//! The rate limit for all requests.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::panics::lock;
use crate::web::RateLimit;

/// A token bucket, stored as the time at which it will be full again. A request moves this time one
/// interval ahead, at most as far as the time that an empty bucket takes to fill (the generic cell
/// rate algorithm).
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) limit: RateLimit,
    full_at: Mutex<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        Self {
            limit,
            full_at: Mutex::new(now),
        }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut full_at = lock(&self.full_at);
        let capacity = self.limit.interval.saturating_mul(self.limit.burst);
        let Some(next) = (*full_at).max(now).checked_add(self.limit.interval) else {
            return false;
        };
        let allowed = next.duration_since(now) <= capacity;
        if allowed {
            *full_at = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(burst: u32, now: Instant) -> Bucket {
        let interval = SECOND;
        Bucket::new(RateLimit { interval, burst }, now)
    }

    fn taken(bucket: &Bucket, now: Instant) -> usize {
        (0..100).filter(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_each_interval() {
        let start = Instant::now();
        let bucket = bucket(3, start);
        assert_eq!(taken(&bucket, start), 3);
        assert_eq!(taken(&bucket, start + SECOND / 2), 0);
        assert_eq!(taken(&bucket, start + SECOND), 1);
        assert_eq!(taken(&bucket, start + SECOND * 3), 2);
    }

    #[test]
    fn rest_fills_it_to_the_burst_and_no_further() {
        let start = Instant::now();
        let bucket = bucket(3, start);
        assert_eq!(taken(&bucket, start + SECOND * 1000), 3);
    }

    #[test]
    fn a_burst_of_none_allows_nothing() {
        let start = Instant::now();
        assert_eq!(taken(&bucket(0, start), start + SECOND * 1000), 0);
    }
}
