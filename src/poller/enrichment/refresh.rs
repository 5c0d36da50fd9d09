//! Refresh timers for data that rarely changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::doubling;
use crate::cloudflare::ApiError;
use crate::domain::{SupportedRegions, ZoneId};

/// Settings and supported regions rarely change, and each costs a request per zone.
const INTERVAL: Duration = Duration::from_hours(1);
/// The first wait after a transient failure. It doubles with each further one, up to [`INTERVAL`].
const RETRY: Duration = Duration::from_mins(10);

/// When something is read next.
#[derive(Debug, Default)]
pub(in crate::poller) struct RefreshTimer {
    asked: Option<Instant>,
    /// Consecutive transient failures.
    failures: u32,
}

impl RefreshTimer {
    pub(in crate::poller) fn is_due(&self, now: Instant) -> bool {
        let wait = match self.failures {
            0 => INTERVAL,
            failures => doubling(RETRY, failures, INTERVAL),
        };
        self.asked.is_none_or(|at| at + wait <= now)
    }

    pub(in crate::poller) fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    pub(in crate::poller) fn answered(&mut self, transient_failure: bool) {
        self.failures = if transient_failure {
            self.failures.saturating_add(1)
        } else {
            0
        };
    }

    /// Makes it due now.
    pub(in crate::poller) fn reset(&mut self) {
        self.asked = None;
    }
}

/// The regions that Cloudflare supports. An account can read them through any of its zones.
#[derive(Debug, Default)]
pub(in crate::poller) struct Regions {
    pub(in crate::poller) known: Option<Arc<SupportedRegions>>,
    timer: RefreshTimer,
    /// The zone through which they are being read.
    through: Option<ZoneId>,
}

impl Regions {
    pub(in crate::poller) fn are_due(&self, now: Instant) -> bool {
        self.through.is_none() && self.timer.is_due(now)
    }

    pub(in crate::poller) fn ask(&mut self, zone: ZoneId, now: Instant) {
        self.timer.ask(now);
        self.through = Some(zone);
    }

    /// Processes the response through this zone; the inner value is `None` if the zone does not
    /// return the regions. Returns whether the regions changed.
    pub(in crate::poller) fn answered(
        &mut self,
        zone: &ZoneId,
        answer: Option<Result<Option<SupportedRegions>, ApiError>>,
    ) -> bool {
        self.through.take_if(|through| through == zone);
        match answer {
            Some(Ok(Some(regions))) => {
                self.timer.answered(false);
                let changed = self.known.as_deref() != Some(&regions);
                if changed {
                    self.known = Some(Arc::new(regions));
                }
                return changed;
            }
            Some(Err(error)) if error.is_transient() => self.timer.answered(true),
            // Another zone may return them.
            Some(_) => self.timer.reset(),
            None => {}
        }
        false
    }

    /// Handles the removal of a zone, which cancels its request.
    pub(in crate::poller) fn forget_zone(&mut self, zone: &ZoneId) {
        if self.through.take_if(|through| through == zone).is_some() {
            self.timer.reset();
        }
    }
}
