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
    pub host: String,
    /// The addresses that count.
    pub addresses: Vec<StoredAddress>,
    /// The CNAME targets, in order, as of the last good answer.
    pub chain: Vec<String>,
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
    pub ip: String,
    /// When it was first in an answer.
    pub first_seen: Timestamp,
    /// When it was last in an answer.
    pub last_seen: Timestamp,
}

impl Host {
    /// The host in its stored form; `None` if there was never an answer.
    pub fn store(&self) -> Option<StoredHost> {
        self.is_known().then(|| StoredHost {
            host: self.name().to_string(),
            addresses: self.stored_addresses(),
            chain: self.chain.iter().map(HostName::to_string).collect(),
            failure: self.failure(),
            negatives: self.negatives,
            negative_since: self.wall(self.negative_since),
            overflowed: self.overflowed.map(|time| self.wall(time)),
            rotating_above: self.rotation.above,
            novelties: self.rotation.novelties,
            doubts: self.rotation.doubts,
        })
    }

    /// Reads a stored host. `None` if its name is invalid. Other invalid parts are left out.
    pub fn restore(stored: &StoredHost, settings: &Settings, now: Now) -> Option<Self> {
        let mut host = Self::new(HostName::parse(&stored.host)?);
        let addresses = stored.addresses.iter().take(MAX_ADDRESSES);
        let mut addresses: Vec<_> = addresses
            .filter_map(|address| {
                Some(Address {
                    ip: OriginIp::parse(&address.ip).ok()?,
                    first_seen: seconds(address.first_seen),
                    last_seen: now.monotonic_of(address.last_seen),
                })
            })
            .collect();
        addresses.sort_unstable_by_key(|address| address.ip);
        addresses.dedup_by_key(|address| address.ip);
        host.addresses = addresses.into();
        host.chain = stored
            .chain
            .iter()
            .filter_map(|name| HostName::parse(name))
            .collect();
        host.last = stored.failure.map_or(Last::Answered, Last::Failed);
        host.answered = true;
        host.negatives = stored.negatives;
        host.negative_since = now.monotonic_of(stored.negative_since);
        host.overflowed = stored.overflowed.map(|time| now.monotonic_of(time));
        host.rotation.above = stored.rotating_above;
        host.rotation.novelties = stored.novelties;
        host.rotation.doubts = stored.doubts;
        host.restored(settings, now);
        Some(host)
    }
}
