//! Reading the contents of the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable as _, TableError, TableHandle as _};

use super::StoredZone;
use super::error::{BadFileKind, FileError};
use super::parts::{Kind, Parts};
use super::record::{self, Invalid};
use super::tables::{
    ACTIVITY, CHANGES, FINDINGS, FORMAT, MAPPINGS, MAX_PARTS, MAX_VALUE_BYTES, MAX_ZONES, META,
    META_FORMAT, META_LAST_CHANGE, META_SESSION, PARTS, WINDOWS, ZONES,
};
use crate::domain::ZoneId;
use crate::history::{CAPACITY_WITH_STORAGE, Change};
use crate::snapshot::{ZoneData, ZoneState};

/// The contents of the file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Contents {
    /// The zones by identifier, with their numbers.
    pub(super) zones: BTreeMap<ZoneId, (u32, StoredZone)>,
    /// The latest changes, ascending by identifier.
    pub(super) changes: Vec<Change>,
    pub(super) last_change: u64,
    /// The values of other modules, without kinds that this version does not know.
    pub(super) parts: Parts,
    pub(super) session: Option<u64>,
    /// The key of the latest activity value; `activities` is the number of entries in all of them.
    pub(super) last_activity: u64,
    pub(super) activities: usize,
    /// Values that this program did not write. They are left out.
    pub(super) rejected: usize,
    /// Whether version 0.2.0 wrote last, which had the windows among the parts.
    pub(super) is_old: bool,
}

impl Contents {
    /// Reads the file. An empty database, as a crash right after its creation leaves it, gives
    /// empty contents.
    pub(super) fn read(database: &impl ReadableDatabase) -> Result<Self, FileError> {
        let transaction = database.begin_read()?;
        if !is_ours(&transaction)? {
            return Ok(Self::default());
        }
        let meta = transaction.open_table(META)?;
        let number = |key| meta.get(key).map(|found| found.map(|value| value.value()));
        let mut contents = Self {
            session: number(META_SESSION)?,
            last_change: number(META_LAST_CHANGE)?.unwrap_or_default(),
            ..Self::default()
        };
        contents.read_zones(&transaction)?;
        contents.read_changes(&transaction)?;
        contents.read_windows(&transaction)?;
        contents.read_parts(&transaction)?;
        Ok(contents)
    }

    fn read_zones(&mut self, transaction: &ReadTransaction) -> Result<(), FileError> {
        let mut numbers = HashMap::new();
        for row in transaction.open_table(ZONES)?.iter()?.take(MAX_ZONES) {
            let (key, value) = row?;
            let zone =
                bounded(value.value()).and_then(|bytes| record::decode_zone(key.value(), bytes));
            let Some((number, zone)) = self.take(zone) else {
                continue;
            };
            let id = zone.state.zone.id.clone();
            if numbers.insert(number, id.clone()).is_some() {
                self.rejected += 1;
            }
            self.zones.insert(id, (number, zone));
        }
        for row in transaction.open_table(MAPPINGS)?.iter()?.take(MAX_ZONES) {
            let (key, value) = row?;
            let mappings = bounded(value.value()).and_then(record::decode_mappings);
            let mappings = self.take(mappings);
            if let Some(zone) = self.zone(key.value()) {
                zone.data = mappings.map(|mappings| ZoneData {
                    mappings: Arc::new(mappings),
                    findings: Arc::default(),
                });
            }
        }
        for row in transaction.open_table(FINDINGS)?.iter()?.take(MAX_ZONES) {
            let (key, value) = row?;
            let findings = bounded(value.value()).and_then(record::decode_findings);
            let findings = self.take(findings);
            let data = self.zone(key.value()).and_then(|zone| zone.data.as_mut());
            if let (Some(data), Some(findings)) = (data, findings) {
                data.findings = Arc::new(findings);
            }
        }
        for row in transaction.open_table(ACTIVITY)?.iter()? {
            let (key, value) = row?;
            self.last_activity = key.value();
            let activities = bounded(value.value()).and_then(record::decode_activities);
            for activity in self.take(activities).unwrap_or_default() {
                self.activities += 1;
                let id = numbers.get(&activity.number);
                if let Some((_, zone)) = id.and_then(|id| self.zones.get_mut(id)) {
                    let applied = activity.apply(&mut zone.state);
                    self.take(applied);
                }
            }
        }
        Ok(())
    }

    /// The zone with this key.
    fn zone(&mut self, key: &str) -> Option<&mut ZoneState> {
        let (_, zone) = self.zones.get_mut(key)?;
        Some(&mut zone.state)
    }

    fn read_changes(&mut self, transaction: &ReadTransaction) -> Result<(), FileError> {
        let table = transaction.open_table(CHANGES)?;
        for row in table.iter()?.rev().take(CAPACITY_WITH_STORAGE) {
            let (key, value) = row?;
            let id = key.value();
            self.last_change = self.last_change.max(id);
            let change = bounded(value.value()).and_then(|bytes| record::decode_change(id, bytes));
            let change = self.take(change);
            self.changes.extend(change);
        }
        self.changes.reverse();
        Ok(())
    }

    fn read_windows(&mut self, transaction: &ReadTransaction) -> Result<(), FileError> {
        let windows = match transaction.open_table(WINDOWS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            windows => windows?,
        };
        for row in windows.iter()?.take(MAX_PARTS) {
            let (key, value) = row?;
            let bytes = bounded(value.value()).map(Bytes::copy_from_slice);
            if let Some(bytes) = self.take(bytes) {
                let key = (Kind::Window, key.value().to_owned());
                self.parts.values.insert(key, bytes);
            }
        }
        Ok(())
    }

    fn read_parts(&mut self, transaction: &ReadTransaction) -> Result<(), FileError> {
        for row in transaction.open_table(PARTS)?.iter()?.take(MAX_PARTS) {
            let (key, value) = row?;
            let (kind, key) = key.value();
            let bytes = bounded(value.value()).map(Bytes::copy_from_slice);
            if let (Some(bytes), Some(kind)) = (self.take(bytes), Kind::parse(kind)) {
                self.parts.values.insert((kind, key.to_owned()), bytes);
                self.is_old |= kind == Kind::Window;
            }
        }
        Ok(())
    }

    fn take<T>(&mut self, value: Result<T, Invalid>) -> Option<T> {
        self.rejected += usize::from(value.is_err());
        value.ok()
    }
}

/// Whether the database has this program's layout. An empty one has no layout yet.
fn is_ours(transaction: &ReadTransaction) -> Result<bool, FileError> {
    let tables: Vec<_> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    if tables.is_empty() {
        return Ok(false);
    }
    let format = if tables.iter().any(|name| name == "meta") {
        let table = transaction.open_table(META)?;
        table.get(META_FORMAT)?.map(|value| value.value())
    } else {
        None
    };
    match format {
        Some(FORMAT) => Ok(true),
        Some(newer) if newer > FORMAT => {
            let detail = format!("its format {newer} is later than {FORMAT}");
            Err(FileError::bad(BadFileKind::Newer, detail))
        }
        _ => {
            let detail = "it is a database of another program";
            Err(FileError::bad(BadFileKind::Foreign, detail))
        }
    }
}

fn bounded(bytes: &[u8]) -> Result<&[u8], Invalid> {
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(Invalid::Value("a value is too large"));
    }
    Ok(bytes)
}
