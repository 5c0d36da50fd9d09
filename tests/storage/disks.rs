//! Failing disks, and a path that is not a folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::support::{Scrape, Setup};

const ZONE: &str = "a.example";

/// A small, separate file system.
struct Mount(TempDir);

impl Mount {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
        let mounted = Command::new("mount")
            .args(options)
            .arg(folder.path())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&mounted.stderr);
        assert!(mounted.status.success(), "this user cannot mount: {error}");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let done = Command::new("mount")
            .args(["-o", &options])
            .arg(self.path())
            .status();
        assert!(done.unwrap().success(), "{options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

async fn setup() -> Setup {
    Setup::new(&[ZONE], "interval: 200ms, retries: 0", "").await
}

fn is_up(scrape: &Scrape) -> bool {
    scrape.sum(&["exporter_storage_up"]) == 1.0
}

#[tokio::test]
#[ignore = "mounts a file system, which only root may; run by scripts/test"]
async fn a_full_disk_stops_nothing_and_is_recovered_from() {
    let mount = Mount::new();
    let setup = setup().await.stored_at(&mount.path().join("storage"));
    let life = setup.start().await;
    life.until("the storage is up", is_up).await;
    let filler = mount.path().join("filler");
    let full = fs::write(&filler, vec![7; 16 << 20]);
    assert!(full.is_err(), "the disk is not full");
    // From now on, writes need additional space.
    setup.simulator.update(|world| {
        for number in 0..200 {
            for third in 2..17 {
                let ip = format!("198.18.{third}.{number}");
                world.zone_mut(ZONE).map(&ip, "aws", "us-east-1", None);
            }
        }
    });
    let polls = life
        .until("the storage is down", |scrape| !is_up(scrape))
        .await;
    let polls = polls.sum(&["zone_polls_total"]);
    let scrape = life
        .until("polling continues", |scrape| {
            scrape.sum(&["zone_polls_total"]) > polls + 2.0
        })
        .await;
    assert!(scrape.sum(&["storage_errors_total", "write"]) > 0.0);
    fs::remove_file(&filler).unwrap();
    setup.simulator.update(|world| {
        world.zone_mut(ZONE).mappings.clear();
    });
    life.until("the storage is up again", is_up).await;
    let last = life.scrape().await.sum(&["zone_polls_total"]);
    life.stop().await;
    let life = setup.start().await;
    assert!(life.scrape().await.sum(&["zone_polls_total"]) >= last);
    life.stop().await;
}

#[tokio::test]
#[ignore = "mounts a file system, which only root may; run by scripts/test"]
async fn a_new_storage_on_a_read_only_disk_stops_nothing_and_is_recovered_from() {
    let mount = Mount::new();
    let setup = setup().await.stored_at(mount.path());
    mount.remount("ro");
    let life = setup.start().await;
    let scrape = life
        .until("a is read", |scrape| scrape.mappings().len() == 1)
        .await;
    assert!(!is_up(&scrape));
    assert!(scrape.sum(&["storage_errors_total", "open"]) > 0.0);
    mount.remount("rw");
    life.until("the storage is up", is_up).await;
    life.stop().await;
}

#[tokio::test]
#[ignore = "mounts a file system, which only root may; run by scripts/test"]
async fn what_a_read_only_disk_holds_is_served_and_recovered() {
    let mount = Mount::new();
    let setup = setup().await.stored_at(&mount.path().join("storage"));
    let read_only = |wanted: bool| mount.remount(if wanted { "ro" } else { "rw" });
    outlasts_a_bad_start(&setup, false, read_only).await;
}

#[tokio::test]
#[ignore = "mounts a file system, which only root may; run by scripts/test"]
async fn what_a_full_disk_holds_is_served_and_recovered() {
    let mount = Mount::new();
    let setup = setup().await.stored_at(&mount.path().join("storage"));
    let filler = mount.path().join("filler");
    let file = setup.storage().join("storage.redb");
    let full = |wanted: bool| {
        if wanted {
            // A sparse file has no blocks for zeros, so the first write to them needs space.
            let sparse = file.with_extension("sparse");
            let mut copy = Command::new("cp");
            copy.arg("--sparse=always").args([&file, &sparse]);
            assert!(copy.status().unwrap().success());
            fs::rename(&sparse, &file).unwrap();
            assert!(fs::write(&filler, vec![7; 16 << 20]).is_err());
        } else {
            fs::remove_file(&filler).unwrap();
        }
    };
    outlasts_a_bad_start(&setup, true, full).await;
}

#[tokio::test]
async fn what_a_read_only_folder_holds_is_served_and_recovered() {
    let setup = setup().await.without_privileges();
    let folder = setup.storage().to_owned();
    let read_only = |wanted: bool| {
        let (of_folder, of_file) = if wanted {
            (0o500, 0o400)
        } else {
            (0o700, 0o600)
        };
        let file = folder.join("storage.redb");
        fs::set_permissions(&file, Permissions::from_mode(of_file)).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(of_folder)).unwrap();
    };
    outlasts_a_bad_start(&setup, false, read_only).await;
}

#[tokio::test]
async fn a_file_that_may_not_be_read_at_the_start_is_kept() {
    let setup = setup().await.without_privileges();
    let file = setup.storage().join("storage.redb");
    let life = setup.start().await;
    let scrape = life
        .until("a is read", |scrape| scrape.mappings().len() == 1)
        .await;
    let polls = scrape.sum(&["zone_polls_total"]);
    life.stop().await;
    setup.simulator.add_fault(Fault::new(FaultKind::Hang));
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    let life = setup.start().await;
    let scrape = life.scrape().await;
    assert!(!is_up(&scrape));
    assert!(scrape.mappings().is_empty());
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    life.until("the storage is up", is_up).await;
    life.stop().await;
    let entries = fs::read_dir(setup.storage()).unwrap().flatten();
    let aside = entries
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().contains("storage.redb.unread-"));
    fs::rename(aside.unwrap(), &file).unwrap();
    let life = setup.start().await;
    let scrape = life.scrape().await;
    assert_eq!(scrape.mappings().len(), 1);
    assert!(scrape.sum(&["zone_polls_total"]) >= polls);
    life.stop().await;
}

/// Starts with a storage that was left by a kill and cannot be written, while the API is down.
/// `protect` makes it read-only and writable again.
async fn outlasts_a_bad_start(setup: &Setup, may_be_written: bool, protect: impl Fn(bool)) {
    let life = setup.start().await;
    life.until("a is read twice", |scrape| {
        scrape.sum(&["zone_polls_total"]) > 2.0
    })
    .await;
    setup.simulator.update(|world| {
        world
            .zone_mut(ZONE)
            .map("192.0.2.9", "gcp", "us-central1", None);
    });
    life.until("a change is counted", |scrape| {
        scrape.sum(&["mapping_changes_total", "\"added\""]) == 1.0
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    life.kill().await;
    setup.simulator.add_fault(Fault::new(FaultKind::Hang));
    protect(true);
    let life = setup.start().await;
    let scrape = life.scrape().await;
    assert_eq!(scrape.mappings().len(), 2);
    assert_eq!(scrape.sum(&["mapping_changes_total", "\"added\""]), 1.0);
    assert_eq!(life.changes().await["total"], 1);
    // A full disk may have room for the small writes of a start.
    if !may_be_written {
        assert!(!is_up(&scrape));
        assert!(scrape.sum(&["storage_errors_total", "\"open\""]) > 0.0);
    }
    protect(false);
    let polls = scrape.sum(&["zone_polls_total"]);
    life.until("the storage is up again", is_up).await;
    life.kill().await;
    // Everything is in the file again, including the history.
    let life = setup.start().await;
    let scrape = life.scrape().await;
    assert!(is_up(&scrape));
    assert_eq!(scrape.mappings().len(), 2);
    assert!(scrape.sum(&["zone_polls_total"]) >= polls);
    assert_eq!(life.changes().await["total"], 1);
    life.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_removed_is_made_anew() {
    let setup = setup().await;
    let life = setup.start().await;
    life.until("a is read", |scrape| scrape.mappings().len() == 1)
        .await;
    fs::remove_dir_all(setup.storage()).unwrap();
    life.until("the loss is noticed", |scrape| {
        scrape.sum(&["storage_errors_total", "write"]) > 0.0 && is_up(scrape)
    })
    .await;
    let last = life.scrape().await.sum(&["zone_polls_total"]);
    life.stop().await;
    let life = setup.start().await;
    assert!(life.scrape().await.sum(&["zone_polls_total"]) >= last);
    life.stop().await;
}

#[tokio::test]
async fn a_second_process_ends_and_the_first_goes_on() {
    let setup = setup().await;
    let life = setup.start().await;
    let (code, log) = setup.fails().await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("is in use by another process"), "{log}");
    let scrape = life.until("a is read", |scrape| scrape.mappings().len() == 1);
    assert!(is_up(&scrape.await));
    life.stop().await;
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_an_error() {
    let setup = setup().await;
    fs::write(setup.storage(), "").unwrap();
    let (code, log) = setup.fails().await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("is not a folder"), "{log}");
}
