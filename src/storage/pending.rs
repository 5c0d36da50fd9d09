//! What waits to be written. The parts add to it without waiting; the storage's thread takes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::parts::{Encode, PartKey};
use crate::domain::ZoneId;
use crate::history::{CAPACITY_WITH_STORAGE, Change};
use crate::snapshot::ZoneState;

/// Writes are gathered for so long. With the time that a write takes, they are less than a second
/// behind.
const GATHER: Duration = Duration::from_millis(750);
/// Values whose latest form matters little are gathered for so long.
const GATHER_LAZILY: Duration = Duration::from_mins(1);

/// What is new of a zone.
#[derive(Debug, Default)]
pub(super) struct ZoneUpdate {
    /// Its state; `None` where that is as it was.
    pub(super) state: Option<Arc<ZoneState>>,
    /// It is polled no more.
    pub(super) left: bool,
}

/// What is new. Later news of one thing replace earlier ones, so it is bounded by what there is.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) zones: HashMap<ZoneId, ZoneUpdate>,
    pub(super) changes: BTreeMap<u64, Arc<Change>>,
    /// `None` removes the value.
    pub(super) parts: HashMap<PartKey, Option<Encode>>,
    /// The latest flush that this is the answer to.
    pub(super) flush: u64,
    /// The last one.
    pub(super) last: bool,
}

#[derive(Default)]
struct State {
    batch: Batch,
    lazy: HashMap<PartKey, Encode>,
    /// When the first of the batch came.
    since: Option<Instant>,
    /// When the first of the lazy ones came.
    lazy_since: Option<Instant>,
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flushed {
    /// The latest flush that has ended.
    pub(super) flush: u64,
    /// Whether everything before it is on the disk.
    pub(super) ok: bool,
}

/// Between the parts and the storage's thread.
pub(super) struct Pending {
    state: Mutex<State>,
    news: Condvar,
    flushed: watch::Sender<Flushed>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            news: Condvar::new(),
            flushed: watch::Sender::default(),
        }
    }
}

impl Pending {
    /// Adds news. A zone's state and its changes given at once are written at once.
    pub(super) fn add(&self, add: impl FnOnce(&mut Batch)) {
        let mut state = self.lock();
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

    /// Adds the value of a part, to be written within a minute.
    pub(super) fn add_lazily(&self, key: PartKey, value: Encode) {
        let mut state = self.lock();
        if let Some(prompt) = state.batch.parts.get_mut(&key) {
            *prompt = Some(value);
            return;
        }
        state.lazy.insert(key, value);
        state.lazy_since.get_or_insert_with(Instant::now);
    }

    /// Has everything written now. Returns the number of the flush.
    pub(super) fn flush(&self, last: bool) -> u64 {
        let mut state = self.lock();
        state.batch.flush += 1;
        state.batch.last |= last;
        let flush = state.batch.flush;
        drop(state);
        self.news.notify_one();
        flush
    }

    /// Waits until something is to be written, or `until`, and takes what is new.
    pub(super) fn take(&self, until: Instant) -> Batch {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let gathered = state.since.map(|since| since + GATHER);
            let lazily = state.lazy_since.map(|since| since + GATHER_LAZILY);
            let due = gathered.into_iter().chain(lazily).chain([until]).min();
            let due = due.unwrap_or(until);
            let flush = state.batch.flush > self.flushed.borrow().flush;
            if flush || state.batch.last || now >= due {
                if state.batch.last || lazily.is_some_and(|due| now >= due) {
                    state.take_lazy();
                }
                return state.take();
            }
            let waited = self.news.wait_timeout(state, due - now);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything up to this flush was written, or could not be.
    pub(super) fn flushed(&self, flush: u64, ok: bool) {
        self.flushed.send_replace(Flushed { flush, ok });
    }

    pub(super) fn flushes(&self) -> watch::Receiver<Flushed> {
        self.flushed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_lazy(&mut self) {
        self.lazy_since = None;
        for (key, value) in self.lazy.drain() {
            // What came later to be written at once is the newer value.
            self.batch.parts.entry(key).or_insert(Some(value));
        }
    }

    fn take(&mut self) -> Batch {
        self.since = None;
        let next = Batch {
            flush: self.batch.flush,
            last: self.batch.last,
            ..Batch::default()
        };
        std::mem::replace(&mut self.batch, next)
    }
}
