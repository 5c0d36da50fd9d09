//! Limits the log lines that clients can cause.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::panics::lock;

/// The least time between two lines of one kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line through in each interval.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// If a line may be written now, returns the number of lines suppressed since the last one.
    pub(super) fn permit(&self) -> Option<u64> {
        let mut state = lock(&self.0);
        if state.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_each_interval_counts_the_others() {
        let limit = LogLimit::default();
        assert_eq!(limit.permit(), Some(0));
        for _ in 0..100 {
            assert_eq!(limit.permit(), None);
        }
        tokio::time::advance(INTERVAL).await;
        assert_eq!(limit.permit(), Some(100));
        assert_eq!(limit.permit(), None);
    }
}
