//! Runs commands of the program against a simulated API.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Simulator, World};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time limit of every command.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const TOKEN: &str = "s3cret-token-of-the-commands";

/// Zones of a token with all permissions.
pub(crate) fn world() -> World {
    World::single_token(TOKEN)
        .zone(
            "a.test",
            [
                ("192.0.2.1", "aws", "us-east-1"),
                ("2001:db8::1", "gcp", "us-central1"),
            ],
        )
        .zone("b.test", [])
}

/// A simulated API, and a folder with a configuration for it.
pub(crate) struct Setup {
    pub(crate) api: Simulator,
    pub(crate) folder: TempDir,
    _guard: DropGuard,
}

impl Setup {
    /// Adds `more` to the default configuration.
    pub(crate) async fn new(world: World, more: &str) -> Self {
        let shutdown = CancellationToken::new();
        let api = Simulator::local(world, shutdown.clone()).await.unwrap();
        let setup = Self {
            api,
            folder: tempfile::tempdir().unwrap(),
            _guard: shutdown.drop_guard(),
        };
        let usual = format!(
            "cloudflare: {{ base_url: \"{}\" }}\n\
             accounts: [{{ name: main, api_token: {TOKEN} }}]\n",
            setup.api.base_url()
        );
        fs::write(setup.file(), usual + more).unwrap();
        setup
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("exporter.yaml")
    }

    /// Runs a command with the configuration.
    pub(crate) async fn run(&self, words: &[&str]) -> Ended {
        let file = self.file();
        let mut all = vec![OsStr::new("--config.file"), file.as_os_str()];
        all.extend(words.iter().map(OsStr::new));
        run(&mut command(&all)).await
    }

    /// The exit code of a command whose standard output is a full disk.
    pub(crate) async fn run_on_full_disk(&self, words: &[&str]) -> Option<i32> {
        let file = self.file();
        let mut all = vec![OsStr::new("--config.file"), file.as_os_str()];
        all.extend(words.iter().map(OsStr::new));
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let child = command(&all).stdout(full.unwrap()).spawn().unwrap();
        let ended = timeout(PATIENCE, child.wait_with_output()).await;
        ended
            .expect("the command ends in time")
            .unwrap()
            .status
            .code()
    }

    /// Runs a command without a configuration file, with these variables.
    pub(crate) async fn run_in(&self, variables: &[(&str, &str)], words: &[&str]) -> Ended {
        let mut command = command(words);
        command.env(
            "ORIGIN_REGION_EXPORTER__CLOUDFLARE__BASE_URL",
            self.api.base_url(),
        );
        command.envs(variables.iter().copied());
        run(&mut command).await
    }
}

pub(crate) fn command(words: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"));
    let own = |name: &str| name.starts_with("CLOUDFLARE_") || name.starts_with("ORIGIN_REGION");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(own) {
            command.env_remove(name);
        }
    }
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(command: &mut Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the command ends in time").unwrap();
    let ended = Ended {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    };
    for secret in ["s3cret", "Bearer "] {
        assert!(!ended.out.contains(secret) && !ended.err.contains(secret));
    }
    ended
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Panics unless it ended with this code.
    #[track_caller]
    pub(crate) fn code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Panics unless standard output contains each of these words.
    #[track_caller]
    pub(crate) fn prints(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.out.contains(word), "no {word:?} in\n{}", self.out);
        }
        self
    }

    /// Panics unless standard error contains each of these words.
    #[track_caller]
    pub(crate) fn complains(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in\n{}", self.err);
        }
        self
    }
}
