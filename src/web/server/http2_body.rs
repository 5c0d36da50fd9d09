//! Response bodies for HTTP/2, whose clients can stop reading one response while others proceed.
//!
//! A stalled TCP connection is visible at the socket. A stalled HTTP/2 stream is not, because
//! nothing is written while the client's flow-control window is closed. So a body is sent in
//! chunks, and each chunk reports when it has been written.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::activity::Sending;
use crate::web::response_body::{Held, ResponseBody};

/// The size of a chunk: the default size of an HTTP/2 frame (RFC 9113, section 4.2). A client must
/// read one chunk within the stall time-out.
const CHUNK_BYTES: usize = 16 << 10;

/// A body in chunks.
pub(super) struct Chunks {
    body: ResponseBody,
    /// What was taken from the body and is not in a chunk yet.
    rest: Bytes,
    sending: Arc<Sending>,
}

impl Chunks {
    /// `sending` lives until the last chunk is sent.
    pub(super) fn new(body: ResponseBody, sending: Arc<Sending>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            sending,
        }
    }

    fn len(&self) -> usize {
        self.rest.len() + self.body.len()
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
            match self.body.next() {
                Some(bytes) => self.rest = bytes,
                None => return Poll::Ready(None),
            }
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        let chunk = Bytes::from_owner(Held {
            bytes: self.rest.split_to(size),
            _held: Progress(Arc::clone(&self.sending)),
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

/// hyper drops a chunk once it is written.
struct Progress(Arc<Sending>);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.progress();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use tokio_util::sync::CancellationToken;

    use super::super::activity::Activity;
    use super::*;

    fn whole(body: Bytes) -> ResponseBody {
        ResponseBody::new(body.into(), ())
    }

    fn sending(activity: &Activity) -> Arc<Sending> {
        activity.send(Duration::from_mins(1), true)
    }

    #[tokio::test]
    async fn the_chunks_are_the_body() {
        let activity = Activity::new(CancellationToken::new());
        for size in [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1] {
            let body: Bytes = (0..size).map(|n| n.to_le_bytes()[0]).collect();
            let chunks = Chunks::new(whole(body.clone()), sending(&activity));
            assert_eq!(chunks.size_hint().exact(), Some(size as u64));
            assert_eq!(chunks.is_end_stream(), size == 0);
            assert_eq!(chunks.collect().await.unwrap().to_bytes(), body);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_written_chunk_is_progress() {
        let activity = Activity::new(CancellationToken::new());
        let _busy = activity.busy();
        let body = Bytes::from(vec![0; CHUNK_BYTES + 1]);
        let mut chunks = Chunks::new(whole(body), sending(&activity));
        let chunk = chunks.frame().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(activity.is_stalled());
        drop(chunk);
        assert!(!activity.is_stalled());

        let last = chunks.frame().await;
        drop(chunks);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(activity.is_stalled());
        drop(last);
        assert!(!activity.is_stalled());
    }
}
