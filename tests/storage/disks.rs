//! Disks that fail, and folders that are none.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Scrape, Setup};

const ZONE: &str = "a.example";

/// A small file system of its own; `None` where this user cannot mount one.
struct Mount(TempDir);

impl Mount {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=8m", "tmpfs"];
        let mounted = Command::new("mount")
            .args(options)
            .arg(folder.path())
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, how: &str) -> bool {
        let options = format!("remount,{how}");
        let done = Command::new("mount")
            .args(["-o", &options])
            .arg(self.path())
            .status();
        done.is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

async fn setup() -> Setup {
    Setup::new(&[ZONE], "interval: 200ms", "").await
}

fn is_up(scrape: &Scrape) -> bool {
    scrape.sum(&["exporter_storage_up"]) == 1.0
}

#[tokio::test]
async fn a_full_disk_stops_nothing_and_is_recovered_from() {
    let Some(mount) = Mount::new() else { return };
    let setup = setup().await.stored_at(&mount.path().join("storage"));
    let life = setup.start().await;
    life.until("the storage is up", is_up).await;
    let filler = mount.path().join("filler");
    let full = fs::write(&filler, vec![7; 16 << 20]);
    assert!(full.is_err(), "the disk is not full");
    // What is written from now on needs room.
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
        .until("polls go on", |scrape| {
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
async fn a_read_only_folder_stops_nothing_and_is_recovered_from() {
    let Some(mount) = Mount::new() else { return };
    let setup = setup().await.stored_at(mount.path());
    assert!(mount.remount("ro"));
    let life = setup.start().await;
    let scrape = life
        .until("a is read", |scrape| scrape.mappings().len() == 1)
        .await;
    assert!(!is_up(&scrape));
    assert!(scrape.sum(&["storage_errors_total", "open"]) > 0.0);
    assert!(mount.remount("rw"));
    life.until("the storage is up", is_up).await;
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
