//! Which mappings are unused: no source has named their address for long enough.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NamedAddresses;
use crate::domain::{Mapping, OriginIp, ZoneMappings};

/// If the daemon was stopped for longer than this, the time starts again, because an origin may
/// have come and gone meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Since when all sources and hosts of a zone are known, and for each mapped address that no source
/// names, since when.
///
/// It changes only when something appears or disappears, so a zone without changes has nothing to
/// store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Since when every read was complete; `None` after an incomplete one.
    complete_since: Option<Timestamp>,
    /// The mapped addresses that no source named at the last read, with the time of the first read
    /// at which none did.
    unnamed_since: BTreeMap<OriginIp, Timestamp>,
}

impl Usage {
    /// Takes what the sources name now, together with the zone's mappings.
    pub fn observe(&mut self, named: &NamedAddresses, mappings: &ZoneMappings, now: Timestamp) {
        if named.is_complete {
            let since = self.complete_since.get_or_insert(now);
            // The clock may have stepped backwards.
            *since = (*since).min(now);
        } else {
            self.complete_since = None;
        }
        let unnamed = mappings.as_slice().iter().map(|mapping| mapping.origin_ip);
        self.unnamed_since = unnamed
            .filter(|ip| !named.addresses.contains(ip))
            .map(|ip| {
                let since = self.unnamed_since.get(&ip).copied();
                (ip, since.unwrap_or(now).min(now))
            })
            .collect();
    }

    /// Continues after a restart. `pause` is the time since the daemon last ran.
    pub fn resume(&mut self, pause: Duration) {
        if pause > LONGEST_PAUSE {
            *self = Self::default();
        }
    }

    /// The unused mappings, or `None` if they are not known yet, or mappings never count as unused.
    pub fn unused(
        &self,
        mappings: &ZoneMappings,
        after: Option<Duration>,
        now: Timestamp,
    ) -> Option<Vec<Mapping>> {
        let since = now.checked_sub(after?).ok()?;
        self.complete_since.filter(|complete| *complete <= since)?;
        let is_unused = |mapping: &&Mapping| {
            let unnamed = self.unnamed_since.get(&mapping.origin_ip);
            unnamed.is_some_and(|unnamed| *unnamed <= since)
        };
        let mappings = mappings.as_slice().iter();
        Some(mappings.filter(is_unused).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Region, Vendor};

    const WEEK: Duration = Duration::from_hours(7 * 24);
    const HOUR: Duration = Duration::from_hours(1);

    fn zone(ips: &[&str]) -> ZoneMappings {
        let mapping = |text: &&str| Mapping {
            origin_ip: OriginIp::parse(text).unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            modified_on: None,
        };
        ZoneMappings::from_rows(ips.iter().map(mapping).collect()).unwrap()
    }

    fn named(ips: &[&str], is_complete: bool) -> NamedAddresses {
        NamedAddresses {
            addresses: ips.iter().map(|ip| OriginIp::parse(ip).unwrap()).collect(),
            is_complete,
            has_gap: !is_complete,
        }
    }

    fn shown(unused: Option<Vec<Mapping>>) -> Option<Vec<String>> {
        let ips = unused?.into_iter().map(|row| row.origin_ip.to_string());
        Some(ips.collect())
    }

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap() + HOUR * u32::try_from(hours).unwrap()
    }

    fn unused(usage: &Usage, mappings: &ZoneMappings, hours: u64) -> Option<Vec<String>> {
        shown(usage.unused(mappings, Some(WEEK), at(hours)))
    }

    #[test]
    fn a_mapping_is_unused_once_nothing_has_named_its_address_for_long_enough() {
        let mappings = zone(&["192.0.2.1", "192.0.2.2"]);
        let mut usage = Usage::default();
        for hours in 0..100 {
            usage.observe(
                &named(&["192.0.2.1", "192.0.2.2"], true),
                &mappings,
                at(hours),
            );
        }
        for hours in 100..=400 {
            usage.observe(&named(&["192.0.2.1"], true), &mappings, at(hours));
            let expected = match hours {
                ..168 => None,
                168..268 => Some(vec![]),
                _ => Some(vec!["192.0.2.2".to_owned()]),
            };
            assert_eq!(unused(&usage, &mappings, hours), expected, "{hours}");
        }
        usage.observe(
            &named(&["192.0.2.1", "192.0.2.2"], true),
            &mappings,
            at(401),
        );
        assert_eq!(unused(&usage, &mappings, 401), Some(vec![]));
        let never = usage.unused(&mappings, None, at(401));
        assert_eq!(never, None);
    }

    #[test]
    fn one_incomplete_reading_begins_the_time_anew() {
        let mappings = zone(&["192.0.2.1"]);
        let mut usage = Usage::default();
        usage.observe(&named(&[], true), &mappings, at(0));
        usage.observe(&named(&[], false), &mappings, at(100));
        assert_eq!(unused(&usage, &mappings, 200), None);
        usage.observe(&named(&[], true), &mappings, at(101));
        assert_eq!(unused(&usage, &mappings, 268), None);
        let expected = Some(vec!["192.0.2.1".to_owned()]);
        assert_eq!(unused(&usage, &mappings, 269), expected);
    }

    #[test]
    fn an_incomplete_reading_that_names_the_address_shows_that_it_is_used() {
        let mappings = zone(&["192.0.2.1"]);
        let mut usage = Usage::default();
        usage.observe(&named(&[], true), &mappings, at(0));
        usage.observe(&named(&["192.0.2.1"], false), &mappings, at(100));
        usage.observe(&named(&[], true), &mappings, at(101));
        assert_eq!(unused(&usage, &mappings, 268), None);
        assert_eq!(usage.unnamed_since.len(), 1);
    }

    #[test]
    fn a_new_mapping_of_an_unnamed_address_has_the_whole_time() {
        let mut usage = Usage::default();
        usage.observe(&named(&[], true), &zone(&[]), at(0));
        let mappings = zone(&["192.0.2.1"]);
        usage.observe(&named(&[], true), &mappings, at(200));
        assert_eq!(unused(&usage, &mappings, 200), Some(vec![]));
        assert_eq!(unused(&usage, &mappings, 367), Some(vec![]));
        assert_eq!(unused(&usage, &mappings, 368).unwrap().len(), 1);
    }

    #[test]
    fn a_restart_goes_on_and_a_long_pause_begins_anew() {
        let mappings = zone(&["192.0.2.1"]);
        let mut usage = Usage::default();
        usage.observe(&named(&[], true), &mappings, at(0));
        let stored = serde_json::to_string(&usage).unwrap();
        let mut short: Usage = serde_json::from_str(&stored).unwrap();
        assert_eq!(short, usage);
        short.resume(HOUR);
        assert_eq!(unused(&short, &mappings, 168).unwrap().len(), 1);
        let mut long = usage;
        long.resume(HOUR + Duration::from_secs(1));
        assert_eq!(unused(&long, &mappings, 168), None);
    }

    #[test]
    fn a_clock_that_steps_backwards_loses_no_reading() {
        let mappings = zone(&["192.0.2.1"]);
        let mut usage = Usage::default();
        usage.observe(&named(&[], true), &mappings, at(1000));
        usage.observe(&named(&[], true), &mappings, at(0));
        assert_eq!(unused(&usage, &mappings, 168).unwrap().len(), 1);
    }

    #[test]
    fn readings_that_change_nothing_leave_nothing_to_store() {
        let mappings = zone(&["192.0.2.1", "192.0.2.2"]);
        let mut usage = Usage::default();
        usage.observe(&named(&["192.0.2.2"], true), &mappings, at(0));
        let before = usage.clone();
        usage.observe(&named(&["192.0.2.2"], true), &mappings, at(1));
        assert_eq!(usage, before);
    }
}
