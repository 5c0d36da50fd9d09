//! Replies that take a walk over the whole snapshot, made off the threads that serve every request.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::Semaphore;
use tracing::error;

use super::reply::Reply;

/// Each takes a processor for as long as it lasts, and there are scrapes to serve besides.
const MOST_AT_ONCE: usize = 4;

/// Makes replies in threads of their own, a few at once; more wait for their turn. Clones share
/// the places.
#[derive(Debug, Clone)]
pub(super) struct HeavyReplies {
    permits: Arc<Semaphore>,
}

impl HeavyReplies {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }

    /// What `make` makes. Its place is taken until it ends, even where nobody waits for it any
    /// more.
    pub(super) async fn reply(&self, make: impl FnOnce() -> Reply + Send + 'static) -> Reply {
        // A semaphore that is never closed always gives a permit in the end.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let making = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            make()
        });
        making.await.unwrap_or_else(|error| {
            error!(%error, "making a reply broke off; please report this");
            Reply::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be made.",
            )
        })
    }
}
