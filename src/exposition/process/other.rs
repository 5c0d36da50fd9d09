//! Systems other than Linux: only the start time is known.

use jiff::Timestamp;

use super::Usage;

/// Remembers when it was created, which is when the process starts.
#[derive(Debug)]
pub(super) struct System {
    start_time: f64,
}

impl System {
    pub(super) fn open() -> Self {
        Self {
            start_time: Timestamp::now().as_duration().as_secs_f64(),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            start_time: Some(self.start_time),
            ..Usage::default()
        }
    }
}
