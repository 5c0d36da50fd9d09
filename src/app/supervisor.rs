//! What the service manager is told (`sd_notify`). Without one, nothing is said to nobody.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The listeners are up, or a reload has ended.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun. The time is what `Type=notify-reload` asks for.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot tell the service manager that a reload has begun"),
    }
}

/// The drain has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the process is alive, twice in the time in which the service manager wants to hear
/// it, until the shutdown. It is said from the runtime that polls and serves: where that hangs,
/// nothing is said.
pub(super) async fn keep_alive(shutdown: CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
    else {
        return shutdown.cancelled().await;
    };
    let mut turns = tokio::time::interval((patience / 2).max(Duration::from_millis(1)));
    while shutdown.run_until_cancelled(turns.tick()).await.is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell the service manager the state of this process");
    }
}
