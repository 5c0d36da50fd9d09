//! One zone's schedule, and what the log says of its polls.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::enrichment::state::EnrichmentState;
use super::schedule::{Cadence, poll_backoff};
use crate::cloudflare::{ApiError, Reason, RejectedRows};
use crate::findings::DeclaredOrigin;
use crate::snapshot::{ZoneSlot, ZoneState};

/// A zone whose poll met the rate limit is due again at once, that is after the pause. This keeps
/// an API that names no pause worth its name from being asked without end.
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct PolledZone {
    pub(super) slot: Arc<ZoneSlot>,
    /// The index of its account.
    pub(super) account: usize,
    pub(super) cadence: Cadence,
    /// Its entry in the account's queue; `None` while it is being polled.
    pub(super) due: Option<Instant>,
    /// Polls that failed in a row.
    pub(super) failures: u32,
    /// Its entry among the expiries.
    pub(super) expiry: Option<Instant>,
    /// The origins that the configuration declares for it.
    pub(super) declared: Arc<[DeclaredOrigin]>,
    /// What is known of it beside its mappings.
    pub(super) secondary: EnrichmentState,
    /// How many rows of its last good poll were no mappings, so that the log tells it once.
    rejected: u64,
    /// Why its last poll failed, so that the log tells each failure once.
    failing: Option<Reason>,
}

impl PolledZone {
    pub(super) fn new(
        slot: Arc<ZoneSlot>,
        account: usize,
        cadence: Cadence,
        declared: Arc<[DeclaredOrigin]>,
    ) -> Self {
        Self {
            slot,
            account,
            cadence,
            due: None,
            failures: 0,
            expiry: None,
            declared,
            secondary: EnrichmentState::default(),
            rejected: 0,
            failing: None,
        }
    }

    /// Whether the API says that the zone is not there, or is nobody's business here.
    pub(super) fn refused(&self) -> bool {
        matches!(
            self.failing,
            Some(Reason::NotFound | Reason::NoRoute | Reason::Forbidden)
        )
    }

    /// Takes note of a good poll and says when the next is due.
    pub(super) fn succeeded(
        &mut self,
        old: &ZoneState,
        rejected: &RejectedRows,
        now: Instant,
    ) -> Instant {
        let zone = &old.zone;
        if self.failing.take().is_some() {
            info!(zone = %zone.name, zone_id = %zone.id, failures = self.failures,
                  "the zone can be read again");
        }
        if std::mem::replace(&mut self.rejected, rejected.count) < rejected.count {
            warn!(zone = %zone.name, zone_id = %zone.id, rows = rejected.count,
                  examples = ?rejected.examples, "rows of the API are no mappings: left out");
        }
        self.failures = 0;
        self.cadence.next(old.interval, now, fastrand::f64())
    }

    /// Takes note of a failed poll and says when the zone is tried again.
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
