//! Serves one connection: TLS if configured, then HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::activity::{Activity, Sending};
use super::admission::Place;
use super::http2_body::Chunks;
use super::limits::Limits;
use super::write_timeout::WriteTimeout;
use crate::web::protection::Protection;
use crate::web::response_body::ResponseBody;
use crate::web::router::{Client, Router};

/// At shutdown, how long an idle client has to close its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// The flow-control window for request bodies, which are not read: the initial size of every HTTP/2
/// connection (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = (64 << 10) - 1;
/// The response to plain HTTP on a TLS port.
const HTTPS_EXPECTED: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS.\n";

/// The state that all connections share.
pub(super) struct Context {
    pub(super) router: Router,
    pub(super) protection: Arc<Protection>,
    pub(super) protocols: Protocols,
    pub(super) limits: Limits,
    /// When cancelled, no more requests are accepted.
    pub(super) shutdown: CancellationToken,
}

/// The settings of HTTP/1.1 and HTTP/2.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut http1 = http1::Builder::new();
        // The buffer must hold the largest head. Response bodies bypass it: `writev` writes them in
        // place.
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes)
            .half_close(true)
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
    /// Serves a connection until it ends.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: &Place) {
        // Responses are written in one piece, so Nagle's algorithm would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, %error, "cannot set TCP_NODELAY");
        }
        let activity = Arc::clone(&place.activity);
        let stream = WriteTimeout::new(stream, self.limits.stall_timeout, Arc::clone(&activity));
        let exchange = Exchange {
            client: Client {
                peer: peer.ip().into(),
                on_reserved_place: place.reserved,
            },
            address: peer,
            activity,
            context: Arc::clone(&self),
        };
        let Some(tls) = self.protection.in_force().tls().cloned() else {
            return self.http1(stream, &exchange).await;
        };
        let limit = self.limits.handshake_timeout;
        let handshake = timeout(limit, self.handshake(stream, TlsAcceptor::from(tls)));
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            () = self.closing(&exchange.activity) => return,
        };
        match handshake {
            Ok(Ok(Some(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(stream, exchange).await;
            }
            Ok(Ok(Some(stream))) => self.http1(stream, &exchange).await,
            Ok(Ok(None)) => debug!(%peer, "plain HTTP on a TLS port"),
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, ?limit, "TLS handshake timed out"),
        }
    }

    /// Completes after the shutdown, once no request has been in flight for a while.
    async fn closing(&self, activity: &Activity) {
        self.shutdown.cancelled().await;
        sleep(CLOSE_TIMEOUT).await;
        activity.idle(CLOSE_TIMEOUT).await;
    }

    /// Returns `None` if the client spoke plain HTTP and has been answered.
    async fn handshake(
        &self,
        mut stream: WriteTimeout<TcpStream>,
        acceptor: TlsAcceptor,
    ) -> io::Result<Option<TlsStream<WriteTimeout<TcpStream>>>> {
        let mut first = [0];
        stream.get_ref().peek(&mut first).await?;
        if first[0].is_ascii_uppercase() {
            // Closing with unread bytes would reset the connection and lose the response.
            let mut request = vec![0; self.limits.head_bytes];
            let _ = stream.read(&mut request).await?;
            stream.write_all(HTTPS_EXPECTED).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        acceptor.accept(stream).await.map(Some)
    }

    async fn http1<S>(&self, stream: S, exchange: &Exchange)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| async move {
            let (response, _) = exchange.answer(request).await;
            Ok::<_, Infallible>(response)
        });
        let http = &self.protocols.http1;
        let connection = http.serve_connection(TokioIo::new(stream), service);
        self.drive(pin!(connection), exchange.address, &exchange.activity)
            .await;
    }

    async fn http2<S>(&self, stream: S, exchange: Exchange)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = exchange.address;
        let activity = Arc::clone(&exchange.activity);
        let service = service_fn(move |request: Request<Incoming>| {
            let exchange = exchange.clone();
            async move {
                let (response, sending) = exchange.answer(request).await;
                Ok::<_, Infallible>(response.map(|body| Chunks::new(body, sending)))
            }
        });
        let http = &self.protocols.http2;
        let connection = http.serve_connection(TokioIo::new(stream), service);
        self.drive(pin!(connection), peer, &activity).await;
    }

    /// Drives a connection until it ends or is closed: at the shutdown, if it is idle, or if its
    /// client does not read a response. hyper times out neither such a client nor an idle HTTP/2
    /// connection.
    async fn drive<C>(&self, mut connection: Pin<&mut C>, peer: SocketAddr, activity: &Activity)
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let limits = &self.limits;
        let mut overdue = pin!(activity.overdue(limits.stall_timeout));
        tokio::select! {
            outcome = connection.as_mut() => return log_end(peer, outcome),
            () = overdue.as_mut() => return log_slow(peer),
            () = self.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
            () = activity.idle(limits.head_timeout) => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            outcome = connection => log_end(peer, outcome),
            () = overdue => log_slow(peer),
            () = activity.idle(limits.head_timeout + limits.drain_timeout) => {
                debug!(%peer, "the client does not close; connection cut");
            }
            () = self.closing(activity) => {}
        }
    }
}

/// The requests of one connection.
#[derive(Clone)]
struct Exchange {
    client: Client,
    address: SocketAddr,
    activity: Arc<Activity>,
    context: Arc<Context>,
}

impl Exchange {
    /// Answers, logs and counts a request.
    async fn answer(&self, request: Request<Incoming>) -> (Response<ResponseBody>, Arc<Sending>) {
        let busy = self.activity.busy();
        let start = Instant::now();
        let (head, _unread_body) = request.into_parts();
        let context = &self.context;
        let protection = context.protection.in_force();
        let reply = context.router.answer(&head, self.client, &protection).await;
        debug!(
            peer = %self.address,
            method = %head.method,
            path = head.uri.path(),
            status = reply.status().as_u16(),
            elapsed = ?start.elapsed(),
            "request"
        );
        let allowance = context.limits.allowance(reply.body_len());
        let is_http1 = head.version < Version::HTTP_2;
        let sending = self.activity.send(allowance, !is_http1);
        let mut response = reply.with_headers(&protection.headers).into_response(
            &head.method,
            &self.activity,
            (busy, Arc::clone(&sending)),
        );
        if self.client.on_reserved_place && is_http1 {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        (response, sending)
    }
}

fn log_end(peer: SocketAddr, outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        debug!(%peer, %error, "connection ended");
    }
}

fn log_slow(peer: SocketAddr) {
    debug!(%peer, "the client reads too slowly; connection cut");
}
