//! Socket activation: systemd opens the socket and passes it at the first connection.

use std::net::TcpListener;

use tokio::process::Command;

use crate::support::program::Program;
use crate::support::{eventually, http};

#[tokio::test]
#[ignore = "needs systemd-socket-activate (Debian's systemd); run by scripts/test"]
async fn the_daemon_serves_on_a_socket_that_systemd_opened() {
    let directory = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let _activated = Program::start(
        "systemd-socket-activate",
        directory.path(),
        Command::new("systemd-socket-activate")
            .arg("--listen")
            .arg(address.to_string())
            .arg(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"))
            .args(["demo", "--web.systemd-socket"]),
    );
    let client = http();
    let text = eventually("metrics on the socket", async || {
        let answer = client.get(format!("http://{address}/metrics")).send().await;
        let text = answer.map_err(|error| error.to_string())?.text().await;
        let text = text.map_err(|error| error.to_string())?;
        if text.contains("_zone_up{") {
            Ok(text)
        } else {
            Err(text)
        }
    })
    .await;
    assert!(text.contains("_build_info{"), "{text}");
}
