//! The zones of an account that wait for their turns.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::domain::ZoneId;

/// Zones by when they are due. Zones that nobody has read yet stand in a row of their own, so that
/// thousands that appear at once do not keep the others from being read.
#[derive(Debug, Default)]
pub(in crate::poller) struct Queue {
    known: BTreeSet<(Instant, ZoneId)>,
    new: BTreeSet<(Instant, ZoneId)>,
    /// The last zone that was taken while both rows were due was a new one.
    took_new: bool,
}

impl Queue {
    /// Adds a zone.
    pub(in crate::poller) fn insert(&mut self, due: Instant, zone: ZoneId, is_new: bool) {
        let row = if is_new {
            &mut self.new
        } else {
            &mut self.known
        };
        row.insert((due, zone));
    }

    /// Removes a zone that was added for this time.
    pub(in crate::poller) fn remove(&mut self, due: Instant, zone: &ZoneId) {
        let entry = (due, zone.clone());
        if !self.known.remove(&entry) {
            self.new.remove(&entry);
        }
    }

    /// When the first zone is due.
    pub(in crate::poller) fn first_due(&self) -> Option<Instant> {
        let first = |row: &BTreeSet<(Instant, ZoneId)>| row.first().map(|(due, _)| *due);
        first(&self.known).into_iter().chain(first(&self.new)).min()
    }

    /// Takes the zone that has been due longest, if one is. Where `alternate`, a new zone and one
    /// that is known take turns while both are due.
    pub(in crate::poller) fn pop(
        &mut self,
        now: Instant,
        alternate: bool,
    ) -> Option<(Instant, ZoneId)> {
        let first = self.first_due().filter(|due| *due <= now)?;
        let is_due =
            |row: &BTreeSet<(Instant, ZoneId)>| row.first().is_some_and(|(due, _)| *due <= now);
        let both = is_due(&self.known) && is_due(&self.new);
        let take_new = if both && alternate {
            self.took_new = !self.took_new;
            self.took_new
        } else {
            self.new.first().is_some_and(|(due, _)| *due == first)
        };
        let row = if take_new {
            &mut self.new
        } else {
            &mut self.known
        };
        row.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn zone(name: &str) -> ZoneId {
        ZoneId::parse(name).unwrap()
    }

    /// Two zones that are known, due after 2 and 4 seconds, and three new ones, due after 1 second.
    fn queue(start: Instant) -> Queue {
        let mut queue = Queue::default();
        for (seconds, name, is_new) in [
            (2, "k1", false),
            (4, "k2", false),
            (1, "n1", true),
            (1, "n2", true),
            (1, "n3", true),
        ] {
            queue.insert(start + Duration::from_secs(seconds), zone(name), is_new);
        }
        queue
    }

    fn order(queue: &mut Queue, now: Instant, alternate: bool) -> Vec<String> {
        let taken = std::iter::from_fn(|| queue.pop(now, alternate));
        taken.map(|(_, zone)| zone.to_string()).collect()
    }

    #[test]
    fn those_due_longest_come_first_and_those_not_due_do_not_come() {
        let start = Instant::now();
        let mut queue = queue(start);
        assert_eq!(queue.first_due(), Some(start + Duration::from_secs(1)));
        let now = start + Duration::from_secs(3);
        assert_eq!(order(&mut queue, now, false), ["n1", "n2", "n3", "k1"]);
        assert_eq!(queue.first_due(), Some(start + Duration::from_secs(4)));
    }

    #[test]
    fn new_zones_and_known_ones_take_turns() {
        let start = Instant::now();
        let mut queue = queue(start);
        let now = start + Duration::from_secs(5);
        assert_eq!(order(&mut queue, now, true), ["n1", "k1", "n2", "k2", "n3"]);
    }

    #[test]
    fn a_zone_that_is_removed_does_not_come() {
        let start = Instant::now();
        let mut queue = queue(start);
        queue.remove(start + Duration::from_secs(1), &zone("n2"));
        queue.remove(start + Duration::from_secs(2), &zone("k1"));
        let now = start + Duration::from_secs(5);
        assert_eq!(order(&mut queue, now, false), ["n1", "n3", "k2"]);
        assert_eq!(queue.first_due(), None);
    }
}
