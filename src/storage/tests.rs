mod other_files;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use prometheus::Registry;
use tempfile::TempDir;

use super::*;
use crate::domain::{AccountName, Mapping, OriginIp, Region, Vendor, Zone, ZoneMappings, ZoneName};
use crate::findings::TieredCache;
use crate::history::{ChangeKind, Details, Query};
use crate::snapshot::{ChangeCounts, LastPoll, StaleAfter, ZoneData};

const START: &str = "2026-03-01T12:00:00Z";

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn mappings(count: u8) -> Arc<ZoneMappings> {
    let rows = (0..count).map(|number| Mapping {
        origin_ip: OriginIp::parse(&format!("192.0.2.{number}")).unwrap(),
        vendor: Vendor::Aws,
        region: Region::parse("us-east-1").unwrap(),
        modified_on: Some(start()),
    });
    Arc::new(ZoneMappings::from_rows(rows.collect()).unwrap())
}

/// The zone after this many good polls.
fn zone(name: &str, polls: u64, mappings: &Arc<ZoneMappings>) -> Arc<ZoneState> {
    let ended = Timestamp::now();
    Arc::new(ZoneState {
        zone: Zone {
            name: ZoneName::parse(name).unwrap(),
            ..Zone::unknown(id(name))
        },
        account: AccountName::parse("default").unwrap(),
        interval: Duration::from_mins(5),
        stale_after: StaleAfter::Never,
        last_poll: Some(LastPoll {
            ended,
            duration: Duration::from_millis(7),
            error: None,
        }),
        last_success: Some(ended),
        failing_since: None,
        data: Some(ZoneData {
            mappings: Arc::clone(mappings),
            findings: Arc::default(),
        }),
        tiered_cache: TieredCache::default(),
        changes: Some(ChangeCounts::default()),
        polls,
        errors: BTreeMap::new(),
        rejected_rows: 0,
    })
}

fn id(name: &str) -> ZoneId {
    ZoneId::parse(&name.replace('.', "-")).unwrap()
}

/// A storage in a folder, and its metrics.
struct Opened {
    storage: Storage,
    restored: Restored,
    registry: Registry,
}

impl Opened {
    fn in_folder(path: &Path) -> Self {
        Self::try_in_folder(path).unwrap()
    }

    fn try_in_folder(path: &Path) -> Result<Self, OpenError> {
        let registry = Registry::new();
        let (storage, restored) = Storage::open(
            &Settings {
                path: path.to_owned(),
            },
            &history::Settings::default(),
            Metrics::register(&registry).unwrap(),
            Timestamp::now(),
        )?;
        Ok(Self {
            storage,
            restored,
            registry,
        })
    }

    /// The value of a family without labels, or of the errors of one operation.
    fn metric(&self, name: &str, operation: Option<&str>) -> u64 {
        let name = format!("cloudflare_origin_region_exporter_storage_{name}");
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metric = family.unwrap().get_metric().iter().find(|metric| {
            operation.is_none_or(|operation| metric.get_label()[0].value() == operation)
        });
        let metric = metric.unwrap();
        let value = match operation {
            Some(_) => metric.get_counter().get_value(),
            None => metric.get_gauge().get_value(),
        };
        format!("{value:.0}").parse().unwrap()
    }

    fn errors(&self) -> [u64; 3] {
        ["open", "read", "write"].map(|operation| self.metric("errors_total", Some(operation)))
    }

    async fn close(self) {
        assert!(self.storage.close().await);
        // The thread releases the folder after its last report.
        drop(self.storage);
    }
}

/// Opens the folder again as soon as the previous storage's thread has released it.
async fn reopen(path: &Path) -> Opened {
    for _ in 0..500 {
        match Opened::try_in_folder(path) {
            Err(OpenError::Busy(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("the folder stays in use");
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file_of(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("storage.redb")
}

fn set_aside(folder: &TempDir, word: &str) -> usize {
    let entries = fs::read_dir(folder.path()).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.contains(word)).count()
}

#[tokio::test]
async fn what_was_put_is_there_after_a_restart() {
    let folder = folder();
    let first = Opened::in_folder(folder.path());
    assert!(first.restored.zones.is_empty());
    assert_eq!(first.errors(), [0; 3]);
    let state = zone("a.example", 3, &mappings(5));
    let added = Details::new(ChangeKind::MappingAdded);
    let changes = first
        .restored
        .history
        .record(&state.zone, Timestamp::now(), vec![added], |_| None);
    first.storage.put_zone(Arc::clone(&state), &changes);
    first
        .storage
        .put_zone(zone("gone.example", 1, &mappings(1)), &[]);
    first.storage.zone_left(&id("gone.example"));
    first.storage.put(Kind::Host, "origin.example", [1, 2, 3]);
    first.storage.put(Kind::Host, "other.example", 7);
    first.storage.put(Kind::Host, "removed.example", 8);
    first.storage.remove(Kind::Host, "removed.example");
    first.close().await;

    let mode = fs::metadata(file_of(&folder)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = reopen(folder.path()).await;
    let restored = &second.restored;
    let found = &restored.zones[&id("a.example")];
    let expected = ZoneState {
        interval: found.state.interval,
        ..ZoneState::clone(&state)
    };
    assert_eq!(found.state, expected);
    assert!(restored.zones[&id("gone.example")].left.is_some());
    let page = restored.history.query(&Query::default(), Timestamp::now());
    assert_eq!(page.changes, changes);
    assert_eq!(
        restored.parts.get(Kind::Host, "origin.example"),
        Some([1, 2, 3])
    );
    let hosts: Vec<_> = restored
        .parts
        .all::<serde_json::Value>(Kind::Host)
        .collect();
    assert_eq!(hosts.len(), 2);
    let removed = vec![Details::new(ChangeKind::MappingRemoved)];
    let latest = restored
        .history
        .record(&state.zone, Timestamp::now(), removed, |_| None);
    assert_eq!(latest[0].id, changes[0].id + 1);
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_goes_on() {
    let folder = folder();
    let first = Opened::in_folder(folder.path());
    let second = Opened::try_in_folder(folder.path()).err();
    assert!(matches!(second, Some(OpenError::Busy(_))), "{second:?}");
    first
        .storage
        .put_zone(zone("a.example", 1, &mappings(1)), &[]);
    assert!(first.storage.flush().await);
    assert_eq!(first.errors(), [0; 3]);
}

#[tokio::test]
async fn writes_come_by_themselves_and_less_than_a_second_behind() {
    let folder = folder();
    let opened = Opened::in_folder(folder.path());
    let before = fs::read(file_of(&folder)).unwrap();
    opened
        .storage
        .put_zone(zone("a.example", 1, &mappings(1)), &[]);
    tokio::time::sleep(Duration::from_millis(950)).await;
    assert_ne!(fs::read(file_of(&folder)).unwrap(), before);
}

#[tokio::test]
async fn the_log_of_activity_stays_short_and_the_last_one_counts() {
    let folder = folder();
    let opened = Opened::in_folder(folder.path());
    let same = mappings(50);
    for polls in 1..=1_500 {
        for name in ["a.example", "b.example"] {
            opened.storage.put_zone(zone(name, polls, &same), &[]);
        }
        if polls % 50 == 0 {
            assert!(opened.storage.flush().await);
        }
    }
    // Each flush writes only the latest state, so it would take many more to matter.
    let size = opened.metric("size_bytes", None);
    assert!(size < 1_000_000, "{size}");
    opened.close().await;
    let again = reopen(folder.path()).await;
    for name in ["a.example", "b.example"] {
        let state = &again.restored.zones[&id(name)].state;
        assert_eq!(state.polls, 1_500);
        assert_eq!(state.mappings(), same.as_slice());
    }
}

#[tokio::test]
async fn damage_anywhere_costs_no_more_than_what_was_stored() {
    let folder = folder();
    let opened = Opened::in_folder(folder.path());
    for number in 0..40 {
        let name = format!("{number}.example");
        opened.storage.put_zone(zone(&name, 1, &mappings(200)), &[]);
    }
    opened.close().await;
    let whole = reopen(folder.path()).await;
    let zones = whole.restored.zones.clone();
    assert_eq!(zones.len(), 40);
    let good = fs::read(file_of(&folder)).unwrap();
    let mut random = fastrand::Rng::with_seed(2026);
    let mut set_aside_files = 0;
    for round in 0..60 {
        let scratch = self::folder();
        let mut bad = good.clone();
        if round % 3 == 0 {
            bad.truncate(random.usize(..good.len()));
        } else {
            for _ in 0..random.usize(1..2000) {
                let at = random.usize(..bad.len());
                bad[at] = random.u8(..);
            }
        }
        fs::write(file_of(&scratch), &bad).unwrap();
        let opened = Opened::in_folder(scratch.path());
        assert_eq!(opened.metric("up", None), 1, "round {round}");
        let set_aside = opened.errors()[1];
        if set_aside == 0 {
            assert_eq!(opened.restored.zones, zones, "round {round}");
        }
        set_aside_files += set_aside;
    }
    assert!(set_aside_files > 30, "{set_aside_files}");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_made_anew_with_everything_in_it() {
    let parent = folder();
    let path = parent.path().join("storage");
    let opened = Opened::in_folder(&path);
    let state = zone("a.example", 1, &mappings(1));
    let added = vec![Details::new(ChangeKind::MappingAdded)];
    let history = &opened.restored.history;
    let changes = history.record(&state.zone, Timestamp::now(), added, |_| None);
    opened.storage.put_zone(state, &changes);
    opened.storage.put(Kind::Window, "default", 5);
    assert!(opened.storage.flush().await);
    fs::remove_dir_all(&path).unwrap();
    assert!(opened.storage.flush().await);
    assert_eq!(opened.metric("up", None), 1);
    opened.close().await;
    let again = reopen(&path).await.restored;
    assert_eq!(again.zones.len(), 1);
    assert_eq!(again.parts.get(Kind::Window, "default"), Some(5));
    let page = again.history.query(&Query::default(), Timestamp::now());
    assert_eq!(page.changes, changes);
}

#[tokio::test]
async fn zones_that_nobody_lists_any_more_are_forgotten_after_thirty_days() {
    let folder = folder();
    let opened = Opened::in_folder(folder.path());
    let mut old = ZoneState::clone(&zone("old.example", 1, &mappings(1)));
    let long_ago = Timestamp::now() - Duration::from_hours(31 * 24);
    if let Some(poll) = &mut old.last_poll {
        poll.ended = long_ago;
    }
    old.last_success = Some(long_ago);
    let mut model = model::Model::default();
    model.rewrite = true;
    let mut batch = pending::Batch::default();
    let update = |state| ZoneUpdate {
        state: Some(state),
        left: false,
    };
    batch.zones.insert(id("old.example"), update(Arc::new(old)));
    batch.parts.insert(
        (Kind::Sources, "old-example".to_owned()),
        Some(encoder(Kind::Sources, 1)),
    );
    let recent = zone("recent.example", 1, &mappings(1));
    batch.zones.insert(id("recent.example"), update(recent));
    model.add(batch, long_ago);
    model.forget(Timestamp::now());
    assert!(!model.has_zone(&id("old.example")));
    assert!(model.has_zone(&id("recent.example")));
    opened.close().await;
}

#[tokio::test]
async fn something_else_in_the_place_of_the_folder_is_an_error() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let error = Opened::try_in_folder(&path).err().unwrap();
    assert!(matches!(error, OpenError::NotAFolder(_)));
    assert!(error.to_string().contains("is not a folder"), "{error}");
}

#[tokio::test]
async fn a_value_that_cannot_be_read_costs_no_change_of_the_history() {
    let folder = folder();
    let changes = closed_with_a_change(folder.path()).await;
    let database = redb::Database::open(file_of(&folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut zones = transaction.open_table(tables::ZONES).unwrap();
    zones.insert("bad", b"bad".as_slice()).unwrap();
    drop(zones);
    transaction.commit().unwrap();
    drop(database);
    for rejected in [1, 0] {
        let opened = reopen(folder.path()).await;
        assert_eq!(opened.errors()[1], rejected);
        let history = &opened.restored.history;
        let page = history.query(&Query::default(), Timestamp::now());
        assert_eq!(page.changes, changes);
        opened.close().await;
    }
    let history = reopen(folder.path()).await.restored.history;
    let state = zone("a.example", 2, &mappings(2));
    let added = vec![Details::new(ChangeKind::MappingAdded)];
    let next = history.record(&state.zone, Timestamp::now(), added, |_| None);
    assert!(next[0].id > changes[0].id);
}

/// A storage that was closed after a change of one zone.
async fn closed_with_a_change(path: &Path) -> Vec<Arc<Change>> {
    let opened = Opened::in_folder(path);
    let state = zone("a.example", 1, &mappings(1));
    let added = vec![Details::new(ChangeKind::MappingAdded)];
    let history = &opened.restored.history;
    let changes = history.record(&state.zone, Timestamp::now(), added, |_| None);
    opened.storage.put_zone(state, &changes);
    opened.close().await;
    // The thread releases the folder after its last report.
    let closed = std::time::Instant::now();
    while let Err(error) = folder::Folder::open(path) {
        assert!(matches!(error, OpenError::Busy(_)), "{error}");
        assert!(closed.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    changes
}

/// Puts the file that was set aside as unread into place again, and holds it against `changes`.
async fn assert_nothing_is_lost(path: &Path, changes: &[Arc<Change>]) {
    let entries = fs::read_dir(path).unwrap().flatten();
    let unread = |path: &std::path::PathBuf| path.to_string_lossy().contains("unread-");
    let aside: Vec<_> = entries.map(|entry| entry.path()).filter(unread).collect();
    assert_eq!(aside.len(), 1);
    fs::rename(&aside[0], path.join("storage.redb")).unwrap();
    let restored = reopen(path).await.restored;
    assert!(restored.zones.contains_key(&id("a.example")));
    let page = restored.history.query(&Query::default(), Timestamp::now());
    assert_eq!(page.changes, changes);
}
