//! Limits how many responses of a kind are built or sent at once. When the limit is reached, a
//! response to a slow client is aborted to make room.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::server::InFlight;
use crate::panics::lock;

/// A response that is being sent for longer than this may be aborted to make room. Otherwise it may
/// take much longer.
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// How long to wait for an aborted response to end. It takes microseconds.
const CUT_TIMEOUT: Duration = Duration::from_millis(200);

/// A limit on responses. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Quota {
    permits: Arc<Semaphore>,
    /// The responses being sent, oldest first.
    sent: Arc<Mutex<Vec<Weak<InFlight>>>>,
}

/// Permission to build and send one response. Hold it until the last byte is sent.
#[derive(Debug)]
pub(super) struct Lease {
    quota: Quota,
    _permit: OwnedSemaphorePermit,
}

impl Quota {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            sent: Arc::default(),
        }
    }

    /// `None` if all are taken and no slow response can be aborted.
    pub(super) async fn acquire(&self) -> Option<Lease> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.cut_slowest() => {
                let freed = Arc::clone(&self.permits).acquire_owned();
                timeout(CUT_TIMEOUT, freed).await.ok()?.ok()?
            }
            Err(_) => return None,
        };
        Some(Lease {
            quota: self.clone(),
            _permit: permit,
        })
    }

    /// Aborts the oldest response whose client is stalled or too slow. Returns whether there was
    /// one.
    pub(super) fn cut_slowest(&self) -> bool {
        let mut sent = lock(&self.sent);
        let mut all = sent.iter().map(Weak::upgrade).enumerate();
        let slow = all.find_map(|(index, response)| {
            let response = response.filter(|response| response.is_slow(SLOW_AFTER))?;
            Some((index, response))
        });
        let Some((index, response)) = slow else {
            return false;
        };
        sent.remove(index);
        response.cut();
        true
    }
}

impl Lease {
    /// Records that the response to this request is now being sent.
    pub(super) fn sent_to(&self, request: &Arc<InFlight>) {
        let mut sent = lock(&self.quota.sent);
        sent.retain(|response| response.strong_count() > 0);
        sent.push(Arc::downgrade(request));
    }
}
