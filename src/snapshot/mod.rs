//! The published state: an immutable directory of zones with one slot a zone.
//!
//! Discovery replaces the directory; a poll replaces the state in its zone's slot. Publishing a
//! zone thus costs nothing in proportion to the others. One writer (the poller), any number of
//! readers, and no lock.

mod finding;
mod plan;
pub mod rows;
mod state;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

pub use finding::{Finding, FindingChanges, OpenFindings};
pub use plan::{PlanRow, Prune};
pub use state::{
    AccountState, ChangeCounts, LastPoll, StaleAfter, UnmatchedZones, ZoneCounts, ZoneData,
    ZoneState,
};

use crate::domain::{ZoneId, ZoneName};

/// One zone's place in the directory. Its identity never changes; its state is replaced whole.
#[derive(Debug)]
pub struct ZoneSlot {
    /// The zone's identifier.
    pub id: ZoneId,
    state: ArcSwap<ZoneState>,
    next_poll: ArcSwapOption<Timestamp>,
}

impl ZoneSlot {
    /// A slot with its first state.
    pub fn new(id: ZoneId, state: ZoneState) -> Self {
        Self {
            id,
            state: ArcSwap::from_pointee(state),
            next_poll: ArcSwapOption::empty(),
        }
    }

    /// The zone as of its last complete poll.
    pub fn load(&self) -> Arc<ZoneState> {
        self.state.load_full()
    }

    /// When the zone's next poll is due, the rate limit aside; `None` where none is planned. While
    /// a poll waits or runs, it is the time at which that one was due.
    pub fn next_poll(&self) -> Option<Timestamp> {
        self.next_poll.load().as_deref().copied()
    }

    /// Announces the next poll. Only the poller calls this.
    pub fn announce_poll(&self, due: Timestamp) {
        self.next_poll.store(Some(Arc::new(due)));
    }

    /// Replaces the state. Only the poller calls this, and for one zone never twice at once.
    pub fn publish(&self, state: ZoneState) {
        self.state.store(Arc::new(state));
    }
}

/// Which zones there are, and how the accounts that list them fare.
#[derive(Debug, Default)]
pub struct Directory {
    /// The polled zones, sorted by name, then identifier.
    pub zones: Vec<Arc<ZoneSlot>>,
    /// The accounts in the order of the configuration.
    pub accounts: Vec<AccountState>,
    /// Names, ids and globs of the configuration that no zone answers to.
    pub unmatched: UnmatchedZones,
}

impl Directory {
    /// The zone with this identifier, or with this name in any case; of several that bear the
    /// name the active one.
    pub fn find(&self, name_or_id: &str) -> Option<&Arc<ZoneSlot>> {
        self.zones
            .iter()
            .find(|slot| slot.id.as_str() == name_or_id)
            .or_else(|| {
                let mut named: Vec<_> = self
                    .zones
                    .iter()
                    .filter(|slot| slot.load().zone.name.matches(name_or_id))
                    .collect();
                named.sort_by_key(|slot| !slot.load().zone.is_active());
                named.first().copied()
            })
    }
}

/// A handle on the published state. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    directory: Arc<ArcSwap<Directory>>,
}

impl Snapshot {
    /// The zones and accounts as of now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// Replaces the directory, sorting its zones. Only the poller calls this.
    pub fn publish(&self, mut directory: Directory) {
        directory
            .zones
            .sort_by_cached_key(|slot| -> (ZoneName, ZoneId) {
                (slot.load().zone.name.clone(), slot.id.clone())
            });
        self.directory.store(Arc::new(directory));
    }
}
