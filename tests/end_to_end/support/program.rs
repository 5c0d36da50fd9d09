//! A program that runs beside a test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::eventually;

/// How much of a log a failed test shows.
const LINES_SHOWN: usize = 40;

/// A running program, which is killed when this is dropped.
pub(crate) struct Program {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts it with a log of its own in the directory.
    pub(crate) fn start(name: &'static str, directory: &Path, command: &mut Command) -> Self {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; run scripts/install-e2e-tools"));
        Self { name, log, child }
    }

    /// Ends it by `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it a signal.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await;
        assert!(sent.unwrap().success(), "{} has ended", self.name);
    }

    /// The address in its log's "listening" line, which all of these programs write.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let name = self.name;
        eventually(&format!("the address of {name}"), async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{name} has ended: {status}");
            }
            let log = fs::read_to_string(&self.log).unwrap();
            let lines = log
                .lines()
                .filter(|line| line.to_lowercase().contains("listening"));
            lines
                .filter_map(|line| line.split_once("address=")?.1.parse().ok())
                // Prometheus first logs the address that it is asked for.
                .find(|address: &SocketAddr| address.port() != 0)
                .ok_or(log)
        })
        .await
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "the log tells why a test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("---- {}:\n{}", self.name, last.join("\n"));
        }
    }
}
