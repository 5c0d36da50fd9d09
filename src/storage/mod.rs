//! Stores what survives a restart, in one folder.
//!
//! One thread owns the file. Other modules hand over updates without waiting. Updates are gathered
//! and written less than a second later, and failed writes are retried, so neither a poll nor a
//! scrape ever waits for a disk.

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

/// The longest that the start waits for the file to be read before it goes on without it. The file
/// is then set aside.
const OPEN_PATIENCE: Duration = Duration::from_secs(20);
/// The longest that anything waits for a write.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);

/// A handle to the storage. Clones share it. When the last one is dropped, pending updates are
/// written.
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
    /// The zones by identifier, including those that are no longer polled.
    pub zones: BTreeMap<ZoneId, StoredZone>,
    /// The history of the stored changes, to which new ones are added.
    pub history: History,
    /// The values of other modules.
    pub parts: Parts,
}

impl Storage {
    /// Opens the storage and reads it. Fails if the path is not a folder, or if the folder is in
    /// use. If the disk fails, the program starts with what could be read, and opening is retried.
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
        let (sender, started) = mpsc::sync_channel(0);
        std::thread::Builder::new()
            .name("storage".to_owned())
            .spawn(move || writer.run(&sender))
            .map_err(OpenError::Thread)?;
        let storage = Self {
            inner: Arc::new(Inner { pending }),
        };
        let contents = if let Ok(start) = started.recv_timeout(OPEN_PATIENCE) {
            start?
        } else {
            warn!(path = %settings.path.display(), patience = ?OPEN_PATIENCE,
                  "the storage was not read in time: going on without what is stored, which is set aside");
            Contents::default()
        };
        drop(started);
        let zones = contents.zones.into_iter();
        let restored = Restored {
            zones: zones.map(|(id, (_, zone))| (id, zone)).collect(),
            history: History::restored(
                history,
                CAPACITY_WITH_STORAGE,
                contents.changes,
                contents.last_change,
                now,
            ),
            parts: contents.parts,
        };
        // Set only here, so this cannot fail.
        drop(shared_history.set(restored.history.clone()));
        info!(path = %settings.path.display(), zones = restored.zones.len(), "storage opened");
        Ok((storage, restored))
    }

    /// Stores the state of a zone and the changes that led to it in one transaction.
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

    /// Marks a zone as no longer polled. It is kept for thirty days in case it comes back.
    pub fn zone_left(&self, id: &ZoneId) {
        self.inner.pending.add(|batch| {
            batch.zones.entry(id.clone()).or_default().left = true;
        });
    }

    /// Stores a change again, after its actor was added.
    pub fn put_change(&self, change: Arc<Change>) {
        self.inner.pending.add(|batch| {
            batch.changes.insert(change.id, change);
        });
    }

    /// Stores a value of another module. It is encoded on the storage's thread.
    pub fn put(&self, kind: Kind, key: &str, value: impl Serialize + Send + 'static) {
        self.inner.pending.add(|batch| {
            let key = (kind, key.to_owned());
            batch.parts.insert(key, Some(encoder(kind, value)));
        });
    }

    /// Removes a value of another part.
    pub fn remove(&self, kind: Kind, key: &str) {
        self.inner.pending.add(|batch| {
            batch.parts.insert((kind, key.to_owned()), None);
        });
    }

    /// Requests that everything is written now, and waits for it at most a second. Returns whether
    /// it is on disk.
    pub async fn flush(&self) -> bool {
        self.wait_for(self.inner.pending.flush(false)).await
    }

    /// Like [`Self::flush`], for the last time: nothing is written afterwards.
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
