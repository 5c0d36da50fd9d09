//! Tracks how far an audit log has been read, and its known entries. Pure: no I/O and no clock.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit_entry::AuditEntry;
use super::audit_log::AuditLogReading;

/// Entries appear late, so the end of the previous read is read again.
const OVERLAP: Duration = Duration::from_mins(10);
/// After a longer gap, older entries are useless, because the zones have been polled since.
const LONGEST_GAP: Duration = Duration::from_hours(1);
/// The most identifiers to keep; beyond that, the oldest are dropped.
const MAX_IDS: usize = 50_000;

/// The position in an account's log. Each entry counts once, by its identifier, regardless of the
/// order and number of times in which the log returns it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditLogPosition {
    /// Where the last read ended.
    read_until: Option<Timestamp>,
    /// Whether the last read was incomplete. If so, the next one continues there without overlap.
    is_partial: bool,
    /// The known entries, with the later of the times at which each was last returned and created.
    known: HashMap<String, Timestamp>,
}

impl AuditLogPosition {
    /// The start of the next read at `now`.
    pub fn since(&self, now: Timestamp) -> Timestamp {
        let earliest = earlier(now, LONGEST_GAP);
        match self.read_until {
            None => earlier(now, OVERLAP),
            Some(end) if self.is_partial => end.min(now).max(earliest),
            Some(end) => earlier(end.min(now), OVERLAP).max(earliest),
        }
    }

    /// Records the entries that were read until `before`, and returns the new ones.
    pub fn accept(&mut self, reading: AuditLogReading, before: Timestamp) -> Vec<AuditEntry> {
        let since = self.since(before);
        // The log is in order, except for late entries.
        let last = reading
            .entries
            .rows
            .iter()
            .rev()
            .find_map(|entry| entry.time);
        let mut new = Vec::new();
        for entry in reading.entries.rows {
            let shown = entry.time.map_or(before, |time| time.max(before));
            if self.known.insert(entry.id.clone(), shown).is_none() {
                new.push(entry);
            }
        }
        // If the last entry is not later than the start, continuing from it would never end.
        let resume = last.filter(|last| reading.has_more && *last > since && *last < before);
        self.is_partial = resume.is_some();
        self.read_until = Some(resume.unwrap_or(before));
        self.forget(earlier(before, OVERLAP));
        new
    }

    /// Forgets the entries that a read from `since` on should not return again.
    fn forget(&mut self, since: Timestamp) {
        self.known.retain(|_, shown| *shown >= since);
        if self.known.len() > MAX_IDS {
            let mut newest_first: Vec<_> = self.known.drain().collect();
            newest_first.sort_unstable_by_key(|(_, shown)| Reverse(*shown));
            self.known.extend(newest_first.into_iter().take(MAX_IDS));
        }
    }
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloudflare::{RejectedRows, Rows};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + seconds).unwrap()
    }

    fn reading(entries: &[(&str, i64)], has_more: bool) -> AuditLogReading {
        let entry = |(id, seconds): &(&str, i64)| AuditEntry {
            id: (*id).to_owned(),
            time: Some(at(*seconds)),
            write: None,
        };
        AuditLogReading {
            entries: Rows {
                rows: entries.iter().map(entry).collect(),
                rejected: RejectedRows::default(),
            },
            has_more,
            pages: 1,
        }
    }

    fn ids(entries: &[AuditEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn each_entry_is_new_once_in_any_order() {
        let mut position = AuditLogPosition::default();
        assert_eq!(position.since(at(0)), at(-600));
        let new = position.accept(reading(&[("b", -1), ("a", -5), ("b", -1)], false), at(0));
        assert_eq!(ids(&new), ["b", "a"]);
        assert_eq!(position.since(at(30)), at(-600));
        // An older entry appears late; the known ones appear again.
        let new = position.accept(
            reading(&[("a", -5), ("late", -300), ("b", -1)], false),
            at(30),
        );
        assert_eq!(ids(&new), ["late"]);
        assert_eq!(position.since(at(60)), at(30 - 600));
    }

    #[test]
    fn an_entry_that_the_log_shows_for_ever_counts_once() {
        let mut position = AuditLogPosition::default();
        let mut times = 0;
        for minute in 0..60 {
            let stuck = reading(&[("old", -86_400), ("future", 86_400)], false);
            times += position.accept(stuck, at(minute * 60)).len();
        }
        assert_eq!(times, 2);
        assert_eq!(position.known.len(), 2);
    }

    #[test]
    fn identifiers_are_forgotten_after_the_overlap() {
        let mut position = AuditLogPosition::default();
        position.accept(reading(&[("a", -1)], false), at(0));
        position.accept(reading(&[], false), at(500));
        assert_eq!(position.known.len(), 1);
        position.accept(reading(&[], false), at(1300));
        assert!(position.known.is_empty());
    }

    #[test]
    fn a_flood_is_read_on_where_it_broke_off() {
        let mut position = AuditLogPosition::default();
        position.accept(reading(&[("a", -590), ("b", -400)], true), at(0));
        assert_eq!(position.since(at(30)), at(-400));
        // All entries are from the same second, so there is no later time to continue from.
        position.accept(reading(&[("c", -400)], true), at(30));
        assert_eq!(position.since(at(60)), at(30 - 600));
    }

    #[test]
    fn a_clock_that_jumps_and_a_long_gap_are_bounded() {
        let mut position = AuditLogPosition::default();
        position.accept(reading(&[], false), at(0));
        assert_eq!(position.since(at(-3000)), at(-3600));
        assert_eq!(position.since(at(86_400)), at(86_400 - 3600));
        let stored = serde_json::to_string(&position).unwrap();
        assert_eq!(
            serde_json::from_str::<AuditLogPosition>(&stored).unwrap(),
            position
        );
    }

    #[test]
    fn the_identifiers_of_a_flood_are_bounded() {
        let mut position = AuditLogPosition::default();
        for round in 0..7 {
            let ids: Vec<_> = (0..10_000).map(|n| format!("{round}-{n}")).collect();
            let entries: Vec<_> = ids.iter().map(|id| (id.as_str(), round)).collect();
            position.accept(reading(&entries, false), at(round));
        }
        assert_eq!(position.known.len(), MAX_IDS);
        let again = position.accept(reading(&[("6-1", 6)], false), at(8));
        assert!(again.is_empty());
    }

    proptest! {
        #[test]
        fn within_the_overlap_no_entry_counts_twice_and_none_is_lost(
            // When each entry was created, and how much later it appears.
            entries in prop::collection::vec((0i64..600, 0i64..500), 0..40),
            interval in 1i64..90,
        ) {
            let mut position = AuditLogPosition::default();
            let mut counted: HashMap<String, usize> = HashMap::new();
            let mut now = 0;
            while now < 1300 {
                let since = position.since(at(now));
                let shown: Vec<_> = entries
                    .iter()
                    .enumerate()
                    .filter(|(_, (made, delay))| {
                        made + delay <= now && at(*made) >= since && *made < now
                    })
                    .map(|(number, (made, _))| (number.to_string(), *made))
                    .collect();
                let shown: Vec<_> = shown.iter().map(|(id, made)| (id.as_str(), *made)).collect();
                for entry in position.accept(reading(&shown, false), at(now)) {
                    *counted.entry(entry.id).or_default() += 1;
                }
                now += interval;
            }
            prop_assert_eq!(counted.len(), entries.len());
            prop_assert!(counted.values().all(|times| *times == 1));
        }
    }
}
