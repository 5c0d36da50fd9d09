//! Responses that go wrong in transit: odd bodies, and connections that end early.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Channel, Full};
use hyper::header::HeaderValue;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;

use super::answer::{ErrorEntry, Failure};
use super::document;
use super::fault::{FaultKind, RetryAfter};

/// The body of every response. It never fails.
pub(super) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// A piece of a large body of white space.
const PIECE: &[u8] = &[b' '; 64 << 10];
/// The number of pieces of a bomb that are compressed. The others are copies.
const PIECES_A_STRETCH: usize = 16;
/// The number of pieces to buffer for a slow reader.
const WAITING_PIECES: usize = 2;
const CAPTIVE_PORTAL: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head>\
    <body><h1>Sign in to the network</h1></body></html>";

/// A response before it is sent.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Bytes to send instead of a response that HTTP can express. They take over the connection.
#[derive(Debug)]
pub(super) struct Takeover {
    pub(super) bytes: Bytes,
    pub(super) reset: bool,
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends on purpose")
    }
}

impl std::error::Error for Takeover {}

impl Reply {
    /// The regular response.
    pub(super) fn regular(self) -> Response<Body> {
        let body = Full::new(Bytes::from(self.body)).boxed();
        respond(self.status, self.headers, body)
    }

    fn failing(mut self, failure: &Failure) -> Self {
        self.status = failure.status;
        self.body = failure.render();
        self
    }

    fn with_body(mut self, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.status = StatusCode::OK;
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    fn with_header(mut self, name: hyper::header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The head of the response with this version of HTTP, without a length.
    fn head(&self, version: &str) -> Vec<u8> {
        let mut bytes = format!("HTTP/{version} {}\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sends a response as the fault requires.
pub(super) async fn play(
    mut reply: Reply,
    kind: FaultKind,
    page: usize,
    now: Timestamp,
) -> Result<Response<Body>, Takeover> {
    if document::is_changed_by(&kind) {
        if let Ok(mut value) = serde_json::from_slice(&reply.body) {
            document::change(&mut value, &kind, page);
            reply.body = value.to_string().into_bytes();
        }
        return Ok(reply.regular());
    }
    let reply = match kind {
        FaultKind::Status(status, body) => failed(reply, status, 10013, "Unknown error", body),
        FaultKind::ApiError(status, code, message) => failed(reply, status, code, &message, None),
        FaultKind::TooManyRequests(when) => too_many(reply, &when, now),
        FaultKind::Delay(time) => {
            tokio::time::sleep(time).await;
            reply
        }
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Garbage => {
            reply.with_body("application/json", vec![0x00, 0xff, 0xfe, b'{', 0x80, 0x01])
        }
        FaultKind::Html => reply.with_body("text/html; charset=utf-8", CAPTIVE_PORTAL),
        FaultKind::EmptyBody => reply.with_body("application/json", ""),
        FaultKind::TruncatedJson => {
            reply.body.truncate(reply.body.len() / 2);
            reply
        }
        FaultKind::ContentType(name) => reply.with_header(CONTENT_TYPE, &name),
        FaultKind::Redirect(to) => {
            reply.status = StatusCode::FOUND;
            reply.body.clear();
            reply.with_header(LOCATION, &to)
        }
        FaultKind::GzipBomb(bytes) => reply
            .with_body("application/json", bomb(bytes))
            .with_header(CONTENT_ENCODING, "gzip"),
        FaultKind::CorruptGzip => reply
            .with_body("application/json", "no member of gzip")
            .with_header(CONTENT_ENCODING, "gzip"),
        FaultKind::HugeBody(bytes) => {
            let body = huge(bytes);
            let reply = reply.with_body("application/json", "");
            return Ok(respond(reply.status, reply.headers, body));
        }
        FaultKind::Slow(pause) => {
            let body = slow(reply.body, pause);
            return Ok(respond(reply.status, reply.headers, body));
        }
        kind => return Err(takeover(&reply, &kind)),
    };
    Ok(reply.regular())
}

fn failed(reply: Reply, status: u16, code: u32, message: &str, body: Option<String>) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut failure = Failure::new(status, code, "");
    failure.errors = vec![ErrorEntry {
        code,
        message: message.to_owned().into(),
    }];
    let mut reply = reply.failing(&failure);
    if let Some(body) = body {
        reply.body = body.into_bytes();
    }
    reply
}

fn too_many(reply: Reply, when: &RetryAfter, now: Timestamp) -> Reply {
    let reply = failed(
        reply,
        429,
        971,
        "Please wait and consider throttling your request speed",
        None,
    );
    match when {
        RetryAfter::Seconds(seconds) => reply.with_header(RETRY_AFTER, &seconds.to_string()),
        RetryAfter::Date(later) => {
            let date = std::time::SystemTime::from(now) + *later;
            reply.with_header(RETRY_AFTER, &httpdate::fmt_http_date(date))
        }
        RetryAfter::Absent => reply,
        RetryAfter::Text(text) => reply.with_header(RETRY_AFTER, text),
    }
}

/// The bytes that take over the connection.
fn takeover(reply: &Reply, kind: &FaultKind) -> Takeover {
    let bytes = match kind {
        FaultKind::CutInHead | FaultKind::Reset => {
            let mut bytes = reply.head("1.1");
            bytes.truncate(bytes.len() / 2);
            bytes
        }
        FaultKind::CutInBody => {
            let mut bytes = reply.head("1.1");
            let length = reply.body.len();
            bytes.extend_from_slice(format!("{CONTENT_LENGTH}: {length}\r\n\r\n").as_bytes());
            bytes.extend_from_slice(reply.body.get(..length / 2).unwrap_or_default());
            bytes
        }
        FaultKind::ChunkedGarbage => {
            let mut bytes = reply.head("1.1");
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\nno number\r\n");
            bytes.extend_from_slice(&reply.body);
            bytes
        }
        FaultKind::Http10 => {
            let mut bytes = reply.head("1.0");
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&reply.body);
            bytes
        }
        FaultKind::Raw(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    };
    Takeover {
        bytes: Bytes::from(bytes),
        reset: matches!(kind, FaultKind::Reset),
    }
}

/// At least this many bytes of white space as one gzip member. Compressing takes longer than
/// copying, so a stretch that does not refer to earlier data is repeated.
fn bomb(bytes: u64) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    const LAST_BLOCK: [u8; 2] = [3, 0];
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let mut stretch = Crc::new();
    for _ in 0..PIECES_A_STRETCH {
        encoder.write_all(PIECE).expect("writing into memory");
        stretch.update(PIECE);
    }
    encoder.flush().expect("writing into memory");
    let stretches = bytes.div_ceil((PIECE.len() * PIECES_A_STRETCH) as u64);
    let count = usize::try_from(stretches).unwrap_or(usize::MAX);
    let mut crc = Crc::new();
    for _ in 0..count {
        crc.combine(&stretch);
    }
    let trailer = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    let stretches = encoder.get_ref().repeat(count);
    [&HEADER[..], &stretches, &LAST_BLOCK, &trailer].concat()
}

/// This many bytes of white space, as fast as the client reads them.
fn huge(bytes: u64) -> Body {
    let (mut sender, body) = Channel::new(WAITING_PIECES);
    tokio::spawn(async move {
        let mut left = bytes;
        while left > 0 {
            let piece = PIECE.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = PIECE.get(..piece).unwrap_or(PIECE);
            if sender.send_data(Bytes::from_static(piece)).await.is_err() {
                return;
            }
            left -= piece.len() as u64;
        }
    });
    body.boxed()
}

fn slow(bytes: Vec<u8>, pause: Duration) -> Body {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            if sender
                .send_data(Bytes::copy_from_slice(&[byte]))
                .await
                .is_err()
            {
                return;
            }
        }
    });
    body.boxed()
}
