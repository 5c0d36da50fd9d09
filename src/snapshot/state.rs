//! What is known of one zone and of one account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cloudflare::Reason;
use crate::domain::{AccountName, Mapping, Zone, ZoneMappings};
use crate::findings::{TieredCache, ZoneFindings};

/// The age above which a mapping counts as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleAfter {
    /// Mappings of this zone are never stale.
    Never,
    /// Mappings older than this are stale.
    Age(Duration),
}

/// A zone as of one complete poll. Immutable, including its counters.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneState {
    /// The zone as listed by Cloudflare.
    pub zone: Zone,
    /// The account that polls it.
    pub account: AccountName,
    /// The current poll interval.
    pub interval: Duration,
    /// The current staleness threshold.
    pub stale_after: StaleAfter,
    /// The last completed poll; `None` before the first.
    pub last_poll: Option<LastPoll>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// The end of the first failed poll since the last good one; `None` if the last poll succeeded,
    /// and before the first one.
    pub failing_since: Option<Timestamp>,
    /// The last good mappings and findings; `None` before the first good poll, and when the zone
    /// has been failing for longer than the retention.
    pub data: Option<ZoneData>,
    /// Tiered cache settings, as last read.
    pub tiered_cache: TieredCache,
    /// Changes between good polls; `None` before the first good poll.
    pub changes: Option<ChangeCounts>,
    /// Completed polls, good or bad.
    pub polls: u64,
    /// Failed polls by reason; only reasons that occurred.
    pub errors: BTreeMap<Reason, u64>,
    /// Rows of the API that are not valid mappings.
    pub rejected_rows: u64,
}

impl ZoneState {
    /// A zone that was not polled yet.
    pub fn new(
        zone: Zone,
        account: AccountName,
        interval: Duration,
        stale_after: StaleAfter,
    ) -> Self {
        Self {
            zone,
            account,
            interval,
            stale_after,
            last_poll: None,
            last_success: None,
            failing_since: None,
            data: None,
            tiered_cache: TieredCache::default(),
            changes: None,
            polls: 0,
            errors: BTreeMap::new(),
            rejected_rows: 0,
        }
    }

    /// The last good mappings; empty if there are none.
    pub fn mappings(&self) -> &[Mapping] {
        self.data
            .as_ref()
            .map_or(&[], |data| data.mappings.as_slice())
    }

    /// The findings for these mappings, if known.
    pub fn findings(&self) -> Option<&ZoneFindings> {
        self.data.as_ref().map(|data| &*data.findings)
    }
}

/// The last good mappings of a zone and their findings. If a poll found nothing new, the new state
/// shares the allocations of the old one, so that readers can compare them with `Arc::ptr_eq`.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneData {
    /// The mappings.
    pub mappings: Arc<ZoneMappings>,
    /// The findings for these mappings.
    pub findings: Arc<ZoneFindings>,
}

/// How the last poll of a zone ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPoll {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, in words for an operator; `None` if it succeeded.
    pub error: Option<String>,
}

/// Changes of mappings between successive good polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// Mappings that appeared.
    pub added: u64,
    /// Mappings that disappeared.
    pub removed: u64,
    /// Mappings whose vendor or region changed.
    pub changed: u64,
}

/// The state of listing an account's zones.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// The account.
    pub name: AccountName,
    /// Whether the last listing succeeded; `None` before the first one ended.
    pub up: Option<bool>,
    /// When a listing last succeeded.
    pub last_success: Option<Timestamp>,
    /// Why the last listing failed; `None` if it succeeded.
    pub error: Option<String>,
    /// The zones that the account lists.
    pub zones: ZoneCounts,
}

/// The zones of an account, by what happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ZoneCounts {
    /// Polled by this process.
    pub polled: usize,
    /// Left out by a filter.
    pub filtered: usize,
    /// Polled by another shard.
    pub other_shard: usize,
    /// Polled by an earlier account of the configuration.
    pub duplicate: usize,
}

/// Names, ids and globs of the configuration that match no zone, spelled as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnmatchedZones {
    /// `accounts[].zones.ids`
    pub ids: Vec<String>,
    /// `accounts[].zones.include`
    pub include: Vec<String>,
    /// `expect.zones`
    pub expect: Vec<String>,
    /// `zone_overrides`
    pub zone_overrides: Vec<String>,
}

impl UnmatchedZones {
    /// The lists with their configuration keys, for display.
    pub fn by_key(&self) -> [(&'static str, &[String]); 4] {
        [
            ("accounts.zones.ids", &self.ids),
            ("accounts.zones.include", &self.include),
            ("expect.zones", &self.expect),
            ("zone_overrides", &self.zone_overrides),
        ]
    }
}
