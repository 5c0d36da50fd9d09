//! Notifications to the service manager.

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

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_in_the_abstract_namespace() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};

    let api = Api::start(world()).await;
    let name = format!("origin-region-exporter-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = StdDatagram::bind_addr(&address).unwrap();
    manager.set_nonblocking(true).unwrap();
    let manager = UnixDatagram::from_std(manager).unwrap();
    let socket = format!("@{name}");
    let config = Config::default().text(&api.simulator.base_url());
    let daemon = Daemon::start_with(&config, &[], &[("NOTIFY_SOCKET", &socket)]).await;
    wait_for(&manager, "READY=1").await;
    daemon.stop().await;
}

/// Receives messages until one contains this line.
async fn wait_for(manager: &UnixDatagram, line: &str) -> String {
    let mut buffer = [0; 1024];
    timeout(PATIENCE, async {
        loop {
            let length = manager.recv(&mut buffer).await.unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|received| received == line) {
                return message;
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{line} was not sent"))
}
