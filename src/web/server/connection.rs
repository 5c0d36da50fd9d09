//! One connection: TLS where it is configured, then the protocol that the client chose.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::admission::Place;
use super::http2_body::Chunks;
use super::limits::Limits;
use super::write_timeout::WriteTimeout;
use crate::web::protection::Protection;
use crate::web::router::Router;

/// Flow-control window for request bodies, which nothing reads: the initial size of every HTTP/2
/// connection (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = (64 << 10) - 1;
/// The answer to plain HTTP on a port with TLS.
const HTTPS_EXPECTED: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS.\n";

/// What all connections share.
pub(super) struct Context {
    router: Router,
    protection: Arc<Protection>,
    protocols: Protocols,
    limits: Limits,
    /// Accept no more requests.
    shutdown: CancellationToken,
}

/// The settings of HTTP/1.1 and HTTP/2.
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        // The buffer must hold the largest head. Response bodies bypass it: `writev` writes them
        // from where they are.
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes)
            .writev(true);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.http2_streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        Self { http1, http2 }
    }
}

impl Context {
    pub(super) fn new(
        router: Router,
        protection: Arc<Protection>,
        limits: Limits,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            router,
            protection,
            protocols: Protocols::new(&limits),
            limits,
            shutdown,
        }
    }

    /// Serves a connection until it ends.
    pub(super) async fn serve(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Arc<Place>,
    ) {
        // Responses are written whole, so Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = self.protection.in_force().tls().cloned() else {
            let stream = WriteTimeout::new(stream, self.limits.stall_timeout);
            return self.http1(stream, peer, &place).await;
        };
        let limit = self.limits.handshake_timeout;
        let handshake = timeout(limit, self.handshake(stream, TlsAcceptor::from(tls)));
        match handshake.await {
            Ok(Ok(Some(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(stream, peer, place).await;
            }
            Ok(Ok(Some(stream))) => self.http1(stream, peer, &place).await,
            Ok(Ok(None)) => debug!(%peer, "plain HTTP on a TLS port"),
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, ?limit, "TLS handshake timed out"),
        }
    }

    /// `None` if the client spoke plain HTTP; it has had its answer.
    async fn handshake(
        &self,
        mut stream: TcpStream,
        acceptor: TlsAcceptor,
    ) -> io::Result<Option<TlsStream<WriteTimeout<TcpStream>>>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first[0].is_ascii_uppercase() {
            // Closing with unread bytes would reset the connection and lose the answer.
            let mut request = vec![0; self.limits.head_bytes];
            let _ = stream.read(&mut request).await?;
            stream.write_all(HTTPS_EXPECTED).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        let stream = WriteTimeout::new(stream, self.limits.stall_timeout);
        acceptor.accept(stream).await.map(Some)
    }

    /// Answers a request, logs it and counts it.
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        place: &Arc<Place>,
    ) -> Response<Bytes> {
        let busy = place.busy();
        let start = Instant::now();
        let (head, _unread_body) = request.into_parts();
        let protection = self.protection.in_force();
        let reply = self.router.answer(&head, &protection).await;
        debug!(
            %peer,
            method = %head.method,
            path = head.uri.path(),
            status = reply.status().as_u16(),
            elapsed = ?start.elapsed(),
            "request"
        );
        reply
            .with_headers(protection.headers())
            .into_response(&head.method, busy)
    }

    async fn http1<S>(&self, stream: S, peer: SocketAddr, place: &Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| async move {
            let response = self.answer(request, peer, place).await;
            Ok::<_, Infallible>(response.map(Full::new))
        });
        let http = &self.protocols.http1;
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        log_end(peer, outcome);
    }

    /// Also ends idle connections and those whose client does not read a response: the HTTP
    /// library has no time-outs for either.
    async fn http2<S>(self: &Arc<Self>, stream: S, peer: SocketAddr, place: Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let context = Arc::clone(self);
        let answered = Arc::clone(&place);
        let service = service_fn(move |request: Request<Incoming>| {
            let context = Arc::clone(&context);
            let place = Arc::clone(&answered);
            async move {
                let response = context.answer(request, peer, &place).await;
                let sending = place.send();
                Ok::<_, Infallible>(response.map(|body| Chunks::new(body, sending)))
            }
        });
        let http = &self.protocols.http2;
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        let limits = &self.limits;
        let closing = async {
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = place.idle(limits.head_timeout) => {}
            }
        };
        let mut overdue = pin!(async {
            tokio::select! {
                () = place.stalled(limits.stall_timeout) => {}
                // The client ignored the request to close.
                () = place.idle(limits.head_timeout + limits.drain_timeout) => {}
            }
        });
        tokio::select! {
            outcome = connection.as_mut() => return log_end(peer, outcome),
            () = overdue.as_mut() => return debug!(%peer, "the client does not read; connection cut"),
            () = closing => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            outcome = connection => log_end(peer, outcome),
            () = overdue => debug!(%peer, "the client does not close; connection cut"),
        }
    }
}

fn log_end(peer: SocketAddr, outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        debug!(%peer, %error, "connection ended");
    }
}
