//! Waits that grow with each failure.

use std::time::Duration;

/// The wait after so many failures in a row: `first` after one, then doubling up to `longest`. Pure
/// arithmetic; callers add their own jitter.
pub fn doubling(first: Duration, failures: u32, longest: Duration) -> Duration {
    let factor = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let seconds = |failures| {
            doubling(Duration::from_secs(30), failures, Duration::from_mins(5)).as_secs()
        };
        assert_eq!([1, 2, 3, 4, 5].map(seconds), [30, 60, 120, 240, 300]);
        assert_eq!([0, 32, 33, u32::MAX].map(seconds), [30, 300, 300, 300]);
        let short = doubling(Duration::from_secs(30), 1, Duration::from_millis(100));
        assert_eq!(short.as_millis(), 100);
    }
}
