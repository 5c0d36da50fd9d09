//! Which zones are read, and how often.

use std::time::Duration;

use crate::cloudflare::{self, Credentials};
use crate::domain::{AccountName, ZoneGlob, ZoneId};
use crate::snapshot::StaleAfter;

/// How the poller works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Each zone is read once in this time; at least 100 ms.
    pub interval: Duration,
    /// The zones of each account are listed once in this time; at least 100 ms.
    pub discovery_interval: Duration,
    /// How long the last good data of a failing zone is served, from its first failure on.
    pub retain: Duration,
    /// The staleness threshold of zones without one of their own.
    pub stale_after: StaleAfter,
    /// What is different for single zones.
    pub overrides: Vec<ZoneOverride>,
    /// The part of the zones that this process polls.
    pub shard: Shard,
}

/// One account of the configuration.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Its name.
    pub name: AccountName,
    /// What it authenticates with.
    pub credentials: Credentials,
    /// Which of its zones are wanted.
    pub zones: ZoneSelection,
}

impl AccountSettings {
    /// What its client needs to know.
    pub fn client(&self) -> cloudflare::AccountSettings {
        cloudflare::AccountSettings {
            name: self.name.clone(),
            credentials: self.credentials.clone(),
        }
    }
}

/// Which zones of an account are wanted.
#[derive(Debug, Clone)]
pub enum ZoneSelection {
    /// Exactly these.
    Ids(Vec<ZoneId>),
    /// Out of all that the account lists, those that a glob of `include` matches (all, where it is
    /// empty) and none of `exclude`.
    Filter {
        /// Globs over names.
        include: Vec<ZoneGlob>,
        /// As `include`.
        exclude: Vec<ZoneGlob>,
    },
}

/// What is different for one zone.
#[derive(Debug, Clone)]
pub struct ZoneOverride {
    /// The zone's name, in any case, or its identifier.
    pub zone: String,
    /// Its own interval.
    pub interval: Option<Duration>,
    /// Its own staleness threshold.
    pub stale_after: Option<StaleAfter>,
}

/// One of several processes that share the zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// This process's number, from 0; less than `total`.
    pub ordinal: u32,
    /// How many processes there are; at least 1.
    pub total: u32,
}

impl Shard {
    /// The only process.
    pub const SINGLE: Self = Self {
        ordinal: 0,
        total: 1,
    };
}
