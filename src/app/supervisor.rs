//! Notifications to the service manager (`sd_notify`). No-op without `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::poller::PollerHandle;

/// The listeners are up, or a reload has ended.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// A reload has begun. `Type=notify-reload` asks for the time.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "cannot notify the service manager of a reload"),
    }
}

/// The drain has begun.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Feeds the watchdog, twice in its time, until the shutdown. It is fed only after the poller's
/// loop has come round, so a process that serves but does not poll is restarted.
pub(super) async fn keep_alive(poller: PollerHandle, shutdown: CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero())
    else {
        return shutdown.cancelled().await;
    };
    let mut ticks = tokio::time::interval((patience / 2).max(Duration::from_millis(1)));
    let feeding = async {
        loop {
            ticks.tick().await;
            if poller.ping().await {
                notify(&[NotifyState::Watchdog]);
            }
        }
    };
    shutdown.run_until_cancelled(feeding).await;
}

fn notify(states: &[NotifyState<'_>]) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&address, states) {
        warn!(%error, "cannot notify the service manager");
    }
}

fn send(address: &OsStr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let mut message = String::new();
    for state in states {
        // Writing to a string cannot fail.
        let _ = writeln!(message, "{state}");
    }
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&socket_address(address)?)?;
    socket.send(message.as_bytes())?;
    Ok(())
}

/// A path, or with a leading `@` a name in Linux's abstract namespace.
fn socket_address(address: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(address)
}
