//! What is known of a host, in a form that survives a restart.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::host::{Address, Last, seconds};
use super::{Failure, Host, MAX_ADDRESSES, Now, Settings};
use crate::domain::{HostName, OriginIp};

/// A host as it is stored. Times are on the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHost {
    /// The name.
    pub host: HostName,
    /// The addresses that count.
    pub addresses: Vec<StoredAddress>,
    /// The CNAME targets, in order, as of the last good answer.
    pub chain: Vec<HostName>,
    /// Why the last lookup failed; none if it did not.
    pub failure: Option<Failure>,
    /// Negative answers (NXDOMAIN or empty) in a row.
    pub negatives: u8,
    /// When the first of these came.
    pub negative_since: Timestamp,
    /// When there were last more addresses than are remembered.
    pub overflowed: Option<Timestamp>,
    /// The limit that the number of addresses exceeds; none if it does not.
    #[serde(default)]
    pub rotating_above: Option<u32>,
    /// Answers in a row with new addresses.
    #[serde(default)]
    pub novelties: u8,
    /// Answers without new addresses until a full one counts as complete.
    #[serde(default)]
    pub doubts: u8,
}

/// An address of a stored host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAddress {
    /// The address.
    pub ip: OriginIp,
    /// When it was first in an answer.
    pub first_seen: Timestamp,
    /// When it was last in an answer.
    pub last_seen: Timestamp,
}

impl Host {
    /// The host in its stored form; `None` if there was never an answer.
    pub fn store(&self) -> Option<StoredHost> {
        self.is_known().then(|| StoredHost {
            host: self.name().clone(),
            addresses: self.stored_addresses(),
            chain: self.chain.to_vec(),
            failure: self.failure(),
            negatives: self.negatives,
            negative_since: self.wall(self.negative_since),
            overflowed: self.overflowed.map(|time| self.wall(time)),
            rotating_above: self.rotation.above,
            novelties: self.rotation.novelties,
            doubts: self.rotation.doubts,
        })
    }

    /// A stored host.
    pub fn restore(stored: &StoredHost, settings: &Settings, now: Now) -> Self {
        let mut host = Self::new(stored.host.clone());
        let addresses = stored.addresses.iter().take(MAX_ADDRESSES);
        let addresses = addresses.map(|address| Address {
            ip: address.ip,
            first_seen: seconds(address.first_seen),
            last_seen: now.monotonic_of(address.last_seen),
        });
        let mut addresses: Vec<_> = addresses.collect();
        addresses.sort_unstable_by_key(|address| address.ip);
        addresses.dedup_by_key(|address| address.ip);
        host.addresses = addresses.into();
        host.chain = stored.chain.clone().into();
        host.last = stored.failure.map_or(Last::Answered, Last::Failed);
        host.answered = true;
        host.negatives = stored.negatives;
        host.negative_since = now.monotonic_of(stored.negative_since);
        host.overflowed = stored.overflowed.map(|time| now.monotonic_of(time));
        host.rotation.above = stored.rotating_above;
        host.rotation.novelties = stored.novelties;
        host.rotation.doubts = stored.doubts;
        host.judge(settings);
        host.wall_offset = now.wall_offset();
        host
    }
}
