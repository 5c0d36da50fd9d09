//! A polled zone: its schedule, and the log messages about its polls.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::discovery::ZoneConfig;
use super::enrichment::state::EnrichmentState;
use super::schedule::{Cadence, poll_backoff};
use crate::cloudflare::{ApiError, Reason, RejectedRows};
use crate::snapshot::{ZoneData, ZoneSlot, ZoneState};

/// A zone whose poll hit the rate limit is due again at once, i.e. after the pause. This limits the
/// request rate if the API returns no usable pause.
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct PolledZone {
    pub(super) slot: Arc<ZoneSlot>,
    pub(super) cadence: Cadence,
    /// Its entry in the account's queue; `None` while it is being polled.
    pub(super) due: Option<Instant>,
    /// When it is polled because of a write to it.
    pub(super) prompt: Option<Instant>,
    /// When it was last polled because of a write.
    pub(super) prompted: Option<Instant>,
    /// Consecutive failed polls.
    pub(super) failures: u32,
    /// Its entry among the account's expiries.
    pub(super) expiry: Option<Instant>,
    pub(super) config: ZoneConfig,
    /// What is known about it besides its mappings.
    pub(super) enrichment: EnrichmentState,
    /// The data to compare the next successful poll with, if none is shown.
    pub(super) baseline: Option<ZoneData>,
    /// Unreadable rows of its last successful poll, so that they are logged only once.
    rejected: u64,
    /// Why its last poll failed, so that each failure is logged only once.
    failing: Option<Reason>,
}

impl PolledZone {
    pub(super) fn new(slot: ZoneSlot, cadence: Cadence, config: ZoneConfig) -> Self {
        Self {
            slot: Arc::new(slot),
            cadence,
            due: None,
            prompt: None,
            prompted: None,
            failures: 0,
            expiry: None,
            config,
            enrichment: EnrichmentState::default(),
            baseline: None,
            rejected: 0,
            failing: None,
        }
    }

    /// Whether the API reports that the zone does not exist or is forbidden.
    pub(super) fn is_inaccessible(&self) -> bool {
        matches!(
            self.failing,
            Some(Reason::NotFound | Reason::NoRoute | Reason::Forbidden)
        )
    }

    /// Whether every row of its last successful poll was readable.
    pub(super) fn is_list_complete(&self) -> bool {
        self.rejected == 0
    }

    /// Whether its last poll failed because the credentials were refused.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.failing == Some(Reason::Unauthorized)
    }

    /// Records a successful poll and returns when the next one is due.
    pub(super) fn succeeded(
        &mut self,
        old: &ZoneState,
        rejected: &RejectedRows,
        now: Instant,
    ) -> Instant {
        let zone = &old.zone;
        if self.failing.take().is_some() {
            info!(zone = %zone.name, zone_id = %zone.id, failures = self.failures,
                  "poll succeeded again");
        }
        if std::mem::replace(&mut self.rejected, rejected.count) < rejected.count {
            warn!(zone = %zone.name, zone_id = %zone.id, rows = rejected.count,
                  examples = ?rejected.examples, "skipped rows that are not mappings");
        }
        self.failures = 0;
        self.cadence.next(old.interval, now, fastrand::f64())
    }

    /// Records a failed poll and returns when the next one is due.
    pub(super) fn failed(&mut self, old: &ZoneState, error: &ApiError, now: Instant) -> Instant {
        let zone = &old.zone;
        let reason = error.reason;
        self.failures = self.failures.saturating_add(1);
        if self.failing.replace(reason) == Some(reason) {
            debug!(zone = %zone.name, zone_id = %zone.id, %reason, %error, "poll failed again");
        } else {
            warn!(zone = %zone.name, zone_id = %zone.id, %reason, %error, "poll failed");
        }
        match reason {
            Reason::RateLimited => now + AFTER_RATE_LIMIT.min(old.interval),
            _ => now + poll_backoff(self.failures, old.interval, fastrand::f64()),
        }
    }
}
