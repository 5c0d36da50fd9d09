//! Serves one connection: TLS if configured, then HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::io;
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
use tracing::debug;

use super::activity::Activity;
use super::response_body::ResponseBody;
use super::{Connection, Limits, Server};

/// At shutdown, how long an idle client has to close its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(250);

/// The flow-control window for request bodies, which are not read: the initial size of every HTTP/2
/// connection (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = (64 << 10) - 1;
/// The response to plain HTTP on a TLS port.
const HTTPS_EXPECTED: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nThis port speaks HTTPS.\n";

pub(super) fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The buffer must hold the largest head. Response bodies bypass it: `writev` writes them in
    // place.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes)
        .half_close(true)
        .writev(true);
    builder
}

pub(super) fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    builder
}

impl Server {
    /// Serves a connection until it ends.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, connection: &Arc<Connection>) {
        let (peer, limit) = (connection.address, self.limits.handshake_timeout);
        if let Err(error) = self.configure(&stream) {
            debug!(%peer, %error, "cannot set the options of a socket");
        }
        let Some(tls) = self.protection.in_force().tls().cloned() else {
            return self.http(stream, false, connection).await;
        };
        let activity = &connection.activity;
        let handshake = self.handshake(stream, TlsAcceptor::from(tls), activity);
        let handshake = tokio::select! {
            handshake = timeout(limit, handshake) => handshake,
            () = self.closing(activity) => return,
        };
        match handshake {
            Ok(Ok(Some(stream))) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.http(stream, is_http2, connection).await;
            }
            Ok(Ok(None)) => debug!(%peer, "plain HTTP on a TLS port"),
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, ?limit, "TLS handshake timed out"),
        }
    }

    fn configure(&self, stream: &TcpStream) -> io::Result<()> {
        // Bounds the responses without a body, to HEAD, that a client requests and does not read.
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(stream).set_tcp_user_timeout(Some(self.limits.stall_timeout))?;
        // Responses are written in large pieces, so Nagle's algorithm would only delay them.
        stream.set_nodelay(true)
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
        mut stream: TcpStream,
        acceptor: TlsAcceptor,
        activity: &Activity,
    ) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 {
            activity.mark_received();
        }
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

    async fn http<S>(self: &Arc<Self>, stream: S, is_http2: bool, connection: &Arc<Connection>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(stream);
        let service = service_fn(|request: Request<Incoming>| {
            let (server, connection) = (Arc::clone(self), Arc::clone(connection));
            async move { Ok::<_, Infallible>(server.answer(request, &connection).await) }
        });
        if is_http2 {
            let served = self.http2.serve_connection(stream, service);
            self.drive(pin!(served), connection).await;
        } else {
            let served = self.http1.serve_connection(stream, service);
            self.drive(pin!(served), connection).await;
        }
    }

    /// Drives a connection until it ends or is closed: at the shutdown, if it is idle, or if its
    /// client does not read a response. hyper times out neither such a client nor an idle HTTP/2
    /// connection.
    async fn drive<C>(&self, mut http: Pin<&mut C>, connection: &Connection)
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let (limits, peer) = (&self.limits, connection.address);
        let activity = &connection.activity;
        let served = async {
            tokio::select! {
                outcome = http.as_mut() => return outcome,
                () = self.shutdown.cancelled() => {}
                () = activity.idle(limits.head_timeout) => {}
            }
            http.as_mut().graceful_shutdown();
            http.await
        };
        tokio::select! {
            outcome = served => {
                if let Err(error) = outcome {
                    debug!(%peer, %error, "connection ended");
                }
            }
            () = activity.overdue(limits.stall_timeout) => {
                debug!(%peer, "the client reads too slowly; connection cut");
            }
            () = activity.idle(limits.head_timeout + limits.drain_timeout) => {
                debug!(%peer, "the client does not close; connection cut");
            }
            () = self.closing(activity) => {}
        }
    }

    /// Answers, logs and counts a request.
    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> Response<ResponseBody> {
        let in_flight = connection.activity.begin();
        let start = Instant::now();
        let (head, _unread_body) = request.into_parts();
        let protection = self.protection.in_force();
        let reply = self.router.answer(&head, connection, &protection).await;
        debug!(
            peer = %connection.address,
            method = %head.method,
            path = head.uri.path(),
            status = reply.status().as_u16(),
            elapsed = ?start.elapsed(),
            "request"
        );
        in_flight.send(self.limits.allowance(reply.body_len()));
        let reply = reply.with_headers(&protection.headers);
        let mut response = reply.into_response(&head.method, in_flight);
        if connection.reserved && head.version < Version::HTTP_2 {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
