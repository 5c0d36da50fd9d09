//! Updates that wait to be written. Any module adds to them without waiting; the storage's thread
//! takes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::parts::{Encode, PartKey};
use crate::domain::ZoneId;
use crate::history::{CAPACITY_WITH_STORAGE, Change};
use crate::panics::lock;
use crate::snapshot::ZoneState;

/// How long updates are gathered. Even with the duration of a write, the file is less than a second
/// behind.
const GATHER: Duration = Duration::from_millis(750);

/// What is new for a zone.
#[derive(Debug, Default)]
pub(super) struct ZoneUpdate {
    /// The new state; `None` if it is unchanged.
    pub(super) state: Option<Arc<ZoneState>>,
    /// Whether the zone is no longer polled.
    pub(super) left: bool,
}

/// What is new. A later update replaces an earlier one with the same key, so the size is bounded.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) zones: HashMap<ZoneId, ZoneUpdate>,
    pub(super) changes: BTreeMap<u64, Arc<Change>>,
    /// `None` removes the value.
    pub(super) parts: HashMap<PartKey, Option<Encode>>,
    /// The latest flush that writing this batch completes.
    pub(super) flush: u64,
    /// Whether this is the last batch.
    pub(super) last: bool,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// When the first update of the batch came.
    since: Option<Instant>,
}

/// The outcome of a flush.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flushed {
    /// The latest flush that has ended.
    pub(super) flush: u64,
    /// Whether everything before it is on disk.
    pub(super) ok: bool,
}

/// The updates between the other modules and the storage's thread.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    news: Condvar,
    flushed: watch::Sender<Flushed>,
}

impl Pending {
    /// Adds updates. A zone's state and changes that are added in one call are written together.
    pub(super) fn add(&self, add: impl FnOnce(&mut Batch)) {
        let mut state = lock(&self.state);
        add(&mut state.batch);
        while state.batch.changes.len() > CAPACITY_WITH_STORAGE {
            state.batch.changes.pop_first();
        }
        if state.since.is_none() {
            state.since = Some(Instant::now());
            drop(state);
            self.news.notify_one();
        }
    }

    /// Requests that everything is written now. Returns the number of the flush.
    pub(super) fn flush(&self, last: bool) -> u64 {
        let mut state = lock(&self.state);
        state.batch.flush += 1;
        state.batch.last |= last;
        let flush = state.batch.flush;
        drop(state);
        self.news.notify_one();
        flush
    }

    /// Waits until a write is due, a flush is requested, or `until`, and takes what is new.
    pub(super) fn take(&self, until: Instant) -> Batch {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let due = state.since.map_or(until, |since| until.min(since + GATHER));
            let flush = state.batch.flush > self.flushed.borrow().flush;
            if flush || state.batch.last || now >= due {
                state.since = None;
                let next = Batch {
                    flush: state.batch.flush,
                    last: state.batch.last,
                    ..Batch::default()
                };
                return std::mem::replace(&mut state.batch, next);
            }
            let waited = self.news.wait_timeout(state, due - now);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reports that everything up to this flush was written, or could not be.
    pub(super) fn flushed(&self, flush: u64, ok: bool) {
        self.flushed.send_replace(Flushed { flush, ok });
    }

    pub(super) fn flushes(&self) -> watch::Receiver<Flushed> {
        self.flushed.subscribe()
    }
}
