use std::time::Duration;

use super::*;
use crate::snapshot::StaleAfter;
pub(super) fn settings() -> Settings {
    Settings {
        interval: Duration::from_mins(5),
        discovery_interval: Duration::from_mins(5),
        retain: Duration::from_hours(1),
        stale_after: StaleAfter::Never,
        overrides: Vec::new(),
        shard: Shard::SINGLE,
    }
}
