//! The published state: an immutable directory of zones, with one slot per zone.
//!
//! Discovery replaces the directory; a poll replaces the state in its zone's slot. The cost of
//! publishing a zone therefore does not depend on the number of zones. There is one writer (the
//! poller), any number of readers, and no lock.

mod finding;
mod plan;
pub mod rows;
mod state;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;

pub use finding::{Finding, is_judged};
pub use plan::{PlanRow, Prune, curl_calls, curl_script};
pub use state::{
    AccountState, ChangeCounts, LastPoll, StaleAfter, UnmatchedZones, ZoneCounts, ZoneData,
    ZoneState,
};

use crate::domain::{ZoneId, ZoneName};

/// A zone's slot in the directory. Its identity never changes; its state is replaced as a whole.
#[derive(Debug)]
pub struct ZoneSlot {
    /// The zone's identifier.
    pub id: ZoneId,
    /// Where in the poll interval the zone is polled, from 0 to 1. Zones with similar phases are
    /// polled at about the same time.
    pub phase: f64,
    state: ArcSwap<ZoneState>,
    next_poll: ArcSwapOption<Timestamp>,
}

impl ZoneSlot {
    /// A slot with its first state.
    pub fn new(id: ZoneId, state: ZoneState) -> Self {
        Self {
            id,
            phase: 0.0,
            state: ArcSwap::from_pointee(state),
            next_poll: ArcSwapOption::empty(),
        }
    }

    /// The zone as of its last complete poll.
    pub fn load(&self) -> Arc<ZoneState> {
        self.state.load_full()
    }

    /// Whether `state` is still the zone's state. Reads neither of the states.
    pub fn holds(&self, state: &Arc<ZoneState>) -> bool {
        Arc::ptr_eq(&self.state.load(), state)
    }

    /// When the zone's next poll is due, ignoring the rate limit; `None` if none is planned. While
    /// a poll waits or is in progress, it is the time at which that poll was due.
    pub fn next_poll(&self) -> Option<Timestamp> {
        self.next_poll.load().as_deref().copied()
    }

    /// Announces the next poll. Only the poller calls this.
    pub fn announce_poll(&self, due: Timestamp) {
        self.next_poll.store(Some(Arc::new(due)));
    }

    /// Replaces the state. Only the poller calls this, and never concurrently for one zone.
    pub fn publish(&self, state: ZoneState) {
        self.state.store(Arc::new(state));
    }
}

/// The zones, and the state of the accounts that list them.
#[derive(Debug, Default)]
pub struct Directory {
    /// The polled zones, sorted by name, then identifier.
    pub zones: Vec<Arc<ZoneSlot>>,
    /// The accounts in the order of the configuration.
    pub accounts: Vec<AccountState>,
    /// Names, ids and globs of the configuration that match no zone.
    pub unmatched: UnmatchedZones,
}

impl Directory {
    /// The zone with this identifier, or the zones with this name in any case: the active ones if
    /// there are any. More than one zone means that the name is ambiguous.
    pub fn find(&self, name_or_id: &str) -> Vec<&Arc<ZoneSlot>> {
        let mut zones = self.zones.iter();
        if let Some(slot) = zones.find(|slot| slot.id.as_str() == name_or_id) {
            return vec![slot];
        }
        let is_named = |slot: &&Arc<ZoneSlot>| slot.load().zone.name.matches(name_or_id);
        let mut named: Vec<_> = self.zones.iter().filter(is_named).collect();
        let is_active = |slot: &&Arc<ZoneSlot>| slot.load().zone.is_active();
        if named.iter().any(is_active) {
            named.retain(is_active);
        }
        named
    }
}

/// A handle to the published state. Clones share it.
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
