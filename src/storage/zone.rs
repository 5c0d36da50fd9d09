//! A stored zone.

use jiff::Timestamp;

use crate::snapshot::ZoneState;

/// A zone as it survives a restart.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredZone {
    /// The last state. Its data stays when it is no longer served, because another process compares
    /// its next good poll with it. Its interval and staleness threshold are not stored: they come
    /// from the configuration.
    pub state: ZoneState,
    /// When it was first stored.
    pub found: Timestamp,
    /// When it was last found to be no longer polled; `None` while it is polled.
    pub left: Option<Timestamp>,
}

impl StoredZone {
    /// Takes a later state.
    pub(super) fn update(&mut self, state: &ZoneState) {
        let old = std::mem::replace(&mut self.state, state.clone());
        self.state.data = self.state.data.take().or(old.data);
        self.left = None;
    }

    /// When the zone was last known to exist.
    pub(super) fn last_seen(&self) -> Timestamp {
        let polled = self.state.last_poll.as_ref().map(|poll| poll.ended);
        self.found.max(self.left.max(polled).unwrap_or(self.found))
    }
}
