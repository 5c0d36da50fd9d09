//! What survives a restart, in one folder.
//!
//! One thread owns the file. The other parts hand over what is new and go on; it is gathered and
//! written less than a second later, and what fails to be written is tried again. So neither a
//! poll nor a scrape ever waits for a disk.

mod contents;
mod error;
mod file;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod model;
mod parts;
mod pending;
mod record;
mod settings;
mod tables;
mod writer;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tracing::{info, warn};

pub use error::OpenError;
pub use metrics::Metrics;
pub use parts::{Kind, Parts};
pub use settings::Settings;
pub use zone::StoredZone;

use self::contents::Contents;
use self::parts::encoder;
use self::pending::{Pending, ZoneUpdate};
use self::writer::Writer;
use crate::domain::ZoneId;
use crate::history::{self, CAPACITY_WITH_STORAGE, Change, History};
use crate::snapshot::ZoneState;

/// A start waits so long for the file to be read, and then goes on without it.
const OPEN_PATIENCE: Duration = Duration::from_secs(20);
/// Nothing waits longer for a write.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);

/// A handle on the storage. Clones share it; when the last is dropped, what is new is written.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    pending: Arc<Pending>,
}

/// What an earlier process stored.
#[derive(Debug)]
pub struct Restored {
    /// The zones by identifier, those that were polled no more too.
    pub zones: BTreeMap<ZoneId, StoredZone>,
    /// The changes, to which new ones are added.
    pub history: History,
    /// What the other parts kept.
    pub parts: Parts,
}

impl Storage {
    /// Opens the storage and reads it. A folder that is in use or is none is an error; where the
    /// disk fails, the program goes on with nothing restored, and the storage is tried again.
    pub fn open(
        settings: &Settings,
        history: &history::Settings,
        metrics: Metrics,
        now: Timestamp,
    ) -> Result<(Self, Restored), OpenError> {
        let pending = Arc::new(Pending::default());
        let shared_history = Arc::new(OnceLock::new());
        let writer = Writer::new(
            settings.path.clone(),
            metrics,
            Arc::clone(&pending),
            Arc::clone(&shared_history),
        );
        let (sender, started) = mpsc::channel();
        std::thread::Builder::new()
            .name("storage".to_owned())
            .spawn(move || writer.run(&sender))
            .map_err(OpenError::Thread)?;
        let storage = Self {
            inner: Arc::new(Inner { pending }),
        };
        let (contents, parts) = if let Ok(start) = started.recv_timeout(OPEN_PATIENCE) {
            start?
        } else {
            warn!(path = %settings.path.display(), patience = ?OPEN_PATIENCE,
                  "the storage was not read in time: going on without what is stored");
            Default::default()
        };
        drop(started);
        let restored = restore(contents, parts, history, now);
        // It was empty until now.
        drop(shared_history.set(restored.history.clone()));
        info!(path = %settings.path.display(), zones = restored.zones.len(), "storage opened");
        Ok((storage, restored))
    }

    /// Keeps the state of a zone, and the changes that led to it, in one step.
    pub fn put_zone(&self, state: Arc<ZoneState>, changes: &[Arc<Change>]) {
        self.inner.pending.add(|batch| {
            let id = state.zone.id.clone();
            let update = ZoneUpdate {
                state: Some(state),
                left: false,
            };
            batch.zones.insert(id, update);
            let changes = changes.iter().cloned();
            batch
                .changes
                .extend(changes.map(|change| (change.id, change)));
        });
    }

    /// The zone is polled no more. It is kept for thirty days in case it comes back.
    pub fn zone_left(&self, id: &ZoneId) {
        self.inner.pending.add(|batch| {
            batch.zones.entry(id.clone()).or_default().left = true;
        });
    }

    /// Keeps a change as it is now, after its actor was added.
    pub fn put_change(&self, change: Arc<Change>) {
        self.inner.pending.add(|batch| {
            batch.changes.insert(change.id, change);
        });
    }

    /// Keeps a value of another part. Encoding it costs the caller nothing.
    pub fn put(&self, kind: Kind, key: &str, value: impl Serialize + Send + 'static) {
        self.inner.pending.add(|batch| {
            let key = (kind, key.to_owned());
            batch.parts.insert(key, Some(encoder(value)));
        });
    }

    /// Keeps a value of which a form that is a minute old will do, such as when something was
    /// last seen. Many such values are written together.
    pub fn put_lazily(&self, kind: Kind, key: &str, value: impl Serialize + Send + 'static) {
        let key = (kind, key.to_owned());
        self.inner.pending.add_lazily(key, encoder(value));
    }

    /// Removes a value of another part.
    pub fn remove(&self, kind: Kind, key: &str) {
        self.inner.pending.add(|batch| {
            batch.parts.insert((kind, key.to_owned()), None);
        });
    }

    /// Has everything written now, and waits for it, at most a second. Returns whether it is on
    /// the disk.
    pub async fn flush(&self) -> bool {
        self.wait_for(self.inner.pending.flush(false)).await
    }

    /// As [`Self::flush`], for the last time: nothing is written after it.
    pub async fn close(&self) -> bool {
        self.wait_for(self.inner.pending.flush(true)).await
    }

    async fn wait_for(&self, flush: u64) -> bool {
        let mut flushes = self.inner.pending.flushes();
        let done = flushes.wait_for(|flushed| flushed.flush >= flush);
        let done = tokio::time::timeout(WRITE_PATIENCE, done).await;
        matches!(done, Ok(Ok(outcome)) if outcome.ok)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pending.flush(true);
    }
}

fn restore(
    contents: Contents,
    parts: Parts,
    history: &history::Settings,
    now: Timestamp,
) -> Restored {
    let zones = contents.zones.into_iter();
    Restored {
        zones: zones.map(|(id, (_, zone))| (id, zone)).collect(),
        history: History::restored(
            history,
            CAPACITY_WITH_STORAGE,
            contents.changes,
            contents.last_change,
            now,
        ),
        parts,
    }
}
