//! The metrics.

use std::sync::Arc;

use hyper::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;
use tracing::error;

use super::negotiation::negotiate;
use super::reply::Reply;
use crate::exposition::Exposition;

/// Serves scrapes, a limited number at once.
pub(super) struct Scrapes {
    exposition: Exposition,
    limit: usize,
    permits: Arc<Semaphore>,
}

impl Scrapes {
    /// At most `limit` at once; 0 is no limit.
    pub(super) fn new(exposition: Exposition, limit: usize) -> Self {
        let permits = match limit {
            0 => Semaphore::MAX_PERMITS,
            limit => limit.min(Semaphore::MAX_PERMITS),
        };
        Self {
            exposition,
            limit,
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    pub(super) async fn answer(&self, headers: &HeaderMap) -> Reply {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Reply::text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!(
                    "{} scrapes are being served already, as many as --web.max-requests allows.",
                    self.limit
                ),
            );
        };
        let form = negotiate(headers);
        match self.exposition.render(form).await {
            Ok(body) => Reply::metrics(body, form, permit),
            Err(error) => {
                error!(%error, "a scrape failed");
                Reply::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The metrics could not be rendered.",
                )
            }
        }
    }
}
