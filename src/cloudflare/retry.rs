//! Decides which failures to retry, and when. Pure: no clock and no randomness of its own.

use std::time::Duration;

use super::Reason;
use crate::backoff::doubling;

/// The limit of the first backoff; it doubles with each retry.
const FIRST: Duration = Duration::from_millis(500);
/// The limit of the longest backoff.
const LONGEST: Duration = Duration::from_secs(10);

/// Whether the same request is likely to succeed soon.
pub(super) fn is_worth_retrying(reason: Reason, status: Option<u16>) -> bool {
    match reason {
        // A connection may hold the next time; a redirect remains one.
        Reason::Http => !status.is_some_and(|status| (300..400).contains(&status)),
        Reason::RateLimited | Reason::InconsistentPages => false,
        _ => reason.is_transient(),
    }
}

/// The backoff before a retry (from 0): random from 0 to 0.5 s, doubling up to 10 s ("full jitter",
/// so that clients which failed together do not retry together). `random` is in [0, 1).
pub(super) fn backoff(retry: u32, random: f64) -> Duration {
    doubling(FIRST, retry.saturating_add(1), LONGEST).mul_f64(random)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        for reason in [
            Reason::Timeout,
            Reason::Connect,
            Reason::Tls,
            Reason::Http,
            Reason::ServerError,
            Reason::Malformed,
            Reason::Unsuccessful,
        ] {
            assert!(is_worth_retrying(reason, None), "{reason}");
        }
        for reason in [
            Reason::Unauthorized,
            Reason::Forbidden,
            Reason::NotFound,
            Reason::NoRoute,
            Reason::RateLimited,
            Reason::ClientError,
            Reason::InconsistentPages,
            Reason::TooLarge,
        ] {
            assert!(!is_worth_retrying(reason, None), "{reason}");
        }
        assert!(is_worth_retrying(Reason::Http, Some(200)));
        assert!(!is_worth_retrying(Reason::Http, Some(302)));
    }

    #[test]
    fn the_bound_doubles_to_ten_seconds() {
        let bounds: Vec<_> = (0..7).map(|n| backoff(n, 1.0).as_secs_f64()).collect();
        assert_eq!(bounds, [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
    }

    proptest! {
        #[test]
        fn a_backoff_is_never_longer_than_its_bound(retry: u32, random in 0.0..1.0) {
            let pause = backoff(retry, random);
            prop_assert!(pause <= backoff(retry, 1.0));
            prop_assert!(pause <= LONGEST);
            prop_assert_eq!(backoff(retry, 0.0), Duration::ZERO);
        }
    }
}
