//! Computes when a zone is due. Pure arithmetic on the monotonic clock.

pub(super) mod budget;
pub(super) mod estimate;
pub(super) mod queue;

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::doubling;

/// The fraction of an interval by which a poll may come early, so that exporters that started
/// together do not stay synchronised.
const JITTER: f64 = 0.05;
/// The number of steps in an interval; polls start at a step. With many zones, some share a step:
/// reading them in sequence costs half the CPU time of separate wake-ups. Few zones rarely share
/// one.
const STEPS: f64 = 128.0;
/// The random part of the jitter. With up to one step for the start and one for rounding, a poll is
/// never earlier than [`JITTER`] allows.
const RANDOM_JITTER: f64 = JITTER - 2.0 / STEPS;
/// The first backoff after a failed poll; it doubles with each further failure.
const POLL_BACKOFF: Duration = Duration::from_secs(30);
/// The same for a failed listing, without which there is nothing to serve.
const LISTING_BACKOFF: Duration = Duration::from_secs(5);

/// The fraction of the golden ratio. Its multiples modulo 1 are evenly spread for any number of
/// zones, so a new zone does not move the others.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// The position of a zone within the interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cadence {
    origin: Instant,
    /// In [0, 1).
    phase: f64,
}

impl Cadence {
    /// The position of the `nth` zone found since `origin`.
    pub(super) fn nth(origin: Instant, nth: u32) -> Self {
        Self {
            origin,
            phase: (f64::from(nth) * GOLDEN).fract(),
        }
    }

    /// The position within the interval, from 0 to 1.
    pub(super) fn phase(self) -> f64 {
        self.phase
    }

    /// The next due time after a poll at `now`; `random` in [0, 1) sets how early it is. Missed
    /// polls are skipped.
    pub(super) fn next(self, interval: Duration, now: Instant, random: f64) -> Instant {
        let jitter = interval.mul_f64(JITTER);
        let since = (now + jitter)
            .saturating_duration_since(self.origin)
            .as_secs_f64();
        let turn = (since / interval.as_secs_f64() - self.phase).floor() + 1.0;
        let turn = interval.mul_f64((turn.max(0.0) + self.phase).max(0.0));
        let turn = turn.saturating_sub(interval.mul_f64(RANDOM_JITTER * random));
        let step = interval.as_secs_f64() / STEPS;
        let steps = (turn.as_secs_f64() / step).floor();
        (self.origin + Duration::from_secs_f64(steps * step)).max(now)
    }
}

/// The backoff after this many consecutive failed polls (at least one): 30 s, 1 min, 2 min, … but
/// never longer than the interval. `random` in [0, 1) subtracts up to a tenth, so that zones which
/// failed together do not retry together.
pub(super) fn poll_backoff(failures: u32, interval: Duration, random: f64) -> Duration {
    backoff(POLL_BACKOFF, failures, interval, random)
}

/// Like [`poll_backoff`], for listings: from 5 s up to the discovery interval.
pub(super) fn listing_backoff(failures: u32, interval: Duration, random: f64) -> Duration {
    backoff(LISTING_BACKOFF, failures, interval, random)
}

fn backoff(first: Duration, failures: u32, longest: Duration, random: f64) -> Duration {
    doubling(first, failures, longest).mul_f64(1.0 - random / 10.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn backoff_doubles_up_to_the_interval() {
        let seconds = |failures| poll_backoff(failures, MINUTE * 5, 0.0).as_secs();
        assert_eq!(
            [1, 2, 3, 4, 5, 60].map(seconds),
            [30, 60, 120, 240, 300, 300]
        );
        let millis = poll_backoff(1, Duration::from_millis(100), 0.0).as_millis();
        assert_eq!(millis, 100);
        assert_eq!(listing_backoff(1, MINUTE, 0.0).as_secs(), 5);
    }

    #[test]
    fn zones_found_together_are_spread_evenly() {
        for zones in [2_u32, 3, 10, 100, 1000] {
            let place = |nth| Cadence::nth(Instant::now(), nth).phase;
            let mut places: Vec<f64> = (0..zones).map(place).collect();
            places.sort_by(f64::total_cmp);
            let even = 1.0 / f64::from(zones);
            for pair in places.windows(2) {
                let gap = pair[1] - pair[0];
                let spread = even / 3.0..even * 3.0;
                assert!(spread.contains(&gap), "{zones} zones: {pair:?}");
            }
        }
    }

    #[test]
    fn many_zones_begin_together_and_no_step_has_much_more_than_its_share() {
        let origin = Instant::now();
        let mut steps = BTreeMap::<_, usize>::new();
        for n in 0..1280 {
            let random = fastrand::f64();
            let due = Cadence::nth(origin, n).next(MINUTE, origin + MINUTE, random);
            *steps.entry(due).or_default() += 1;
        }
        assert!((100..=140).contains(&steps.len()), "{} steps", steps.len());
        assert!(steps.values().all(|&zones| zones <= 30), "{steps:?}");
    }

    proptest! {
        #[test]
        fn a_zone_is_polled_once_an_interval(
            nth in 0_u32..10_000,
            millis in 100_u64..1_000_000,
            start in 0_u64..10_000_000,
            random in 0.0_f64..1.0,
        ) {
            let interval = Duration::from_millis(millis);
            let origin = Instant::now();
            let cadence = Cadence::nth(origin, nth);
            let mut at = cadence.next(interval, origin + Duration::from_millis(start), random);
            for _ in 0..20 {
                let next = cadence.next(interval, at, random);
                let gap = next.duration_since(at).as_secs_f64() / interval.as_secs_f64();
                prop_assert!((0.9..=1.1).contains(&gap), "gap of {gap} intervals");
                at = next;
            }
        }

        #[test]
        fn a_turn_comes_at_its_place_or_up_to_the_jitter_before(
            nth in 0_u32..10_000,
            millis in 100_u64..1_000_000,
            random in 0.0_f64..1.0,
        ) {
            let interval = Duration::from_millis(millis);
            let origin = Instant::now();
            let cadence = Cadence::nth(origin, nth);
            let due = cadence.next(interval, origin + interval * 9, random);
            let intervals = due.duration_since(origin).as_secs_f64() / interval.as_secs_f64();
            let early = (cadence.phase - intervals + 0.5).rem_euclid(1.0) - 0.5;
            prop_assert!((-1e-6..=JITTER).contains(&early), "{early} of an interval early");
        }

        #[test]
        fn a_pause_doubles_with_each_failure_and_is_no_longer_than_the_interval(
            failures in 1_u32..,
            seconds in 1_u64..1_000_000,
            random in 0.0_f64..1.0,
        ) {
            let interval = Duration::from_secs(seconds);
            let pause = poll_backoff(failures, interval, random);
            let doublings = i32::try_from(failures - 1).unwrap_or(i32::MAX).min(16);
            let whole = (30.0 * 2_f64.powi(doublings)).min(interval.as_secs_f64());
            let share = pause.as_secs_f64() / whole;
            prop_assert!((0.9..=1.0 + f64::EPSILON).contains(&share), "{share} of {whole} s");
        }

        #[test]
        fn the_next_turn_is_never_in_the_past(
            nth in 0_u32..10_000,
            millis in 100_u64..1_000_000,
            start in 0_u64..10_000_000,
            random in 0.0_f64..1.0,
        ) {
            let interval = Duration::from_millis(millis);
            let now = Instant::now() + Duration::from_millis(start);
            let due = Cadence::nth(Instant::now(), nth).next(interval, now, random);
            prop_assert!(due >= now);
            prop_assert!(due <= now + interval.mul_f64(1.1));
        }
    }
}
