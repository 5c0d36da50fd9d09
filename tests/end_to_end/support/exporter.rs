//! The exporter under test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use super::program::Program;
use super::{eventually, http};

/// A running exporter that has read its zones.
pub(crate) struct Exporter {
    pub(crate) address: SocketAddr,
    program: Program,
}

impl Exporter {
    /// Starts the demo, which polls every three seconds to make the tests faster.
    pub(crate) async fn demo(directory: &Path) -> Self {
        Self::start(directory, |command| {
            command
                .arg("demo")
                .env("ORIGIN_REGION_EXPORTER__POLL__INTERVAL", "3s")
        })
        .await
    }

    /// Starts the demo with storage. Mappings count as unused immediately.
    pub(crate) async fn demo_in_use(directory: &Path) -> Self {
        let storage = directory.join("storage");
        Self::start(directory, |command| {
            command
                .arg("demo")
                .arg("--storage.path")
                .arg(storage)
                .env("ORIGIN_REGION_EXPORTER__POLL__INTERVAL", "3s")
                .env("ORIGIN_REGION_EXPORTER__EXPECT__UNUSED_AFTER", "1s")
        })
        .await
    }

    /// Starts the daemon with this configuration.
    pub(crate) async fn serve(directory: &Path, configuration: &str) -> Self {
        let file = directory.join("exporter.yaml");
        fs::write(&file, configuration).unwrap();
        Self::start(directory, |command| {
            command.arg("serve").arg("--config.file").arg(file)
        })
        .await
    }

    /// Like [`Self::serve`], with storage in the directory.
    pub(crate) async fn serve_stored(directory: &Path, configuration: &str) -> Self {
        fs::write(directory.join("exporter.yaml"), configuration).unwrap();
        Self::stored_at(directory, "127.0.0.1:0").await
    }

    /// Kills it, and starts it again with the same storage and address.
    pub(crate) async fn kill_and_start(&mut self, directory: &Path) {
        self.program.kill().await;
        *self = Self::stored_at(directory, &self.address.to_string()).await;
    }

    async fn stored_at(directory: &Path, address: &str) -> Self {
        Self::start_at(directory, address, |command| {
            command
                .arg("serve")
                .arg("--config.file")
                .arg(directory.join("exporter.yaml"))
                .arg("--storage.path")
                .arg(directory.join("storage"))
        })
        .await
    }

    /// Starts a daemon in its own folder with this configuration and these arguments, on a free
    /// port or on the address of an earlier daemon.
    pub(crate) async fn serve_at(
        directory: &Path,
        address: Option<SocketAddr>,
        configuration: &str,
        arguments: &[&str],
    ) -> Self {
        fs::create_dir_all(directory).unwrap();
        let file = directory.join("exporter.yaml");
        fs::write(&file, configuration).unwrap();
        let address = address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string());
        Self::start_at(directory, &address, |command| {
            command
                .arg("serve")
                .arg("--config.file")
                .arg(file)
                .args(arguments)
        })
        .await
    }

    /// Kills it, as in a crash.
    pub(crate) async fn kill(mut self) {
        self.program.kill().await;
    }

    /// Suspends or resumes the process.
    pub(crate) async fn freeze(&self, frozen: bool) {
        let signal = if frozen { "STOP" } else { "CONT" };
        self.program.signal(signal).await;
    }

    async fn start(directory: &Path, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        Self::start_at(directory, "127.0.0.1:0", arguments).await
    }

    async fn start_at(
        directory: &Path,
        address: &str,
        arguments: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"));
        arguments(command.env_clear()).args(["--web.listen-address", address]);
        let mut program = Program::start("exporter", directory, &mut command);
        let exporter = Self {
            address: program.address().await,
            program,
        };
        eventually("the first round of polls", async || {
            let answer = http().get(exporter.url("/-/ready")).send().await;
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(200) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        exporter
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
