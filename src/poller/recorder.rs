//! Records the poller's results in the history, and in the storage if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Poller;
use super::attribution::RecentWrites;
use super::discovery::Released;
use super::enrichment::state::{EnrichmentState, StoredSources};
use super::state::elapsed;
use super::zone::PolledZone;
use crate::cloudflare::AuditLogPosition;
use crate::domain::{HostName, ZoneId};
use crate::history::{self, CAPACITY_WITHOUT_STORAGE, Change, History};
use crate::origin_hosts::{OriginHosts, StoredHost};
use crate::panics::lock;
use crate::snapshot::{ZoneSlot, ZoneState};
use crate::storage::{Kind, Parts, Storage, StoredZone};

/// Records published changes. Clones share the history and the storage.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(super) history: History,
    pub(super) storage: Option<Storage>,
    /// Writes from the audit log whose changes may not have been seen yet.
    writes: Arc<Mutex<RecentWrites>>,
}

impl Default for Recorder {
    /// A short history in memory.
    fn default() -> Self {
        let settings = history::Settings::default();
        Self::new(History::new(&settings, CAPACITY_WITHOUT_STORAGE), None)
    }
}

impl Recorder {
    /// Records in `history`, and in `storage` if there is one.
    pub fn new(history: History, storage: Option<Storage>) -> Self {
        Self {
            history,
            storage,
            writes: Arc::default(),
        }
    }

    pub(super) fn writes(&self) -> MutexGuard<'_, RecentWrites> {
        lock(&self.writes)
    }

    /// Records the position in an audit log.
    pub(super) fn audit_log(&self, owner: &str, position: &AuditLogPosition) {
        if let Some(storage) = &self.storage {
            storage.put(Kind::AuditLog, owner, position.clone());
        }
    }

    /// Records the changes from `old` to the published state of a zone.
    pub(super) fn published(&self, old: &ZoneState, slot: &ZoneSlot) {
        let new = slot.load();
        let details = history::zone_changes(old, &new);
        let polled = |state: &ZoneState| state.last_poll.as_ref().map(|poll| poll.ended);
        // Changes from an evaluation between two polls get the current time.
        let poll = polled(&new).filter(|end| Some(*end) != polled(old));
        let time = poll.unwrap_or_else(Timestamp::now);
        let changes = self.history.record(&new.zone, time, details, |details| {
            self.writes()
                .actor(&new.zone.id, details, old.last_success, time)
        });
        self.put(new, &changes);
    }

    /// Records that a zone is no longer polled.
    pub(super) fn left(&self, id: &ZoneId) {
        if let Some(storage) = &self.storage {
            storage.zone_left(id);
        }
    }

    /// Records the sources of a zone's origins.
    pub(super) fn sources(&self, id: &ZoneId, known: &EnrichmentState) {
        if let Some(storage) = &self.storage {
            storage.put(Kind::Sources, id.as_str(), known.stored_sources());
        }
    }

    /// Records origin hosts that changed or were removed.
    pub(super) fn hosts(&self, resolver: &OriginHosts, names: &BTreeSet<HostName>) {
        let Some(storage) = &self.storage else {
            return;
        };
        for name in names {
            match resolver.get(name) {
                Some(host) => {
                    if let Some(stored) = host.store() {
                        storage.put(Kind::Host, name.as_str(), stored);
                    }
                }
                None => storage.remove(Kind::Host, name.as_str()),
            }
        }
    }

    /// Records the state of a zone.
    pub(super) fn put(&self, state: Arc<ZoneState>, changes: &[Arc<Change>]) {
        if let Some(storage) = &self.storage {
            storage.put_zone(state, changes);
        }
    }
}

impl Poller {
    /// From now on, records in `recorder`, and publishes the stored state unchanged.
    pub fn restore(
        &mut self,
        recorder: Recorder,
        zones: BTreeMap<ZoneId, StoredZone>,
        parts: &Parts,
    ) {
        self.context.recorder = recorder;
        let hosts: Vec<StoredHost> = parts.all(Kind::Host).map(|(_, host)| host).collect();
        self.context.hosts.resolver.restore(&hosts);
        for (name, account) in &mut self.accounts {
            let listing = &mut account.listing;
            for StoredZone { state, left, .. } in zones.values() {
                let zone = &state.zone;
                if left.is_none() && state.account == *name && listing.selection.wants(zone) {
                    listing.zones.insert(zone.id.clone(), zone.clone());
                }
            }
        }
        let positions = parts.all(Kind::AuditLog);
        let positions = positions.map(|(owner, position)| (owner.to_owned(), position));
        self.audit_logs.stored = positions.collect();
        let zones = zones.into_iter().map(|(id, zone)| {
            let sources = parts.get(Kind::Sources, id.as_str());
            (id, (zone, sources.unwrap_or_default()))
        });
        self.memory = zones.collect();
        self.reassign(Released::new());
    }
}

impl PolledZone {
    /// Restores the state of an earlier process. Data that is too old to serve is still the
    /// baseline of the next successful poll.
    pub(super) fn resume(
        &mut self,
        stored: &StoredZone,
        sources: StoredSources,
        retain: Duration,
        now: Timestamp,
    ) {
        let instant = Instant::now();
        let shown = self.slot.load();
        if shown.data.is_none() {
            self.baseline.clone_from(&stored.state.data);
        }
        if let Some(since) = stored.state.failing_since {
            self.failures = 1;
            let left = retain.saturating_sub(elapsed(since, now));
            self.expiry = shown.data.is_some().then(|| instant + left);
        }
        let last = stored.state.last_poll.as_ref();
        let pause = last.map(|poll| elapsed(poll.ended, now));
        self.enrichment.resume(
            stored.state.tiered_cache,
            sources,
            pause.unwrap_or_default(),
            instant,
        );
    }
}
