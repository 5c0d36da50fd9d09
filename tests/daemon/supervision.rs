//! What the service manager is told.

use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::{Api, Config, Daemon, PATIENCE, world};

#[tokio::test]
async fn readiness_reloads_life_and_the_end() {
    let api = Api::start(world()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let socket = path.to_str().unwrap();
    let config = Config::default().text(&api.simulator.base_url());
    let patience = Duration::from_millis(400).as_micros().to_string();
    let environment = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", &patience)];
    let mut daemon = Daemon::start_with(&config, &[], &environment).await;
    wait_for(&manager, "READY=1").await;
    daemon.until_read().await;
    for _ in 0..3 {
        wait_for(&manager, "WATCHDOG=1").await;
    }
    daemon.signal("HUP");
    let reloading = wait_for(&manager, "RELOADING=1").await;
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    wait_for(&manager, "READY=1").await;
    daemon.signal("TERM");
    wait_for(&manager, "STOPPING=1").await;
    daemon.ended().await;
}

/// Takes messages until one has this line.
async fn wait_for(manager: &UnixDatagram, line: &str) -> String {
    let mut buffer = [0; 1024];
    timeout(PATIENCE, async {
        loop {
            let length = manager.recv(&mut buffer).await.unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|told| told == line) {
                return message;
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{line} was not told"))
}
