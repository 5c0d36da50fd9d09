//! Builds responses that scan the whole snapshot, off the threads that serve requests.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::Semaphore;
use tracing::error;

use super::quota::Quota;
use super::reply::Reply;

/// The most responses that are built at once. Each occupies a core, which scrapes need too.
const WORKERS: usize = 4;

/// Builds responses on blocking threads, a few at a time; the rest wait.
#[derive(Debug)]
pub(super) struct RenderPool {
    permits: Arc<Semaphore>,
}

impl RenderPool {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(WORKERS)),
        }
    }

    /// Runs `make`. It occupies its worker until it finishes, even if the client disconnects. `None`
    /// if `quota` has no room for another response.
    pub(super) async fn reply(
        &self,
        quota: &Quota,
        make: impl FnOnce() -> Reply + Send + 'static,
    ) -> Option<Reply> {
        let lease = quota.acquire().await?;
        // An error would mean that the semaphore is closed, which never happens.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let making = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            make().with_lease(lease)
        });
        Some(making.await.unwrap_or_else(|error| {
            error!(%error, "building a reply panicked; please report this");
            Reply::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be built.",
            )
        }))
    }
}
