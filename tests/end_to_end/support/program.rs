//! A program that runs during a test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::eventually;

/// The number of log lines that a failed test prints.
const LINES_SHOWN: usize = 40;

/// A running program. It is killed on drop.
pub(crate) struct Program {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts the program, with its own log file in the directory.
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

    /// Kills it with SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal to it.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await;
        assert!(sent.unwrap().success(), "{} has ended", self.name);
    }

    /// The address in the "listening" line of the log. All these programs log one.
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
                // Prometheus first logs the configured address, with port 0.
                .find(|address: &SocketAddr| address.port() != 0)
                .ok_or(log)
        })
        .await
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "the log shows why a test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("---- {}:\n{}", self.name, last.join("\n"));
        }
    }
}
