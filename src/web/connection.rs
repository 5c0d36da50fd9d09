//! One connection: TLS where it is configured, then the protocol that the client chose.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::body::Chunks;
use super::connections::Place;
use super::limits::Limits;
use super::progress::WriteProgress;
use super::server::Server;

/// Room that clients get for the bodies of requests, which nothing reads: what every HTTP/2
/// connection starts with (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = (64 << 10) - 1;
/// What a client hears that speaks plain HTTP to a port with TLS.
const HTTPS_EXPECTED: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS.\n";

/// How HTTP/1.1 and HTTP/2 are spoken.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        // The buffer may not be smaller than the head that must fit into it. Bodies that are sent
        // do not go through it: with `writev` they are written from where they are.
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

impl Server {
    /// Serves a connection until it ends.
    pub(super) async fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Arc<Place>,
    ) {
        // A response is written at once and whole; waiting for more to send would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "Cannot set TCP_NODELAY");
        }
        let Some(tls) = self.protection.in_force().tls().cloned() else {
            let stream = WriteProgress::new(stream, self.limits.stall_timeout);
            return self.http1(stream, peer, &place).await;
        };
        let limit = self.limits.handshake_timeout;
        let handshake = timeout(limit, self.handshake(stream, TlsAcceptor::from(tls)));
        match handshake.await {
            Ok(Ok(Some(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(stream, peer, place).await;
            }
            Ok(Ok(Some(stream))) => self.http1(stream, peer, &place).await,
            Ok(Ok(None)) => debug!(%peer, "A client spoke HTTP where HTTPS is expected"),
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, ?limit, "TLS handshake took too long"),
        }
    }

    /// `None` where the client speaks no TLS; it has been told.
    async fn handshake(
        &self,
        mut stream: TcpStream,
        acceptor: TlsAcceptor,
    ) -> io::Result<Option<TlsStream<WriteProgress<TcpStream>>>> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first[0].is_ascii_uppercase() {
            // What was not read when the connection closes would reset it, answer and all.
            let mut request = vec![0; self.limits.head_bytes];
            let _ = stream.read(&mut request).await?;
            stream.write_all(HTTPS_EXPECTED).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        let stream = WriteProgress::new(stream, self.limits.stall_timeout);
        acceptor.accept(stream).await.map(Some)
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
        tell(peer, outcome);
    }

    /// Beyond what [`Self::http1`] does this ends connections without requests and with responses
    /// that the client does not take, for which the HTTP library has no time-outs.
    async fn http2<S>(self: &Arc<Self>, stream: S, peer: SocketAddr, place: Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = Arc::clone(self);
        let answered = Arc::clone(&place);
        let service = service_fn(move |request: Request<Incoming>| {
            let server = Arc::clone(&server);
            let place = Arc::clone(&answered);
            async move {
                let response = server.answer(request, peer, &place).await;
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
                // It has been asked to close, and had time for it.
                () = place.idle(limits.head_timeout + limits.drain_timeout) => {}
            }
        });
        tokio::select! {
            outcome = connection.as_mut() => return tell(peer, outcome),
            () = overdue.as_mut() => return debug!(%peer, "The client takes nothing; connection cut"),
            () = closing => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            outcome = connection => tell(peer, outcome),
            () = overdue => debug!(%peer, "The client does not let go; connection cut"),
        }
    }
}

fn tell(peer: SocketAddr, outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        debug!(%peer, %error, "Connection ended");
    }
}
