//! The rate limit headers of a response. Lenient: invalid headers count as absent.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The pause if a response names none: Cloudflare blocks for five minutes (API reference, "Rate
/// limits").
const DEFAULT_PAUSE: Duration = Duration::from_mins(5);
/// The longest pause that a header can cause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// The most policies in a header; Cloudflare's has fewer.
const MAX_ITEMS: usize = 16;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How long to pause after a 429: `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3).
/// A date is compared with the response's own `Date`, so that the clocks need not agree. Five
/// minutes if it is missing or in the past; at most 15 minutes.
pub(super) fn pause_after_429(headers: &HeaderMap, now: Timestamp) -> Duration {
    text(headers, &RETRY_AFTER)
        .and_then(|value| seconds(value).or_else(|| until_date(value, headers, now)))
        .unwrap_or(DEFAULT_PAUSE)
        .min(LONGEST_PAUSE)
}

fn until_date(value: &str, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let until = httpdate::parse_http_date(value).ok()?;
    let now = text(headers, &DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or_else(|| SystemTime::from(now));
    until.duration_since(now).ok()
}

/// The account's quota according to a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    /// Requests left.
    pub(super) remaining: u64,
    /// Time until the quota is reset.
    pub(super) reset: Duration,
    /// Requests per window, if the policy states them.
    pub(super) limit: Option<u64>,
    /// The length of the window, if the policy states it.
    pub(super) window: Option<Duration>,
}

impl Quota {
    /// Whether less than a twentieth is left. `fallback` is the quota if the response states none.
    pub(super) fn is_nearly_spent(&self, fallback: u32) -> bool {
        let limit = self.limit.unwrap_or(fallback.into());
        self.remaining.saturating_mul(20) < limit
    }
}

/// Parses `Ratelimit: "default";r=50;t=30` and `Ratelimit-Policy: "default";q=100;w=60`
/// (draft-ietf-httpapi-ratelimit-headers). Among several limits, uses the one with the fewest
/// requests left, and the quota of the policy with the same name, or else of the first policy.
pub(super) fn quota(headers: &HeaderMap) -> Option<Quota> {
    let policies = text(headers, &RATELIMIT_POLICY).unwrap_or("");
    text(headers, &RATELIMIT)?
        .split(',')
        .take(MAX_ITEMS)
        .filter_map(|limit| {
            let remaining = parameter(limit, "r")?;
            let reset = parameter(limit, "t").unwrap_or(0);
            let policies = || policies.split(',').take(MAX_ITEMS);
            let same_name = policies().find(|policy| name(policy) == name(limit));
            let policy = same_name.or_else(|| policies().next());
            Some(Quota {
                remaining,
                reset: Duration::from_secs(reset).min(LONGEST_PAUSE),
                limit: policy.and_then(|policy| parameter(policy, "q")),
                window: policy
                    .and_then(|policy| parameter(policy, "w"))
                    .map(Duration::from_secs),
            })
        })
        .min_by_key(|quota| quota.remaining)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn seconds(value: &str) -> Option<Duration> {
    let is_plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = value.parse::<f64>().ok().filter(|_| is_plain)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE))
}

fn name(item: &str) -> &str {
    item.split(';').next().unwrap_or("").trim()
}

fn parameter(item: &str, key: &str) -> Option<u64> {
    item.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim() == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn pause(pairs: &[(&'static str, &str)]) -> u64 {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        pause_after_429(&headers(pairs), now).as_secs()
    }

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        assert_eq!(pause(&[("retry-after", "7")]), 7);
        assert_eq!(pause(&[("retry-after", " 0 ")]), 0);
        let date = ("retry-after", "Sun, 01 Mar 2026 12:01:30 GMT");
        assert_eq!(pause(&[date]), 90);
        // The server's clock is an hour ahead.
        assert_eq!(
            pause(&[
                ("retry-after", "Sun, 01 Mar 2026 13:01:30 GMT"),
                ("date", "Sun, 01 Mar 2026 13:00:00 GMT"),
            ]),
            90
        );
    }

    #[test]
    fn without_a_usable_retry_after_the_pause_is_five_minutes_and_never_over_fifteen() {
        assert_eq!(pause(&[]), 300);
        for unusable in [
            "soon",
            "-5",
            "",
            "inf",
            "1e3",
            "Sun, 01 Mar 2026 11:00:00 GMT",
        ] {
            assert_eq!(pause(&[("retry-after", unusable)]), 300, "{unusable}");
        }
        for long in [
            "901",
            "99999999999999999999999",
            "Mon, 02 Mar 2026 12:00:00 GMT",
        ] {
            assert_eq!(pause(&[("retry-after", long)]), 900, "{long}");
        }
    }

    #[test]
    fn the_quota_as_documented() {
        let read = quota(&headers(&[
            ("ratelimit", r#""default";r=50;t=30"#),
            ("ratelimit-policy", r#""burst";q=100;w=60"#),
        ]))
        .unwrap();
        assert_eq!(
            read,
            Quota {
                remaining: 50,
                reset: Duration::from_secs(30),
                limit: Some(100),
                window: Some(Duration::from_mins(1)),
            }
        );
        assert!(!read.is_nearly_spent(1200));
    }

    #[test]
    fn a_quota_is_nearly_spent_below_a_twentieth() {
        let left = |remaining, limit| Quota {
            remaining,
            reset: Duration::ZERO,
            limit,
            window: None,
        };
        assert!(!left(5, Some(100)).is_nearly_spent(1200));
        assert!(left(4, Some(100)).is_nearly_spent(1200));
        assert!(!left(60, None).is_nearly_spent(1200));
        assert!(left(59, None).is_nearly_spent(1200));
    }

    #[test]
    fn of_several_limits_the_scarcest_counts_with_its_own_policy() {
        let read = quota(&headers(&[
            ("ratelimit", r#""daily";r=900;t=5000, "burst" ; t=9; r=3"#),
            (
                "ratelimit-policy",
                r#""daily";q=1000;w=86400,"burst";q=40;w=60"#,
            ),
        ]))
        .unwrap();
        assert_eq!((read.remaining, read.limit), (3, Some(40)));
        assert_eq!(read.reset, Duration::from_secs(9));
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for bad in [
            "",
            "x",
            r#""default""#,
            r#""default";r=;t=3"#,
            "default;r=-1",
        ] {
            assert_eq!(quota(&headers(&[("ratelimit", bad)])), None, "{bad}");
        }
        let long = quota(&headers(&[("ratelimit", "x;r=1;t=99999999")])).unwrap();
        assert_eq!((long.reset, long.limit), (LONGEST_PAUSE, None));
    }

    proptest! {
        #[test]
        fn no_header_stops_an_account_for_long_or_ends_the_process(value in "[ -~]{0,60}") {
            let headers = headers(&[
                ("retry-after", &value),
                ("ratelimit", &value),
                ("ratelimit-policy", &value),
            ]);
            prop_assert!(pause_after_429(&headers, Timestamp::UNIX_EPOCH) <= LONGEST_PAUSE);
            if let Some(quota) = quota(&headers) {
                prop_assert!(quota.reset <= LONGEST_PAUSE);
            }
        }
    }
}
