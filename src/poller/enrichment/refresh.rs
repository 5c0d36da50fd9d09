//! When something that hardly ever changes is read, and read again after a failure.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::findings::SupportedRegions;

/// Settings and supported regions hardly ever change, and each costs a request a zone.
const RARELY: Duration = Duration::from_hours(1);
/// A reading of these that failed, and may succeed by itself, is made again after this; the wait
/// doubles with each further failure, up to [`RARELY`]. It is also the time without any such
/// failure in the account that a reading before its hour waits for: while the API is down, a few
/// zones find that out for all.
const SOONER: Duration = Duration::from_mins(10);

/// When something that hardly ever changes is read of a zone.
#[derive(Debug, Default)]
pub(in crate::poller) struct RefreshTimer {
    asked: Option<Instant>,
    /// In a row, of those that may pass.
    failures: u32,
}

impl RefreshTimer {
    pub(in crate::poller) fn is_due(&self, trouble: &Cooldown, now: Instant) -> bool {
        let sooner = self.failures.checked_sub(1).map(|earlier| {
            let factor = 1_u32.checked_shl(earlier).unwrap_or(u32::MAX);
            SOONER.saturating_mul(factor)
        });
        self.asked.is_none_or(|at| {
            let again = sooner.is_some_and(|wait| at + wait.min(RARELY) <= now);
            at + RARELY <= now || (again && trouble.is_over(now))
        })
    }

    pub(in crate::poller) fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    pub(in crate::poller) fn answered(&mut self, trouble: bool) {
        self.failures = if trouble {
            self.failures.saturating_add(1)
        } else {
            0
        };
    }
}

/// When a reading that is made rarely last failed, for any zone of an account, in a way that may
/// pass.
#[derive(Debug, Default)]
pub(in crate::poller) struct Cooldown(Option<Instant>);

impl Cooldown {
    pub(in crate::poller) fn note(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    fn is_over(&self, now: Instant) -> bool {
        self.0.is_none_or(|at| at + SOONER <= now)
    }
}

/// An account's supported regions.
#[derive(Debug, Default)]
pub(in crate::poller) struct Regions {
    pub(in crate::poller) known: Option<Arc<SupportedRegions>>,
    read: Option<Instant>,
    /// A follow-up is asking for them.
    pub(in crate::poller) asking: bool,
    pub(in crate::poller) trouble: Cooldown,
}

impl Regions {
    /// Any zone would do to read them, so after a failure that may pass they all wait.
    pub(in crate::poller) fn may_be_asked(&self, now: Instant) -> bool {
        let due = self.read.is_none_or(|at| at + RARELY <= now);
        due && !self.asking && self.trouble.is_over(now)
    }

    /// Takes the list, and says whether it is another than before.
    pub(in crate::poller) fn learn(&mut self, regions: SupportedRegions, now: Instant) -> bool {
        self.read = Some(now);
        let changed = self.known.as_deref() != Some(&regions);
        if changed {
            self.known = Some(Arc::new(regions));
        }
        changed
    }
}
