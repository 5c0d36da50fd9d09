//! What the file should hold, what is not written yet, and the writing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use redb::WriteTransaction;

use super::StoredZone;
use super::contents::Contents;
use super::error::FileError;
use super::parts::{Kind, PartKey};
use super::pending::Batch;
use super::record;
use super::tables::{
    ACTIVITY, CHANGES, FINDINGS, FORMAT, MAPPINGS, META, META_FORMAT, META_LAST_CHANGE,
    META_SESSION, PARTS, WINDOWS, ZONES,
};
use crate::domain::ZoneId;
use crate::history::{Change, History};
use crate::snapshot::{ZoneData, ZoneState};

/// Zones that no account has listed for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);
/// The activity log is compacted when it has more entries than twice the zones plus this.
const ACTIVITY_SLACK: usize = 1_000;
/// Zones per value of the activity log. Three such values fit in one page of the database: a value
/// that is larger than a page gets pages of its own, which are written again with its neighbour.
const ZONES_PER_VALUE: usize = 32;

/// Everything that is stored, and what is not in the file yet.
#[derive(Default)]
pub(super) struct Model {
    zones: BTreeMap<ZoneId, Entry>,
    parts: BTreeMap<PartKey, Bytes>,
    next_number: u32,
    /// The file is empty or holds something else, so everything must be written.
    pub(super) rewrite: bool,
    dirty_zones: BTreeSet<ZoneId>,
    dirty_parts: BTreeSet<PartKey>,
    dirty_changes: BTreeMap<u64, Arc<Change>>,
    /// As of the start.
    last_change: u64,
    last_activity: u64,
    activities: usize,
}

struct Entry {
    number: u32,
    zone: StoredZone,
    /// What the file holds.
    written: Option<Written>,
}

struct Written {
    record: Vec<u8>,
    data: Option<ZoneData>,
}

impl Model {
    /// Loads the contents of the file. Everything is written again if `rewrite`, after an older
    /// version, or if invalid values were left out, which removes these from the file.
    pub(super) fn load(contents: &Contents, rewrite: bool) -> Self {
        let rewrite = rewrite || contents.is_old || contents.rejected > 0;
        let changes = contents.changes.iter().filter(|_| rewrite);
        let zones = contents.zones.iter().map(|(id, (number, zone))| {
            let entry = Entry {
                number: *number,
                zone: zone.clone(),
                written: Some(Written {
                    record: record::encode_zone(*number, zone),
                    data: zone.state.data.clone(),
                }),
            };
            (id.clone(), entry)
        });
        let numbers = contents.zones.values().map(|(number, _)| number);
        Self {
            zones: zones.collect(),
            parts: contents.parts.values.clone(),
            next_number: numbers.max().map_or(0, |number| number.saturating_add(1)),
            rewrite,
            dirty_changes: changes
                .map(|change| (change.id, Arc::new(change.clone())))
                .collect(),
            last_change: contents.last_change,
            last_activity: contents.last_activity,
            activities: contents.activities,
            ..Self::default()
        }
    }

    /// Updates the length of the activity log after this process's own file was reopened: a write
    /// that was reported as failed may have reached it.
    pub(super) fn reopened(&mut self, contents: &Contents) {
        self.last_activity = contents.last_activity;
        self.activities = contents.activities;
    }

    /// Takes updates.
    pub(super) fn add(&mut self, batch: Batch, now: Timestamp) {
        for (id, update) in batch.zones {
            if let Some(state) = update.state {
                self.add_zone(id.clone(), &state, now);
            }
            let Some(entry) = self.zones.get_mut(&id) else {
                continue;
            };
            if update.left {
                entry.zone.left = Some(now);
            }
            self.dirty_zones.insert(id);
        }
        for (key, encode) in batch.parts {
            match encode {
                Some(encode) => {
                    // If a value cannot be encoded, the previous one stays.
                    if let Some(bytes) = encode() {
                        self.put_part(key, Some(bytes));
                    }
                }
                None => self.put_part(key, None),
            }
        }
        self.dirty_changes.extend(batch.changes);
    }

    fn add_zone(&mut self, id: ZoneId, state: &ZoneState, now: Timestamp) {
        let number = self.next_number;
        let entry = self.zones.entry(id).or_insert_with(|| {
            self.next_number = number.saturating_add(1);
            Entry {
                number,
                zone: StoredZone {
                    state: state.clone(),
                    found: now,
                    left: None,
                },
                written: None,
            }
        });
        entry.zone.update(state);
    }

    fn put_part(&mut self, key: PartKey, value: Option<Bytes>) {
        let changed = match value {
            Some(bytes) => self.parts.insert(key.clone(), bytes.clone()) != Some(bytes),
            None => self.parts.remove(&key).is_some(),
        };
        if changed {
            self.dirty_parts.insert(key);
        }
    }

    /// Removes zones that have not been seen for [`FORGET_AFTER`].
    pub(super) fn forget(&mut self, now: Timestamp) {
        let before = now.saturating_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
        let old = |entry: &Entry| entry.zone.last_seen() < before;
        let ids: Vec<_> = self.zones.extract_if(.., |_, entry| old(entry)).collect();
        for (id, _) in ids {
            let of_zone = |(kind, key): &PartKey| *kind == Kind::Sources && key == id.as_str();
            let parts = self.parts.extract_if(.., |key, _| of_zone(key));
            self.dirty_parts.extend(parts.map(|(key, _)| key));
            self.dirty_zones.insert(id);
        }
    }

    pub(super) fn has_zone(&self, id: &ZoneId) -> bool {
        self.zones.contains_key(id)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.rewrite
            || !self.dirty_zones.is_empty()
            || !self.dirty_parts.is_empty()
            || !self.dirty_changes.is_empty()
    }

    /// Writes what is not in the file yet, and `session` if given. Everything stays marked as
    /// unwritten until [`Self::written`].
    pub(super) fn write(
        &mut self,
        transaction: &WriteTransaction,
        session: Option<u64>,
        history: Option<&History>,
    ) -> Result<(), FileError> {
        if self.rewrite {
            self.start_anew(transaction, history)?;
        }
        let mut meta = transaction.open_table(META)?;
        if let Some(session) = session {
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_SESSION, session)?;
        }
        self.write_zones(transaction)?;
        let mut windows = transaction.open_table(WINDOWS)?;
        let mut parts = transaction.open_table(PARTS)?;
        for part in &self.dirty_parts {
            let (kind, key) = (part.0, part.1.as_str());
            match (kind, self.parts.get(part)) {
                (Kind::Window, Some(bytes)) => drop(windows.insert(key, &**bytes)?),
                (Kind::Window, None) => drop(windows.remove(key)?),
                (_, Some(bytes)) => drop(parts.insert((kind.as_str(), key), &**bytes)?),
                (_, None) => drop(parts.remove((kind.as_str(), key))?),
            }
        }
        let mut changes = transaction.open_table(CHANGES)?;
        for (id, change) in &self.dirty_changes {
            changes.insert(id, record::encode_change(change).as_slice())?;
        }
        match history {
            Some(history) if self.rewrite || !self.dirty_changes.is_empty() => {
                let (first, last) = history.kept();
                changes.retain_in(..first, |_, _| false)?;
                meta.insert(META_LAST_CHANGE, last)?;
            }
            // The start is still in progress.
            None if self.rewrite => drop(meta.insert(META_LAST_CHANGE, self.last_change)?),
            Some(_) | None => {}
        }
        Ok(())
    }

    /// Clears the file and marks everything as unwritten.
    fn start_anew(
        &mut self,
        transaction: &WriteTransaction,
        history: Option<&History>,
    ) -> Result<(), FileError> {
        let tables: Vec<_> = transaction.list_tables()?.collect();
        for table in tables {
            transaction.delete_table(table)?;
        }
        // A damaged file may have given two zones the same number.
        for (number, entry) in (0..).zip(self.zones.values_mut()) {
            entry.number = number;
            entry.written = None;
        }
        self.next_number = u32::try_from(self.zones.len()).unwrap_or(u32::MAX);
        self.last_activity = 0;
        self.activities = 0;
        self.dirty_zones.extend(self.zones.keys().cloned());
        self.dirty_parts.extend(self.parts.keys().cloned());
        if let Some(history) = history {
            let (changes, _) = history.all();
            let changes = changes.into_iter().map(|change| (change.id, change));
            self.dirty_changes.extend(changes);
        }
        Ok(())
    }

    fn write_zones(&self, transaction: &WriteTransaction) -> Result<(), FileError> {
        let mut zones = transaction.open_table(ZONES)?;
        let mut mappings = transaction.open_table(MAPPINGS)?;
        let mut findings = transaction.open_table(FINDINGS)?;
        for id in &self.dirty_zones {
            let key = id.as_str();
            let Some(entry) = self.zones.get(id) else {
                zones.remove(key)?;
                mappings.remove(key)?;
                findings.remove(key)?;
                continue;
            };
            let written = entry.written.as_ref();
            let record = record::encode_zone(entry.number, &entry.zone);
            if written.is_none_or(|written| written.record != record) {
                zones.insert(key, record.as_slice())?;
            }
            let old = written.and_then(|written| written.data.as_ref());
            if let Some(new) = &entry.zone.state.data {
                if old.is_none_or(|old| old.mappings != new.mappings) {
                    mappings.insert(key, record::encode_mappings(&new.mappings).as_slice())?;
                }
                if old.is_none_or(|old| old.findings != new.findings) {
                    findings.insert(key, record::encode_findings(&new.findings).as_slice())?;
                }
            } else {
                mappings.remove(key)?;
                findings.remove(key)?;
            }
        }
        self.write_activity(transaction)
    }

    fn write_activity(&self, transaction: &WriteTransaction) -> Result<(), FileError> {
        let mut activity = transaction.open_table(ACTIVITY)?;
        let entries: Vec<_> = if self.must_compact() {
            activity.retain(|_, _| false)?;
            self.zones.values().collect()
        } else {
            let polled = self.dirty_zones.iter();
            polled.filter_map(|id| self.zones.get(id)).collect()
        };
        for (key, chunk) in (self.last_activity + 1..).zip(entries.chunks(ZONES_PER_VALUE)) {
            let mut list = Vec::new();
            for entry in chunk {
                record::encode_activity(entry.number, &entry.zone.state, &mut list);
            }
            activity.insert(key, list.as_slice())?;
        }
        Ok(())
    }

    fn must_compact(&self) -> bool {
        let entries = self.activities + self.dirty_zones.len();
        entries > 2 * self.zones.len() + ACTIVITY_SLACK
    }

    /// Marks everything as written.
    pub(super) fn written(&mut self) {
        let mut written = self.dirty_zones.len();
        if self.must_compact() {
            self.activities = 0;
            written = self.zones.len();
        }
        self.activities += written;
        self.last_activity += written.div_ceil(ZONES_PER_VALUE) as u64;
        for id in std::mem::take(&mut self.dirty_zones) {
            if let Some(entry) = self.zones.get_mut(&id) {
                entry.written = Some(Written {
                    record: record::encode_zone(entry.number, &entry.zone),
                    data: entry.zone.state.data.clone(),
                });
            }
        }
        self.dirty_parts.clear();
        self.dirty_changes.clear();
        self.rewrite = false;
    }
}
