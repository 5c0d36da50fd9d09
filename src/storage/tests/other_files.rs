//! Files that this process did not write, or that come at the wrong time.

use super::*;

#[tokio::test]
async fn a_file_that_is_of_no_use_is_set_aside() {
    for (word, bad) in [
        ("foreign", &b"#!/bin/sh\n"[..]),
        ("damaged", &b"redb\x1A\x0A\xA9\x0D\x0A but no more"[..]),
    ] {
        let folder = folder();
        fs::write(file_of(&folder), bad).unwrap();
        let opened = Opened::in_folder(folder.path());
        assert_eq!(opened.errors(), [0, 1, 0]);
        assert_eq!(opened.metric("up", None), 1);
        let aside = set_aside(&folder, "damaged-") + set_aside(&folder, "foreign-");
        assert_eq!(aside, 1, "{word}");
    }
    let folder = folder();
    fs::create_dir(file_of(&folder)).unwrap();
    let opened = Opened::in_folder(folder.path());
    assert_eq!(opened.errors(), [0, 1, 0]);
    assert_eq!(set_aside(&folder, "foreign-"), 1);
}

#[tokio::test]
async fn a_database_of_a_later_version_or_another_program_is_set_aside() {
    for (word, format) in [("newer", Some(tables::FORMAT + 1)), ("foreign", None)] {
        let folder = folder();
        let database = redb::Database::create(file_of(&folder)).unwrap();
        let transaction = database.begin_write().unwrap();
        if let Some(format) = format {
            let mut meta = transaction.open_table(tables::META).unwrap();
            meta.insert(tables::META_FORMAT, format).unwrap();
        } else {
            drop(transaction.open_table(tables::ZONES).unwrap());
        }
        transaction.commit().unwrap();
        drop(database);
        let opened = Opened::in_folder(folder.path());
        assert_eq!(opened.errors(), [0, 1, 0]);
        assert_eq!(set_aside(&folder, word), 1);
    }
}

#[tokio::test]
async fn windows_are_read_from_the_table_in_which_version_0_2_0_wrote_them() {
    for is_downgrade in [false, true] {
        let folder = folder();
        closed_with_a_change(folder.path()).await;
        let database = redb::Database::open(file_of(&folder)).unwrap();
        let transaction = database.begin_write().unwrap();
        if is_downgrade {
            let mut windows = transaction.open_table(tables::WINDOWS).unwrap();
            windows.insert("default", &b"3"[..]).unwrap();
        } else {
            transaction.delete_table(tables::WINDOWS).unwrap();
        }
        let mut parts = transaction.open_table(tables::PARTS).unwrap();
        let key = (Kind::Window.as_str(), "default");
        parts.insert(key, &b"4"[..]).unwrap();
        drop(parts);
        transaction.commit().unwrap();
        drop(database);

        let opened = reopen(folder.path()).await;
        let parts = &opened.restored.parts;
        assert_eq!(parts.get(Kind::Window, "default"), Some(4));
        opened.storage.put(Kind::Window, "default", 5);
        opened.close().await;
        let again = reopen(folder.path()).await.restored;
        assert_eq!(again.parts.get(Kind::Window, "default"), Some(5));
        assert_eq!(again.zones.len(), 1);
    }
}

#[tokio::test]
async fn a_file_that_comes_after_the_start_is_set_aside_and_not_written() {
    let parent = folder();
    let (path, late) = (parent.path().join("storage"), parent.path().join("late"));
    let changes = closed_with_a_change(&late).await;
    let opened = Opened::in_folder(&path);
    let state = zone("b.example", 1, &mappings(1));
    opened.storage.put_zone(state, &[]);
    assert!(opened.storage.flush().await);
    // As when the file system is mounted too late.
    fs::remove_dir_all(&path).unwrap();
    fs::rename(&late, &path).unwrap();
    assert!(opened.storage.flush().await);
    assert_eq!(opened.metric("up", None), 1);
    assert_eq!(opened.errors(), [0, 1, 1]);
    opened.close().await;
    let restored = reopen(&path).await.restored;
    assert_eq!(
        restored.zones.keys().collect::<Vec<_>>(),
        [&id("b.example")]
    );
    assert_nothing_is_lost(&path, &changes).await;
}

#[tokio::test]
async fn a_file_that_is_not_read_in_time_is_set_aside_and_not_written() {
    let folder = folder();
    let changes = closed_with_a_change(folder.path()).await;
    let registry = Registry::new();
    let pending = Arc::new(Pending::default());
    let writer = Writer::new(
        folder.path().to_owned(),
        Metrics::register(&registry).unwrap(),
        Arc::clone(&pending),
        Arc::default(),
    );
    let (sender, started) = mpsc::sync_channel(0);
    // As when the start has waited long enough.
    drop(started);
    pending.flush(true);
    std::thread::spawn(move || writer.run(&sender))
        .join()
        .unwrap();
    assert_nothing_is_lost(folder.path(), &changes).await;
}
