//! Notifications to the service manager (`sd_notify`). No-op without `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
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

/// A reload has begun. `Type=notify-reload` requires the time.
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

/// Notifies the watchdog until the shutdown.
pub(super) async fn keep_alive(poller: PollerHandle, shutdown: CancellationToken) {
    let Some(timeout) = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero()) else {
        return shutdown.cancelled().await;
    };
    let feeding = feed(&poller, timeout, || notify(&[NotifyState::Watchdog]));
    shutdown.run_until_cancelled(feeding).await;
}

/// Calls `fed` twice per watchdog time-out, each time after the poller's loop has responded. So a
/// process that serves but no longer polls is restarted.
async fn feed(poller: &PollerHandle, timeout: Duration, fed: impl Fn()) {
    let mut ticks = tokio::time::interval((timeout / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        if poller.ping().await {
            fed();
        }
    }
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
    if let Some(name) = address.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(address)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::app::parts::Parts;
    use crate::config::{self, Environment, Format, ProcessFlags};

    #[tokio::test]
    async fn only_a_poller_that_polls_feeds_the_watchdog() {
        const TIMEOUT: Duration = Duration::from_millis(20);
        let text = "cloudflare: { base_url: 'http://127.0.0.1:9' }";
        let environment = Environment::new([("CLOUDFLARE_API_TOKEN", "token")], None);
        let flags = ProcessFlags::default();
        let settings = config::load_text("x", Format::Yaml, text, &flags, &environment).unwrap();
        let (Parts { poller: handle, .. }, poller) = Parts::new(&settings).unwrap();
        let fed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&fed);
        let feeding = tokio::spawn(async move {
            let fed = || {
                count.fetch_add(1, Ordering::Relaxed);
            };
            feed(&handle, TIMEOUT, fed).await;
        });
        tokio::time::sleep(10 * TIMEOUT).await;
        assert_eq!(fed.load(Ordering::Relaxed), 0, "it does not run yet");

        let polling = tokio::spawn(poller.run(CancellationToken::new()));
        let fed_thrice = async {
            while fed.load(Ordering::Relaxed) < 3 {
                tokio::time::sleep(TIMEOUT).await;
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, fed_thrice).await.unwrap();

        polling.abort();
        assert!(polling.await.unwrap_err().is_cancelled());
        let before = fed.load(Ordering::Relaxed);
        tokio::time::sleep(10 * TIMEOUT).await;
        // One call may have been in progress.
        assert!(fed.load(Ordering::Relaxed) <= before + 1);
        feeding.abort();
    }
}
