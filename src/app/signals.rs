//! The signals that end the process.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Error;

/// A token that is cancelled at the first SIGTERM or SIGINT. Later signals have no effect: the
/// drain has its own deadline.
pub(super) fn shutdown() -> Result<CancellationToken, Error> {
    let fail = |error| format!("cannot handle signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let shutdown = CancellationToken::new();
    let cancel = shutdown.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stopping: finishing what is in flight");
        cancel.cancel();
    });
    Ok(shutdown)
}
