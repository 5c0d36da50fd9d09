//! One host: its addresses, and how an answer or a failure changes it. Time is an argument.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::rotation::Rotation;
use super::{Settings, StoredAddress};
use crate::domain::{HostName, HostState, OriginIp};

/// The most addresses of one host that are remembered. If there are more, the lowest are kept, so
/// that the order of addresses in answers does not matter.
pub const MAX_ADDRESSES: usize = 64;
/// The shortest time between two lookups of a host.
pub const MIN_REFRESH: Duration = Duration::from_secs(30);
/// The longest time between two lookups of a host.
pub const MAX_REFRESH: Duration = Duration::from_mins(5);
/// Negative answers (NXDOMAIN or empty) in a row after which a host's addresses no longer count.
const CONFIRMING_NEGATIVES: u8 = 2;

/// A point in time, on a monotonic clock and on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a monotonic clock, since any fixed point.
    pub monotonic: i64,
    /// The wall clock.
    pub wall: Timestamp,
}

/// The result of looking up a host's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// At least one address.
    Addresses(Addresses),
    /// The name does not exist, or has no addresses.
    None {
        /// How long the answer may be cached, if the server says so.
        ttl: Option<Duration>,
    },
    /// No usable answer.
    Failed(Failure),
}

/// Why there is no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No answer arrived in time.
    Timeout,
    /// The server could not resolve the name: SERVFAIL.
    ServerFailure,
    /// The server refused the query: REFUSED.
    Refused,
    /// Anything else, such as no route to the server or an invalid answer.
    Other,
}

impl Failure {
    /// The word on pages and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ServerFailure => "servfail",
            Self::Refused => "refused",
            Self::Other => "error",
        }
    }
}

/// A positive answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    /// The addresses.
    pub ips: Vec<OriginIp>,
    /// The CNAME targets, in order.
    pub chain: Vec<HostName>,
    /// How long the answer may be cached.
    pub ttl: Duration,
    /// The kind of address whose query failed, and why.
    pub unanswered: Option<(IpKind, Failure)>,
}

/// A kind of address. Each kind has its own query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpKind {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl IpKind {
    pub(super) fn of(ip: OriginIp) -> Self {
        match ip.addr() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What is known of one host. It is immutable: [`Self::after`] returns a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: HostName,
    /// The addresses that count, ascending.
    pub(super) addresses: Box<[Address]>,
    pub(super) chain: Box<[HostName]>,
    pub(super) last: Last,
    /// Whether there was ever an answer, negative or not.
    pub(super) answered: bool,
    /// Negative answers (NXDOMAIN or empty) in a row. Failures in between are ignored.
    pub(super) negatives: u8,
    /// When the first of these came.
    pub(super) negative_since: i64,
    /// When there were last more addresses than are remembered.
    pub(super) overflowed: Option<i64>,
    /// Failures in a row.
    failures: u8,
    pub(super) rotation: Rotation,
    /// The wall clock minus the monotonic clock, in milliseconds, at the end of the last lookup.
    pub(super) wall_offset: i64,
}

/// An address that counts, because it was in an answer within the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: OriginIp,
    /// Unix time, in seconds.
    pub(super) first_seen: u32,
    /// On the monotonic clock, in milliseconds.
    pub(super) last_seen: i64,
}

/// How the last lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    NotAsked,
    Answered,
    Failed(Failure),
}

impl Host {
    /// A host that was not looked up yet.
    pub fn new(name: HostName) -> Self {
        Self {
            name,
            addresses: Box::default(),
            chain: Box::default(),
            last: Last::NotAsked,
            answered: false,
            negatives: 0,
            negative_since: 0,
            overflowed: None,
            failures: 0,
            rotation: Rotation::default(),
            wall_offset: 0,
        }
    }

    /// The name that is looked up.
    pub fn name(&self) -> &HostName {
        &self.name
    }

    /// The state; `None` before the first lookup has ended.
    pub fn state(&self) -> Option<HostState> {
        if self.rotation.is_rotating() {
            Some(HostState::Rotating)
        } else if self.failure().is_some() {
            Some(HostState::Failing)
        } else if !self.addresses.is_empty() {
            Some(HostState::Resolved)
        } else if self.answered {
            Some(HostState::NoAddress)
        } else {
            None
        }
    }

    /// Why the last lookup failed, even if the host is rotating; `None` if it did not fail.
    pub fn failure(&self) -> Option<Failure> {
        match self.last {
            Last::Failed(failure) => Some(failure),
            Last::NotAsked | Last::Answered => None,
        }
    }

    /// Whether there was ever an answer. Without one, nothing is known of the host's addresses.
    pub fn is_known(&self) -> bool {
        self.answered
    }

    /// Whether answers keep bringing new addresses, so that the host may turn out to be rotating.
    pub fn is_settling(&self) -> bool {
        self.rotation.is_settling
    }

    /// Whether the host has more addresses than are remembered.
    pub fn is_truncated(&self) -> bool {
        self.overflowed.is_some()
    }

    /// The addresses that count, ascending.
    pub fn ips(&self) -> impl ExactSizeIterator<Item = OriginIp> {
        self.addresses.iter().map(|address| address.ip)
    }

    /// The addresses that count, with the times of their first and last answers.
    pub(super) fn stored_addresses(&self) -> Vec<StoredAddress> {
        let addresses = self.addresses.iter().map(|address| StoredAddress {
            ip: address.ip,
            first_seen: Timestamp::from_second(address.first_seen.into())
                .unwrap_or(Timestamp::UNIX_EPOCH),
            last_seen: self.wall(address.last_seen),
        });
        addresses.collect()
    }

    /// The name itself and its CNAME targets, in order, as of the last good answer.
    pub fn chain(&self) -> impl DoubleEndedIterator<Item = &HostName> {
        std::iter::once(&self.name).chain(&self.chain)
    }

    /// Whether two states of a host differ in anything that findings depend on.
    pub fn differs(&self, other: &Self) -> bool {
        self.state() != other.state()
            || self.failure() != other.failure()
            || self.is_known() != other.is_known()
            || self.is_truncated() != other.is_truncated()
            || self.is_settling() != other.is_settling()
            || self.chain != other.chain
            || !self.ips().eq(other.ips())
    }

    /// The host after a lookup, and the time until the next one.
    pub fn after(&self, outcome: &Outcome, settings: &Settings, now: Now) -> (Self, Duration) {
        let mut host = self.clone();
        host.wall_offset = now.wall_offset();
        let pause = match outcome {
            Outcome::Addresses(answer) => {
                host.answer(answer, settings, now);
                answer.ttl
            }
            Outcome::None { ttl } => {
                host.deny(now.monotonic);
                ttl.unwrap_or_default()
            }
            Outcome::Failed(failure) => {
                let pause = MIN_REFRESH.saturating_mul(1 << host.failures.min(4));
                host.rotation.interrupt();
                host.failures = host.failures.saturating_add(1);
                host.last = Last::Failed(*failure);
                host.expire(settings, now.monotonic);
                pause
            }
        };
        host.judge(settings);
        (host, pause.clamp(MIN_REFRESH, MAX_REFRESH))
    }

    /// The host under other settings. Addresses outside a shorter window stay until the next
    /// lookup.
    #[must_use]
    pub fn under(&self, settings: &Settings) -> Self {
        let mut host = self.clone();
        host.judge(settings);
        host
    }

    pub(super) fn judge(&mut self, settings: &Settings) {
        let count = self.addresses.len();
        self.rotation
            .judge(count, self.overflowed.is_some(), settings.rotating_above);
    }

    fn answer(&mut self, answer: &Addresses, settings: &Settings, time: Now) {
        let now = time.monotonic;
        self.rotation.note(&self.addresses, &answer.ips);
        let mut addresses = std::mem::take(&mut self.addresses).into_vec();
        for &ip in &answer.ips {
            match addresses.binary_search_by_key(&ip, |address| address.ip) {
                Ok(at) => {
                    if let Some(address) = addresses.get_mut(at) {
                        address.last_seen = now;
                    }
                }
                Err(at) => addresses.insert(
                    at,
                    Address {
                        ip,
                        first_seen: seconds(time.wall),
                        last_seen: now,
                    },
                ),
            }
        }
        self.addresses = addresses.into();
        self.expire(settings, now);
        if self.addresses.len() > MAX_ADDRESSES {
            let mut addresses = std::mem::take(&mut self.addresses).into_vec();
            addresses.truncate(MAX_ADDRESSES);
            self.addresses = addresses.into();
            self.overflowed = Some(now);
        }
        // An address of the kind whose query failed may be out of date.
        let unconfirmed = |kind| {
            let mut addresses = self.addresses.iter();
            addresses.any(|address| IpKind::of(address.ip) == kind && address.last_seen != now)
        };
        self.last = match answer.unanswered {
            Some((kind, failure)) if unconfirmed(kind) => Last::Failed(failure),
            _ => Last::Answered,
        };
        self.chain = answer.chain.clone().into();
        self.answered = true;
        self.negatives = 0;
        self.failures = 0;
    }

    /// Drops all addresses after two negative answers at least [`MIN_REFRESH`] apart. One changes
    /// nothing.
    fn deny(&mut self, now: i64) {
        if self.negatives == 0 {
            self.negatives = 1;
            self.negative_since = now;
        } else if now.saturating_sub(self.negative_since) >= milliseconds(MIN_REFRESH) {
            self.negatives = CONFIRMING_NEGATIVES;
        }
        if self.negatives == CONFIRMING_NEGATIVES {
            self.addresses = Box::default();
            self.chain = Box::default();
            self.overflowed = None;
        }
        self.rotation.interrupt();
        self.last = Last::Answered;
        self.answered = true;
        self.failures = 0;
    }

    /// Drops the addresses whose last good answer is as old as the window or older.
    fn expire(&mut self, settings: &Settings, now: i64) {
        let window = milliseconds(settings.window);
        let counts = |time: i64| now.saturating_sub(time) < window;
        if self
            .addresses
            .iter()
            .any(|address| !counts(address.last_seen))
        {
            let addresses = self.addresses.iter().copied();
            self.addresses = addresses
                .filter(|address| counts(address.last_seen))
                .collect();
        }
        self.overflowed = self.overflowed.filter(|time| counts(*time));
    }

    pub(super) fn wall(&self, monotonic: i64) -> Timestamp {
        let time = monotonic.saturating_add(self.wall_offset);
        Timestamp::from_millisecond(time).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Now {
    pub(super) fn wall_offset(self) -> i64 {
        self.wall.as_millisecond().saturating_sub(self.monotonic)
    }

    /// Converts a wall clock time to the monotonic clock, never into the future.
    pub(super) fn monotonic_of(self, wall: Timestamp) -> i64 {
        let age = self.wall.duration_since(wall).max(SignedDuration::ZERO);
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.monotonic.saturating_sub(age)
    }
}

/// Unix time in whole seconds, which is precise enough to show when an address was first seen.
pub(super) fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_second()).unwrap_or(0)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
