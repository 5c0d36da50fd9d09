//! The settings of the history.

use std::time::Duration;

/// How long changes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Older changes are dropped. At most 100,000 are kept with storage, and 1,000 without.
    pub retain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retain: Duration::from_hours(90 * 24),
        }
    }
}
