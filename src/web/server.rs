//! Accepts connections, serves them, and ends in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::connection::Protocols;
use super::connections::{Connections, Place};
use super::handlers::Handlers;
use super::limits::Limits;
use super::listen::Listener;
use super::protection::Protection;

/// Pause after an accept error. Such an error is mostly a lack of file descriptors, which asking
/// again at once does not cure. The log does not tell it more often either.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// The same where a connection was closed to make room: long enough for that to be done, short
/// enough for a scrape that stands behind hundreds of silent connections.
const PAUSE_AFTER_CUT: Duration = Duration::from_millis(10);

/// Answers on the listeners, as `protection` says, until `shutdown` is cancelled. Then it accepts nothing more, closes
/// idle connections, lets the responses in flight finish for the time of the limits, and returns.
pub async fn serve(
    listeners: Vec<Listener>,
    protection: Protection,
    handlers: Handlers,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        handlers,
        protection: Arc::new(protection),
        connections: Connections::new(limits.connections),
        protocols: Protocols::new(&limits),
        limits,
        shutdown,
        cut: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    for listener in listeners {
        info!(address = %listener.local_addr(), "Listening");
        server.tasks.spawn(Arc::clone(&server).accept(listener));
    }
    let following = Arc::clone(&server.protection).follow();
    server.shutdown.run_until_cancelled(following).await;
    server.shutdown.cancelled().await;
    server.tasks.close();
    if timeout(server.limits.drain_timeout, server.tasks.wait())
        .await
        .is_err()
    {
        warn!(
            after = ?server.limits.drain_timeout,
            "Some responses were still under way at the end and were cut"
        );
        server.cut.cancel();
        server.tasks.wait().await;
    }
}

/// What all connections share.
pub(super) struct Server {
    handlers: Handlers,
    pub(super) protection: Arc<Protection>,
    connections: Arc<Connections>,
    pub(super) protocols: Protocols,
    pub(super) limits: Limits,
    /// No more connections and requests.
    pub(super) shutdown: CancellationToken,
    /// End every connection at once.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: Listener) {
        let shutdown = self.shutdown.clone();
        shutdown
            .run_until_cancelled(async {
                let mut told = None::<Instant>;
                loop {
                    match listener.socket().accept().await {
                        Ok((stream, peer)) => self.admit(stream, peer).await,
                        Err(error) => {
                            if told.is_none_or(|at| at.elapsed() >= ACCEPT_PAUSE) {
                                told = Some(Instant::now());
                                warn!(
                                    address = %listener.local_addr(),
                                    %error,
                                    "Cannot accept a connection; closing two that wait and trying again"
                                );
                            }
                            let cut = self.connections.cut_longest_waiting();
                            // A second one leaves a descriptor to the polls.
                            self.connections.cut_longest_waiting();
                            sleep(if cut { PAUSE_AFTER_CUT } else { ACCEPT_PAUSE }).await;
                        }
                    }
                }
            })
            .await;
    }

    async fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let place = self.connections.admit(self.cut.child_token()).await;
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let cut = place.cut().clone();
            let connection = server.connection(stream, peer, place);
            if cut.run_until_cancelled(connection).await.is_none() {
                debug!(%peer, "Connection cut");
            }
        });
    }

    /// Answers a request, and logs and counts it.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        place: &Arc<Place>,
    ) -> Response<Bytes> {
        let busy = place.busy();
        let start = Instant::now();
        let (head, _unread_body) = request.into_parts();
        let protection = self.protection.in_force();
        let reply = self.handlers.answer(&head, &protection).await;
        debug!(
            %peer,
            method = %head.method,
            path = head.uri.path(),
            status = reply.status().as_u16(),
            elapsed = ?start.elapsed(),
            "Request"
        );
        reply
            .with_headers(protection.headers())
            .into_response(&head.method, busy)
    }
}
