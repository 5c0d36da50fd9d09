//! A zone as the storage knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cloudflare::Reason;
use crate::domain::{AccountName, Zone, ZoneMappings};
use crate::findings::{TieredCache, ZoneFindings};
use crate::snapshot::{ChangeCounts, LastPoll, ZoneState};

/// What lasts of a zone's state. The interval and the threshold of staleness do not: they are the
/// configuration's.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredZone {
    /// What the zone list says of it.
    pub zone: Zone,
    /// The account that polled it.
    pub account: AccountName,
    /// When it was first stored.
    pub found: Timestamp,
    /// When it was last seen to be polled no more; `None` where it is polled.
    pub left: Option<Timestamp>,
    /// The last poll that ended.
    pub last_poll: Option<LastPoll>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// The end of the first poll that failed since the last good one.
    pub failing_since: Option<Timestamp>,
    /// The last good mappings, unless they were dropped.
    pub mappings: Option<Arc<ZoneMappings>>,
    /// The findings on them.
    pub findings: Option<Arc<ZoneFindings>>,
    /// Tiered cache settings, as last read.
    pub tiered_cache: TieredCache,
    /// Changes seen between good polls.
    pub changes: Option<ChangeCounts>,
    /// Polls ended, good or bad.
    pub polls: u64,
    /// Polls that failed, by reason.
    pub errors: BTreeMap<Reason, u64>,
    /// Rows of the API that could not be read as a mapping.
    pub rejected_rows: u64,
}

impl StoredZone {
    /// What lasts of `state`.
    pub(super) fn new(state: &ZoneState, found: Timestamp) -> Self {
        Self {
            zone: state.zone.clone(),
            account: state.account.clone(),
            found,
            left: None,
            last_poll: state.last_poll.clone(),
            last_success: state.last_success,
            failing_since: state.failing_since,
            mappings: state.data.as_ref().map(|data| Arc::clone(&data.mappings)),
            findings: state.data.as_ref().map(|data| Arc::clone(&data.findings)),
            tiered_cache: state.tiered_cache,
            changes: state.changes,
            polls: state.polls,
            errors: state.errors.clone(),
            rejected_rows: state.rejected_rows,
        }
    }

    /// Takes a later state. What is not served any more is still what the next good poll of another
    /// process is compared with.
    pub(super) fn update(&mut self, state: &ZoneState) {
        let old = std::mem::replace(self, Self::new(state, self.found));
        if self.mappings.is_none() {
            self.mappings = old.mappings;
            self.findings = old.findings;
        }
    }

    /// When the zone was last known to be there.
    pub(super) fn last_seen(&self) -> Timestamp {
        let polled = self.last_poll.as_ref().map(|poll| poll.ended);
        self.found.max(self.left.max(polled).unwrap_or(self.found))
    }
}
