//! Bodies for HTTP/2, whose clients can stop taking one response while others go on.
//!
//! The stall of a TCP connection shows at the socket; that of an HTTP/2 stream does not, for
//! nothing is written when the client's flow control gives no room. So a body is handed over in
//! chunks, and each of them notes when it has gone.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// Bytes of a chunk: as many as a frame of HTTP/2 carries unless both sides agree on more
/// (RFC 9113, section 4.2). A client must take one chunk within the time of a stall.
const CHUNK_BYTES: usize = 16 << 10;

/// When the client last took something of a response.
#[derive(Debug)]
pub(super) struct Sending(Mutex<Instant>);

impl Sending {
    /// A response that begins now.
    pub(super) fn begin() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Instant::now())))
    }

    /// When a chunk last went.
    pub(super) fn last_progress(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A body in chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    rest: Bytes,
    sending: Arc<Sending>,
}

impl Chunks {
    /// `sending` lives until the last chunk has gone.
    pub(super) fn new(body: Bytes, sending: Arc<Sending>) -> Self {
        let rest = body;
        Self { rest, sending }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        let chunk = Bytes::from_owner(Chunk {
            bytes: self.rest.split_to(size),
            sending: Arc::clone(&self.sending),
        });
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// Part of a body; the HTTP library drops it when it has been written.
struct Chunk {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.sending.progress();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_chunks_are_the_body() {
        for size in [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1] {
            let body: Bytes = (0..size).map(|n| n.to_le_bytes()[0]).collect();
            let chunks = Chunks::new(body.clone(), Sending::begin());
            assert_eq!(chunks.size_hint().exact(), Some(size as u64));
            assert_eq!(chunks.is_end_stream(), size == 0);
            assert_eq!(chunks.collect().await.unwrap().to_bytes(), body);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_when_a_chunk_goes() {
        let sending = Sending::begin();
        let body = Bytes::from(vec![0; CHUNK_BYTES + 1]);
        let mut chunks = Chunks::new(body, Arc::clone(&sending));
        let begin = sending.last_progress();
        let chunk = chunks.frame().await;
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(sending.last_progress(), begin);
        drop(chunk);
        assert!(sending.last_progress() > begin);

        let last = chunks.frame().await;
        drop(chunks);
        assert_eq!(Arc::strong_count(&sending), 2);
        drop(last);
        assert_eq!(Arc::strong_count(&sending), 1);
    }
}
