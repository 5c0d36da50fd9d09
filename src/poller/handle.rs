//! How the rest of the program reaches a poller that runs.

use tokio::sync::{mpsc, oneshot};

use super::{EvaluationConfig, Settings, ZoneSelection};
use crate::cloudflare::Client;

/// Commands that wait for the poller's task.
const WAITING: usize = 16;

/// What is to be in force from now on.
pub struct Reconfiguration {
    /// How the poller works.
    pub settings: Settings,
    /// What the mappings are evaluated against.
    pub evaluation: EvaluationConfig,
    /// The accounts, in the order of the configuration.
    pub accounts: Vec<ReconfiguredAccount>,
}

/// One account of a new configuration.
pub struct ReconfiguredAccount {
    /// Its client. An account that stays keeps the client that it had.
    pub client: Client,
    /// Which of its zones are wanted.
    pub zones: ZoneSelection,
    /// The account is new, or has other credentials than before.
    pub credentials_changed: bool,
}

/// What the poller can be asked to do.
pub(super) enum Command {
    Reconfigure(Box<Reconfiguration>, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// The poller's end.
pub(super) type Commands = mpsc::Receiver<Command>;

/// A way to reach a poller that runs.
#[derive(Debug, Clone)]
pub struct PollerHandle(mpsc::Sender<Command>);

pub(super) fn channel() -> (PollerHandle, Commands) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (PollerHandle(sender), receiver)
}

impl PollerHandle {
    /// Puts a configuration into force and returns when it is. False when the poller has ended.
    pub async fn reconfigure(&self, change: Reconfiguration) -> bool {
        let change = Box::new(change);
        self.ask(|done| Command::Reconfigure(change, done)).await
    }

    /// Returns when the poller's loop has come round. False if the poller has ended or a poll hangs.
    pub async fn ping(&self) -> bool {
        self.ask(Command::Ping).await
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> bool {
        let (done, answer) = oneshot::channel();
        self.0.send(command(done)).await.is_ok() && answer.await.is_ok()
    }
}
