//! Authentication, authorization and rate limiting.

use std::collections::HashMap;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap};
use tokio::time::Instant;

use super::answer::Failure;
use super::route::{Operation, Route};
use super::world::{Credential, CredentialStatus, RateLimit, Secret, SimulatedZone, World};

/// Finds the credential in the headers, even if it is not active: [`authorize`] decides what it may
/// do.
pub(super) fn authenticate<'a>(
    world: &'a World,
    headers: &HeaderMap,
) -> Result<&'a Credential, Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let find = |matches: &dyn Fn(&Secret) -> bool| {
        world
            .credentials
            .iter()
            .find(|known| matches(&known.secret))
    };
    if let Some(header) = text(AUTHORIZATION.as_str()) {
        let Some(sent) = header.strip_prefix("Bearer ") else {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                6003,
                "Invalid request headers",
            ));
        };
        find(&|secret| match secret {
            Secret::UserToken(token) | Secret::AccountToken { token, .. } => token == sent,
            Secret::Key { .. } => false,
        })
        .ok_or_else(unauthenticated)
    } else if let (Some(sent_email), Some(sent_key)) = (text("x-auth-email"), text("x-auth-key")) {
        find(&|secret| match secret {
            Secret::Key { email, key } => email == sent_email && key == sent_key,
            Secret::UserToken(_) | Secret::AccountToken { .. } => false,
        })
        .ok_or_else(|| {
            Failure::new(
                StatusCode::FORBIDDEN,
                9103,
                "Unknown X-Auth-Key or X-Auth-Email",
            )
        })
    } else {
        Err(Failure::new(
            StatusCode::BAD_REQUEST,
            9106,
            "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
        ))
    }
}

pub(super) fn unauthenticated() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, 10000, "Authentication error")
}

/// Checks whether a credential may make a call.
pub(super) fn authorize(credential: &Credential, route: &Route<'_>) -> Result<(), Failure> {
    let Some(needed) = route.operation.permission() else {
        return match route.operation {
            Operation::CloudflareIps => Ok(()),
            _ => verifiable(&credential.secret, route),
        };
    };
    if credential.status != CredentialStatus::Active {
        return Err(unauthenticated());
    }
    let sees_account = route.account.is_empty() || credential.sees_account(&route.account);
    if credential.permissions.contains(&needed) && sees_account {
        Ok(())
    } else {
        Err(forbidden())
    }
}

/// Checks whether a credential may access a zone at all.
pub(super) fn authorize_zone(credential: &Credential, zone: &SimulatedZone) -> Result<(), Failure> {
    if credential.sees(zone) {
        Ok(())
    } else {
        Err(forbidden())
    }
}

/// Only the status distinguishes a missing permission from a bad credential, as at Cloudflare.
fn forbidden() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, 10000, "Authentication error")
}

/// Tokens of users and of accounts have different verification calls; keys have none.
fn verifiable(secret: &Secret, route: &Route<'_>) -> Result<(), Failure> {
    let fits = match secret {
        Secret::UserToken(_) => route.operation == Operation::VerifyUserToken,
        Secret::AccountToken { account, .. } => route.account == *account,
        Secret::Key { .. } => false,
    };
    if fits {
        Ok(())
    } else {
        Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            1000,
            "Invalid API Token",
        ))
    }
}

/// The requests of each credential.
#[derive(Default)]
pub(super) struct Meter {
    used: HashMap<String, Usage>,
}

struct Usage {
    window_ends: Instant,
    requests: u32,
    blocked_until: Option<Instant>,
}

/// The state of the rate limit after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// The requests left in the window.
    pub(super) remaining: u32,
    /// The time until the window, or the block, ends.
    pub(super) reset: Duration,
    /// Whether the request is rejected.
    pub(super) blocked: bool,
}

impl Allowance {
    /// The allowance of a request that is not charged to a credential.
    pub(super) fn untouched(limit: RateLimit) -> Self {
        Self {
            remaining: limit.requests,
            reset: limit.window,
            blocked: false,
        }
    }
}

impl Meter {
    /// Counts a request of a credential.
    pub(super) fn count(&mut self, credential: &str, limit: RateLimit, now: Instant) -> Allowance {
        let fresh = || Usage {
            window_ends: now + limit.window,
            requests: 0,
            blocked_until: None,
        };
        let usage = self.used.entry(credential.to_owned()).or_insert_with(fresh);
        if let Some(end) = usage.blocked_until {
            if now < end {
                return Allowance {
                    remaining: 0,
                    reset: end - now,
                    blocked: true,
                };
            }
            *usage = fresh();
        }
        if now >= usage.window_ends {
            *usage = fresh();
        }
        if usage.requests >= limit.requests {
            usage.blocked_until = Some(now + limit.block);
            return Allowance {
                remaining: 0,
                reset: limit.block,
                blocked: true,
            };
        }
        usage.requests += 1;
        Allowance {
            remaining: limit.requests - usage.requests,
            reset: usage.window_ends - now,
            blocked: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_too_many_blocks_for_the_whole_block() {
        let limit = RateLimit {
            requests: 2,
            window: Duration::from_secs(10),
            block: Duration::from_secs(30),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::default();
        assert_eq!(meter.count("a", limit, at(0)).remaining, 1);
        assert_eq!(meter.count("a", limit, at(1)).remaining, 0);
        assert!(meter.count("a", limit, at(2)).blocked);
        let refused = meter.count("a", limit, at(12));
        assert!(refused.blocked, "the window's end does not end the block");
        assert_eq!(refused.reset, Duration::from_secs(20));
        assert!(!meter.count("b", limit, at(12)).blocked);
        assert!(!meter.count("a", limit, at(32)).blocked);
    }

    #[test]
    fn a_new_window_begins_after_the_last() {
        let limit = RateLimit {
            requests: 1,
            window: Duration::from_secs(10),
            block: Duration::from_secs(30),
        };
        let start = Instant::now();
        let mut meter = Meter::default();
        assert!(!meter.count("a", limit, start).blocked);
        assert!(!meter.count("a", limit, start + limit.window).blocked);
    }
}
