//! The body of a response, and the value that is held until its last byte has been sent.

use std::any::Any;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::exposition::{self, Pieces};

/// A body. The HTTP library drops it as soon as its bytes are queued, but drops the bytes only
/// after the socket has accepted them. So the held value is attached to the bytes.
pub(super) struct ResponseBody {
    rest: Rest,
    held: Arc<dyn Any + Send + Sync>,
}

/// The bytes that have not been handed over yet.
enum Rest {
    Whole(Bytes),
    InPieces(Pieces),
}

impl ResponseBody {
    /// `held` is dropped after the last byte has been sent.
    pub(super) fn new(content: exposition::Body, held: impl Any + Send + Sync) -> Self {
        Self {
            rest: match content {
                exposition::Body::Whole(bytes) => Rest::Whole(bytes),
                exposition::Body::InPieces(text) => Rest::InPieces(Pieces::new(text)),
            },
            held: Arc::new(held),
        }
    }

    /// The number of bytes that have not been handed over yet.
    pub(super) fn len(&self) -> usize {
        match &self.rest {
            Rest::Whole(bytes) => bytes.len(),
            Rest::InPieces(pieces) => pieces.rest(),
        }
    }

    /// The next bytes.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let bytes = match &mut self.rest {
            Rest::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Rest::InPieces(pieces) => pieces.next(),
        };
        Some(Bytes::from_owner(Held {
            bytes: bytes?,
            _held: Arc::clone(&self.held),
        }))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// Bytes, with a value that is dropped after them.
pub(super) struct Held<T> {
    pub(super) bytes: Bytes,
    pub(super) _held: T,
}

impl<T> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
