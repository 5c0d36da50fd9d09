//! What is known of one zone and of one account.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cloudflare::Reason;
use crate::domain::{AccountName, Zone, ZoneMappings};
use crate::findings::{TieredCache, ZoneFindings};

/// The age from which a mapping counts as stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleAfter {
    /// Mappings of this zone are never stale.
    Never,
    /// Older than this is stale.
    Age(Duration),
}

/// One zone as of one complete poll. Immutable; its counters are part of it.
#[derive(Debug, Clone)]
pub struct ZoneState {
    /// What the zone list says of it.
    pub zone: Zone,
    /// The account that polls it.
    pub account: AccountName,
    /// The interval in force.
    pub interval: Duration,
    /// The staleness threshold in force.
    pub stale_after: StaleAfter,
    /// The last poll that ended; `None` before the first.
    pub last_poll: Option<LastPoll>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// The end of the first poll that failed since the last good one; `None` where the last poll
    /// succeeded, and before the first.
    pub failing_since: Option<Timestamp>,
    /// The last good mappings and findings; `None` before the first good poll, and when the zone
    /// has been failing for longer than the retention.
    pub data: Option<ZoneData>,
    /// Tiered cache settings, as last read.
    pub tiered_cache: TieredCache,
    /// Changes seen between good polls; `None` before the first good poll.
    pub changes: Option<ChangeCounts>,
    /// Polls ended, good or bad.
    pub polls: u64,
    /// Polls that failed, by reason; only reasons that were seen.
    pub errors: BTreeMap<Reason, u64>,
    /// Rows of the API that could not be read as a mapping.
    pub rejected_rows: u64,
}

/// The last good mappings of a zone and the judgement on them. Where a poll found nothing new, the
/// new state shares the allocations of the old one, so that readers can tell by `Arc::ptr_eq`.
#[derive(Debug, Clone)]
pub struct ZoneData {
    /// The mappings.
    pub mappings: Arc<ZoneMappings>,
    /// The judgement on them.
    pub findings: Arc<ZoneFindings>,
}

/// How the last poll of a zone ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPoll {
    /// When it ended.
    pub ended: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed, in words for an operator; `None` where it succeeded.
    pub error: Option<String>,
}

/// Changes of mappings between successive good polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeCounts {
    /// Mappings that appeared.
    pub added: u64,
    /// Mappings that went.
    pub removed: u64,
    /// Mappings whose vendor or region changed.
    pub changed: u64,
}

/// How listing an account's zones fares.
#[derive(Debug, Clone)]
pub struct AccountState {
    /// The account.
    pub name: AccountName,
    /// Whether the last listing succeeded; `None` before the first ended.
    pub up: Option<bool>,
    /// When a listing last succeeded.
    pub last_success: Option<Timestamp>,
    /// Why the last listing failed; `None` where it succeeded.
    pub error: Option<String>,
    /// The zones that the account lists.
    pub zones: ZoneCounts,
}

/// The zones of an account by what becomes of them.
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

/// Names, ids and globs of the configuration that no zone answers to, as it spells them.
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
    /// With the configuration's keys, for people.
    pub fn by_key(&self) -> [(&'static str, &[String]); 4] {
        [
            ("accounts.zones.ids", &self.ids),
            ("accounts.zones.include", &self.include),
            ("expect.zones", &self.expect),
            ("zone_overrides", &self.zone_overrides),
        ]
    }
}
