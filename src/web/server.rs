//! Accepts connections, serves them, and ends in order.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::connections::{Connections, Place};
use super::handlers::Handlers;
use super::limits::Limits;
use super::listen::Listener;
use super::progress::WriteProgress;

/// Pause after an accept error. Such an error is mostly a lack of file descriptors, which asking
/// again at once does not cure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Answers on the listeners until `shutdown` is cancelled. Then it accepts nothing more, closes
/// idle connections, lets the responses in flight finish for the time of the limits, and returns.
pub async fn serve(
    listeners: Vec<Listener>,
    handlers: Handlers,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        handlers: Arc::new(handlers),
        connections: Connections::new(limits.connections),
        http: http1_builder(&limits),
        limits,
        shutdown,
        cut: CancellationToken::new(),
        tasks: TaskTracker::new(),
    });
    for listener in listeners {
        info!(address = %listener.local_addr(), "Listening");
        server.tasks.spawn(Arc::clone(&server).accept(listener));
    }
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

fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The buffer may not be smaller than the head that must fit into it. Bodies that are sent do
    // not go through it: with `writev` they are written from where they are.
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes)
        .writev(true);
    http
}

struct Server {
    handlers: Arc<Handlers>,
    connections: Arc<Connections>,
    http: http1::Builder,
    limits: Limits,
    /// No more connections and requests.
    shutdown: CancellationToken,
    /// End every connection at once.
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: Listener) {
        let shutdown = self.shutdown.clone();
        shutdown
            .run_until_cancelled(async {
                loop {
                    match listener.socket().accept().await {
                        Ok((stream, peer)) => self.admit(stream, peer).await,
                        Err(error) => {
                            warn!(
                                address = %listener.local_addr(),
                                %error,
                                "Cannot accept a connection; closing one that waits and trying again"
                            );
                            self.connections.cut_longest_waiting();
                            sleep(ACCEPT_PAUSE).await;
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

    async fn connection(&self, stream: TcpStream, peer: SocketAddr, place: Arc<Place>) {
        // A response is written at once and whole; waiting for more to send would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "Cannot set TCP_NODELAY");
        }
        let io = TokioIo::new(WriteProgress::new(stream, self.limits.stall_timeout));
        let service = service_fn(|request| self.answer(request, peer, &place));
        let mut connection = pin!(self.http.serve_connection(io, service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            debug!(%peer, %error, "Connection ended");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        place: &Arc<Place>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let busy = place.busy();
        let start = Instant::now();
        let (head, _unread_body) = request.into_parts();
        let reply = self.handlers.answer(&head).await;
        debug!(
            %peer,
            method = %head.method,
            path = head.uri.path(),
            status = reply.status().as_u16(),
            elapsed = ?start.elapsed(),
            "Request"
        );
        Ok(reply.into_response(&head.method, busy))
    }
}
