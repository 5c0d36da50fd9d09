//! Sends commands to a running poller.

use tokio::sync::{mpsc, oneshot};

use super::{EvaluationConfig, Settings, ZoneSelection};
use crate::cloudflare::Client;

/// The most commands that wait for the poller's task.
const WAITING: usize = 16;

/// A new configuration.
pub struct Configuration {
    /// The settings of the poller.
    pub settings: Settings,
    /// What mappings are evaluated against.
    pub evaluation: EvaluationConfig,
    /// The accounts, in the order of the configuration.
    pub accounts: Vec<ConfiguredAccount>,
}

/// An account of a configuration.
pub struct ConfiguredAccount {
    /// Its client. A remaining account keeps its client.
    pub client: Client,
    /// The selection of its zones.
    pub zones: ZoneSelection,
    /// Whether the account is new or its credentials changed.
    pub credentials_changed: bool,
}

/// A command for the poller.
pub(super) enum Command {
    Reconfigure(Box<Configuration>, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// The receiver of commands.
pub(super) type Commands = mpsc::Receiver<Command>;

/// A handle to a running poller.
#[derive(Debug, Clone)]
pub struct PollerHandle(mpsc::Sender<Command>);

pub(super) fn channel() -> (PollerHandle, Commands) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (PollerHandle(sender), receiver)
}

impl PollerHandle {
    /// Applies a configuration and waits until it is in use. False if the poller has ended.
    pub async fn reconfigure(&self, change: Configuration) -> bool {
        let change = Box::new(change);
        self.ask(|done| Command::Reconfigure(change, done)).await
    }

    /// Waits for the poller's loop to respond. False if the poller has ended or a poll hangs.
    pub async fn ping(&self) -> bool {
        self.ask(Command::Ping).await
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> bool {
        let (done, answer) = oneshot::channel();
        self.0.send(command(done)).await.is_ok() && answer.await.is_ok()
    }
}
