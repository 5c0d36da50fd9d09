//! What goes on after a panic, which is a bug in this program: it costs one task instead of the
//! daemon.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// The output of a future; `None` if it panics. The panic itself is logged where it happens.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// Locks a mutex, even if a thread has panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_only_the_future() {
        let panics = async {
            tokio::task::yield_now().await;
            assert!(std::env::args().len() == usize::MAX, "as tested");
            1
        };
        assert_eq!(caught(panics).await, None);
        assert_eq!(caught(async { 2 }).await, Some(2));
    }
}
