//! Detects unused mappings. Reads count only once all sources and hosts were tried.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::domain::{Mapping, ZoneMappings};
use crate::findings::{NamedAddresses, Usage};

/// How long a zone's new hosts may be unresolved before a read counts as incomplete. Hosts resolve
/// or fail within seconds.
const RESOLVING: Duration = Duration::from_mins(1);

/// Since when sources have not named the mapped addresses of a zone, and whether this is known.
#[derive(Debug, Default)]
pub(in crate::poller) struct UsageWatch {
    pub(in crate::poller) usage: Usage,
    /// Since when hosts have waited for their first result.
    unresolved_since: Option<Instant>,
}

impl UsageWatch {
    /// Whether the zone has hosts whose first result is still expected.
    pub(in crate::poller) fn waits_for_hosts(&self, now: Instant) -> bool {
        self.unresolved_since
            .is_some_and(|since| now < since + RESOLVING)
    }

    /// Records the named addresses and returns the unused mappings, if known. `was_read` means that
    /// every source was tried, and `is_resolved` that every host was looked up; until then, earlier
    /// results are kept.
    pub(in crate::poller) fn observe(
        &mut self,
        named: &NamedAddresses,
        mappings: &ZoneMappings,
        was_read: bool,
        is_resolved: bool,
        after: Option<Duration>,
        now: Instant,
    ) -> Option<Vec<Mapping>> {
        if is_resolved {
            self.unresolved_since = None;
        } else {
            self.unresolved_since.get_or_insert(now);
        }
        let waits = self.waits_for_hosts(now);
        let wall = Timestamp::now();
        if was_read && !waits {
            self.usage.observe(named, mappings, wall);
        }
        self.usage.unused(mappings, after, wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OriginIp, Region, Vendor};

    #[test]
    fn what_is_not_known_yet_neither_counts_nor_begins_the_time_anew() {
        let mapping = Mapping {
            origin_ip: OriginIp::parse("192.0.2.1").unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            modified_on: None,
        };
        let mappings = ZoneMappings::from_rows(vec![mapping.clone()]).unwrap();
        let named = |is_complete| NamedAddresses {
            is_complete,
            ..NamedAddresses::default()
        };
        let after = Some(Duration::ZERO);
        let start = Instant::now();
        let mut watch = UsageWatch::default();
        let mut observe = |is_complete, was_read, is_resolved, seconds| {
            let now = start + Duration::from_secs(seconds);
            let named = named(is_complete);
            watch.observe(&named, &mappings, was_read, is_resolved, after, now)
        };
        assert_eq!(observe(false, false, true, 0), None);
        let unused = Some(vec![mapping.clone()]);
        assert_eq!(observe(true, true, true, 1), unused);
        assert_eq!(
            observe(false, false, true, 2),
            unused,
            "sources not read yet"
        );
        assert_eq!(observe(false, true, false, 3), unused, "a new host");
        assert_eq!(observe(false, true, false, 62), unused);
        assert_eq!(
            observe(false, true, false, 63),
            None,
            "it was never answered for"
        );
        assert_eq!(observe(true, true, true, 64), unused);
        assert_eq!(observe(false, true, true, 65), None, "a source failed");
    }
}
