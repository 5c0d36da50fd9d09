//! The settings of the poller.

use std::time::Duration;

use crate::cloudflare::Credentials;
use crate::domain::{AccountName, ZoneGlob, ZoneId};
use crate::snapshot::StaleAfter;

/// The settings of the poller.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The interval at which each zone is polled; at least 100 ms.
    pub interval: Duration,
    /// The interval at which each account's zones are listed; at least 100 ms.
    pub discovery_interval: Duration,
    /// How long a failing zone's last good data is served, counted from its first failure.
    pub retain: Duration,
    /// The staleness threshold of zones without their own.
    pub stale_after: StaleAfter,
    /// Overrides for single zones.
    pub overrides: Vec<ZoneOverride>,
    /// The shard of the zones that this process polls.
    pub shard: Shard,
}

/// An account of the configuration.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Its name.
    pub name: AccountName,
    /// Its credentials.
    pub credentials: Credentials,
    /// The selection of its zones.
    pub zones: ZoneSelection,
}

/// The selection of an account's zones.
#[derive(Debug, Clone)]
pub enum ZoneSelection {
    /// Exactly these zones.
    Ids(Vec<ZoneId>),
    /// The listed zones that match a glob of `include` (all, if it is empty) and none of `exclude`.
    Filter {
        /// Globs over names.
        include: Vec<ZoneGlob>,
        /// Globs over names.
        exclude: Vec<ZoneGlob>,
    },
}

/// The overrides of one zone.
#[derive(Debug, Clone)]
pub struct ZoneOverride {
    /// The zone's name, in any case, or its identifier.
    pub zone: String,
    /// Its interval, if overridden.
    pub interval: Option<Duration>,
    /// Its staleness threshold, if overridden.
    pub stale_after: Option<StaleAfter>,
}

/// One of several processes that share the zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The number of this process, from 0; less than `total`.
    pub ordinal: u32,
    /// The number of processes; at least 1.
    pub total: u32,
}

impl Shard {
    /// The only process.
    pub const SINGLE: Self = Self {
        ordinal: 0,
        total: 1,
    };
}
