//! The history of mappings and findings, bounded in number and age.
//!
//! There is one writer, the poller, and any number of readers. Readers take a snapshot of the log
//! and hold no lock.

mod change;
mod compare;
mod log_events;
mod query;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

pub use crate::findings::FindingKind;
pub use change::{Actor, Change, ChangeKind, Details};
pub use compare::zone_changes;
pub use query::{Page, Query};
pub use settings::Settings;

use crate::domain::{Zone, ZoneId};
use crate::panics::lock;

/// The most changes that are kept with storage.
pub const CAPACITY_WITH_STORAGE: usize = 100_000;
/// The most changes that are kept without storage.
pub const CAPACITY_WITHOUT_STORAGE: usize = 1_000;
/// Recording a change copies at most one chunk and the list of chunks.
const CHUNK: usize = 256;
/// The longest time by which changes are recorded out of order.
const DISORDER: Duration = Duration::from_mins(10);

/// A handle to the log of changes. Clones share the log.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: ArcSwap<Log>,
    /// Locked by writers of the log.
    writing: Mutex<()>,
}

/// A snapshot of the log, ascending by `id`.
#[derive(Debug, Clone)]
struct Log {
    chunks: Vec<Arc<Vec<Arc<Change>>>>,
    len: usize,
    /// The identifier of the latest change, even if it is no longer kept; 0 before the first.
    last_id: u64,
    /// The most changes that are kept.
    capacity: usize,
    /// Older changes are hidden, even before the next recording removes them.
    retain: Duration,
}

impl History {
    /// An empty history that keeps at most `capacity` changes.
    pub fn new(settings: &Settings, capacity: usize) -> Self {
        Self::restored(settings, capacity, Vec::new(), 0, Timestamp::MIN)
    }

    /// A history with the changes of an earlier process, ascending by identifier; `last_id` is the
    /// identifier of its latest change.
    pub fn restored(
        settings: &Settings,
        capacity: usize,
        changes: Vec<Change>,
        last_id: u64,
        now: Timestamp,
    ) -> Self {
        let mut log = Log {
            chunks: Vec::new(),
            len: 0,
            last_id,
            capacity,
            retain: settings.retain,
        };
        for change in changes {
            log.push(Arc::new(change));
        }
        log.trim(now);
        Self {
            shared: Arc::new(Shared {
                log: ArcSwap::from_pointee(log),
                writing: Mutex::default(),
            }),
        }
    }

    /// Changes how long changes are kept.
    pub fn configure(&self, settings: &Settings, now: Timestamp) {
        self.update(|log| {
            log.retain = settings.retain;
            log.trim(now);
        });
    }

    /// Records and logs the changes that a poll of a zone saw at `time`. `actor` returns who made a
    /// change, if already known.
    pub fn record(
        &self,
        zone: &Zone,
        time: Timestamp,
        details: Vec<Details>,
        actor: impl Fn(&Details) -> Option<Actor>,
    ) -> Vec<Arc<Change>> {
        if details.is_empty() {
            return Vec::new();
        }
        let mut recorded = Vec::with_capacity(details.len());
        self.update(|log| {
            for details in details {
                let change = Arc::new(Change {
                    id: log.last_id.saturating_add(1),
                    time,
                    zone: zone.name.clone(),
                    zone_id: zone.id.clone(),
                    actor: actor(&details),
                    details,
                });
                recorded.push(Arc::clone(&change));
                log.push(change);
            }
            log.trim(time);
        });
        log_events::log(&recorded);
        recorded
    }

    /// Sets the actor of a change. Returns the updated change, or `None` if it is no longer kept or
    /// already has an actor.
    pub fn set_actor(&self, id: u64, actor: Actor) -> Option<Arc<Change>> {
        self.update(|log| {
            let after = log
                .chunks
                .partition_point(|chunk| chunk.last().is_some_and(|last| last.id < id));
            let chunk = Arc::make_mut(log.chunks.get_mut(after)?);
            let at = chunk.binary_search_by_key(&id, |change| change.id).ok()?;
            let change = chunk.get_mut(at).filter(|change| change.actor.is_none())?;
            *change = Arc::new(Change {
                actor: Some(actor),
                ..Change::clone(change)
            });
            Some(Arc::clone(change))
        })
    }

    /// The changes that match, newest first.
    pub fn query(&self, query: &Query, now: Timestamp) -> Page {
        let log = self.shared.log.load_full();
        let oldest = log.oldest(now);
        let mut page = Page {
            total: 0,
            changes: Vec::new(),
        };
        for change in log.newest_first() {
            if change.time < oldest || !query.matches(change) {
                continue;
            }
            if page.total >= query.offset && page.changes.len() < query.limit {
                page.changes.push(Arc::clone(change));
            }
            page.total += 1;
        }
        page
    }

    /// The changes of a zone since `since`, newest first. Stops at much older ones.
    pub fn of_zone_since(&self, zone: &ZoneId, since: Timestamp) -> Vec<Arc<Change>> {
        let log = self.shared.log.load_full();
        // Changes are recorded almost in the order of their times.
        let earliest = since.saturating_sub(DISORDER).unwrap_or(Timestamp::MIN);
        log.newest_first()
            .take_while(|change| change.time >= earliest)
            .filter(|change| change.time >= since && change.zone_id == *zone)
            .cloned()
            .collect()
    }

    /// All kept changes, ascending by identifier, and the identifier of the latest change.
    pub fn all(&self) -> (Vec<Arc<Change>>, u64) {
        let log = self.shared.log.load_full();
        let changes = log.chunks.iter().flat_map(|chunk| chunk.iter().cloned());
        (changes.collect(), log.last_id)
    }

    /// The identifiers of the oldest kept change, or of the next one if none is kept, and of the
    /// latest change.
    pub fn kept(&self) -> (u64, u64) {
        let log = self.shared.log.load();
        let first = log.chunks.first().and_then(|chunk| chunk.first());
        let first = first.map_or(log.last_id.saturating_add(1), |change| change.id);
        (first, log.last_id)
    }

    /// Replaces the log by a changed copy.
    fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let _writing = lock(&self.shared.writing);
        let mut log = Log::clone(&self.shared.log.load());
        let result = change(&mut log);
        self.shared.log.store(Arc::new(log));
        result
    }
}

impl Log {
    fn push(&mut self, change: Arc<Change>) {
        self.last_id = self.last_id.max(change.id);
        self.len += 1;
        match self.chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            Some(chunk) => Arc::make_mut(chunk).push(change),
            None => self.chunks.push(Arc::new(vec![change])),
        }
    }

    /// Removes changes that are too old or beyond the capacity.
    fn trim(&mut self, now: Timestamp) {
        let oldest = self.oldest(now);
        let mut excess = self.len.saturating_sub(self.capacity);
        while let Some(first) = self.chunks.first_mut() {
            let old = first
                .iter()
                .take_while(|change| change.time < oldest)
                .count();
            let remove = old.max(excess.min(first.len()));
            if remove == 0 {
                return;
            }
            self.len -= remove;
            excess = excess.saturating_sub(remove);
            if remove < first.len() {
                Arc::make_mut(first).drain(..remove);
                return;
            }
            self.chunks.remove(0);
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = &Arc<Change>> {
        self.chunks
            .iter()
            .rev()
            .flat_map(|chunk| chunk.iter().rev())
    }

    fn oldest(&self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.retain).unwrap_or(Timestamp::MIN)
    }
}
