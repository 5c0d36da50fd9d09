//! A stored zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cloudflare::Reason;
use crate::domain::{AccountName, Zone, ZoneMappings};
use crate::findings::{TieredCache, ZoneFindings};
use crate::snapshot::{ChangeCounts, LastPoll, ZoneState};

/// The part of a zone's state that survives a restart. The interval and the staleness threshold are
/// not part of it, because they come from the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredZone {
    /// The zone as listed by Cloudflare.
    pub zone: Zone,
    /// The account that polled it.
    pub account: AccountName,
    /// When it was first stored.
    pub found: Timestamp,
    /// When it was last found to be no longer polled; `None` while it is polled.
    pub left: Option<Timestamp>,
    /// The last completed poll.
    pub last_poll: Option<LastPoll>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// The end of the first failed poll since the last good one.
    pub failing_since: Option<Timestamp>,
    /// The last good mappings, unless they were dropped.
    pub mappings: Option<Arc<ZoneMappings>>,
    /// The findings for these mappings.
    pub findings: Option<Arc<ZoneFindings>>,
    /// Tiered cache settings, as last read.
    pub tiered_cache: TieredCache,
    /// Changes between good polls.
    pub changes: Option<ChangeCounts>,
    /// Completed polls, good or bad.
    pub polls: u64,
    /// Failed polls, by reason.
    pub errors: BTreeMap<Reason, u64>,
    /// Rows of the API that are not valid mappings.
    pub rejected_rows: u64,
}

impl StoredZone {
    /// Takes the stored part of `state`.
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

    /// Takes a later state. Mappings and findings that are no longer served stay, because another
    /// process compares its next good poll with them.
    pub(super) fn update(&mut self, state: &ZoneState) {
        let old = std::mem::replace(self, Self::new(state, self.found));
        if self.mappings.is_none() {
            self.mappings = old.mappings;
            self.findings = old.findings;
        }
    }

    /// When the zone was last known to exist.
    pub(super) fn last_seen(&self) -> Timestamp {
        let polled = self.last_poll.as_ref().map(|poll| poll.ended);
        self.found.max(self.left.max(polled).unwrap_or(self.found))
    }
}
