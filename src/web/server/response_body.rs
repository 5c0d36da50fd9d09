//! The body of a response.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::activity::InFlight;
use crate::exposition::{self, Pieces};
use crate::web::quota::Lease;
use crate::web::scrape::Counted;

/// The size of a chunk, which is also that of a piece of a long text. A client must read one within
/// the stall time-out, and one a second if there is not enough room.
const CHUNK_BYTES: usize = 512 << 10;

/// A body that is sent in chunks, each of which reports when it has been written. This shows that
/// the client reads: hyper limits only the time of a request head, and a stalled HTTP/2 stream is
/// not visible at the socket.
pub(in crate::web) struct ResponseBody {
    /// What is not in a chunk yet of the last piece.
    piece: Bytes,
    /// The remaining pieces.
    pieces: Option<Pieces>,
    held: Arc<Held>,
}

/// What is dropped after the last byte has been sent.
pub(in crate::web) struct Held {
    pub(in crate::web) in_flight: Arc<InFlight>,
    pub(in crate::web) _lease: Option<Lease>,
    pub(in crate::web) _counted: Option<Arc<Counted>>,
}

impl ResponseBody {
    pub(in crate::web) fn new(content: exposition::Body, held: Held) -> Self {
        let (piece, pieces) = match content {
            exposition::Body::Whole(bytes) => (bytes, None),
            exposition::Body::InPieces(text) => (Bytes::new(), Some(Pieces::new(text))),
        };
        Self {
            piece,
            pieces,
            held: Arc::new(held),
        }
    }

    /// The number of bytes that are not in a chunk yet.
    fn len(&self) -> usize {
        self.piece.len() + self.pieces.as_ref().map_or(0, Pieces::rest)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.piece.is_empty() {
            match self.pieces.as_mut().and_then(Pieces::next) {
                Some(piece) => self.piece = piece,
                None => return Poll::Ready(None),
            }
        }
        let size = self.piece.len().min(CHUNK_BYTES);
        let chunk = Bytes::from_owner(Chunk {
            bytes: self.piece.split_to(size),
            held: Arc::clone(&self.held),
        });
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// A part of the body. hyper drops it when the socket has accepted it, but drops the body as soon
/// as the last chunk is queued.
struct Chunk {
    bytes: Bytes,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.held.in_flight.progress();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio_util::sync::CancellationToken;

    use super::super::activity::{Activity, Spare};
    use super::*;

    const ALLOWANCE: Duration = Duration::from_mins(1);

    fn body(content: Bytes) -> (ResponseBody, Arc<Activity>) {
        let activity = Activity::new(CancellationToken::new());
        let in_flight = activity.begin();
        in_flight.send(ALLOWANCE);
        let held = Held {
            in_flight,
            _lease: None,
            _counted: None,
        };
        (ResponseBody::new(content.into(), held), activity)
    }

    #[tokio::test]
    async fn the_chunks_are_the_body() {
        for size in [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1] {
            let content: Bytes = (0..size).map(|n| n.to_le_bytes()[0]).collect();
            let (body, _) = body(content.clone());
            assert_eq!(body.size_hint().exact(), Some(size as u64));
            assert_eq!(body.is_end_stream(), size == 0);
            assert_eq!(body.collect().await.unwrap().to_bytes(), content);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_written_chunk_is_progress() {
        let (mut body, activity) = body(Bytes::from(vec![0; CHUNK_BYTES + 1]));
        let is_stalled = || matches!(activity.spare(), Some((Spare::Stalled, _)));
        let chunk = body.frame().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_stalled());
        drop(chunk);
        assert!(!is_stalled());

        let last = body.frame().await;
        drop(body);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_stalled());
        drop(last);
        assert!(matches!(activity.spare(), Some((Spare::Waiting, _))));
    }
}
