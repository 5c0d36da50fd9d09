//! Builds responses that scan the whole snapshot, off the threads that serve requests.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::Semaphore;
use tracing::error;

use super::reply::Reply;

/// The most responses that are built at once. Each occupies a core, which scrapes need too.
const WORKERS: usize = 4;

/// Builds responses on blocking threads, a few at a time; the rest wait. Clones share the workers.
#[derive(Debug, Clone)]
pub(super) struct RenderPool {
    permits: Arc<Semaphore>,
}

impl RenderPool {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(WORKERS)),
        }
    }

    /// Runs `make`. It occupies its worker until it finishes, even if the client disconnects.
    pub(super) async fn reply(&self, make: impl FnOnce() -> Reply + Send + 'static) -> Reply {
        // An error would mean that the semaphore is closed, which never happens.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let making = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            make()
        });
        making.await.unwrap_or_else(|error| {
            error!(%error, "building a reply panicked; please report this");
            Reply::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be built.",
            )
        })
    }
}
