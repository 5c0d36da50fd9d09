//! Accepts connections, serves them, and shuts down gracefully.

mod activity;
mod admission;
mod connection;
mod limits;
mod listen;
mod peer;
mod response_body;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

pub(super) use self::activity::InFlight;
pub(super) use self::admission::Connection;
pub use self::limits::Limits;
pub use self::listen::{ListenError, bind, is_listen_address};
pub(super) use self::peer::Peer;
pub(super) use self::response_body::{Held, ResponseBody};

use self::admission::Admission;
use super::protection::Protection;
use super::router::Router;

/// The pause after an accept error, which is usually a lack of file descriptors that an immediate
/// retry does not fix. Also the least time between two warnings.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// The pause after an accept error if a connection was closed to make room: long enough for it to
/// close, short enough for a scrape queued behind hundreds of silent connections.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(10);

/// Serves requests on the listeners, protected by `protection`, until `shutdown` is cancelled. Then
/// stops accepting, closes idle connections, lets responses in flight finish within the drain
/// time-out, and returns.
pub async fn serve(
    listeners: Vec<TcpListener>,
    protection: Protection,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        router,
        protection: Arc::new(protection),
        admission: Admission::new(limits.connections),
        http1: connection::http1(&limits),
        http2: connection::http2(&limits),
        limits,
        shutdown: shutdown.clone(),
        cut: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    for listener in listeners {
        info!(
            address = listener.local_addr().ok().map(tracing::field::display),
            "listening"
        );
        let accept = Arc::clone(&server).accept(listener);
        let stop = shutdown.clone();
        server.tasks.spawn(stop.run_until_cancelled_owned(accept));
    }
    let follow = Arc::clone(&server.protection).follow();
    shutdown.run_until_cancelled(follow).await;
    shutdown.cancelled().await;
    server.tasks.close();
    let after = server.limits.drain_timeout;
    if timeout(after, server.tasks.wait()).await.is_err() {
        warn!(?after, "drain timed out; cutting the remaining responses");
        server.cut.cancel();
        server.tasks.wait().await;
    }
}

/// The state that all connections share.
struct Server {
    router: Router,
    protection: Arc<Protection>,
    admission: Arc<Admission>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    limits: Limits,
    /// When cancelled, no more connections and requests are accepted.
    shutdown: CancellationToken,
    /// When cancelled, every connection is closed immediately.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Accepts connections forever.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut warned = None::<Instant>;
        loop {
            let error = match listener.accept().await {
                Ok((stream, peer)) => {
                    self.admit(stream, peer).await;
                    continue;
                }
                Err(error) => error,
            };
            if warned.is_none_or(|at| at.elapsed() >= ACCEPT_PAUSE) {
                warned = Some(Instant::now());
                warn!(
                    address = listener.local_addr().ok().map(tracing::field::display),
                    %error,
                    "cannot accept a connection; closing two idle ones and retrying"
                );
            }
            let cut = self.admission.cut_one();
            // Closing a second connection frees a descriptor for the polls.
            self.admission.cut_one();
            sleep(if cut { PAUSE_AFTER_CUT } else { ACCEPT_PAUSE }).await;
        }
    }

    /// Closes the connection without a response if there is no place, because writing one would
    /// mean waiting for the client.
    async fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let cut = self.cut.child_token();
        let Some(place) = self.admission.admit(peer, cut.clone()).await else {
            return debug!(%peer, "connection refused: no place is free");
        };
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let connection = server.serve(stream, &place.connection);
            if cut.run_until_cancelled(connection).await.is_none() {
                debug!(%peer, "connection cut");
            }
        });
    }
}
