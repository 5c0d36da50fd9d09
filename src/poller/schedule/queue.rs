//! The queue of an account's zones.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::domain::ZoneId;

type Row = BTreeSet<(Instant, ZoneId)>;

/// The row of the queue in which a zone waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::poller) enum Class {
    /// It was written to.
    Prompted,
    /// It was never read.
    New,
    Known,
}

/// Zones by due time. Prompted zones come first. New zones have their own row, so that thousands of
/// new ones do not block the others.
#[derive(Debug, Default)]
pub(in crate::poller) struct Queue {
    prompted: Row,
    known: Row,
    new: Row,
    /// Whether the last zone taken while known and new ones were due was new.
    took_new: bool,
}

impl Queue {
    /// Adds a zone.
    pub(in crate::poller) fn insert(&mut self, due: Instant, zone: ZoneId, class: Class) {
        let row = match class {
            Class::Prompted => &mut self.prompted,
            Class::New => &mut self.new,
            Class::Known => &mut self.known,
        };
        row.insert((due, zone));
    }

    /// Removes a zone that was added for this time.
    pub(in crate::poller) fn remove(&mut self, due: Instant, zone: &ZoneId) {
        let entry = (due, zone.clone());
        for row in [&mut self.known, &mut self.new, &mut self.prompted] {
            row.remove(&entry);
        }
    }

    /// When the first zone is due.
    pub(in crate::poller) fn first_due(&self) -> Option<Instant> {
        [&self.prompted, &self.known, &self.new]
            .into_iter()
            .filter_map(first)
            .min()
    }

    /// When the first prompted zone is due.
    pub(in crate::poller) fn first_prompted(&self) -> Option<Instant> {
        first(&self.prompted)
    }

    /// Takes a prompted zone that is due.
    pub(in crate::poller) fn pop_prompted(&mut self, now: Instant) -> Option<(Instant, ZoneId)> {
        first(&self.prompted).filter(|due| *due <= now)?;
        self.prompted.pop_first()
    }

    /// Takes the zone that has been due longest, prompted ones first. With `alternate`, takes new
    /// and known zones in turn while both are due.
    pub(in crate::poller) fn pop(
        &mut self,
        now: Instant,
        alternate: bool,
    ) -> Option<(Instant, ZoneId)> {
        if let Some(prompted) = self.pop_prompted(now) {
            return Some(prompted);
        }
        let due = |row: &Row| first(row).filter(|due| *due <= now);
        let take_new = match (due(&self.known), due(&self.new)) {
            (None, None) => return None,
            (Some(_), Some(_)) if alternate => {
                self.took_new = !self.took_new;
                self.took_new
            }
            (known, new) => new.is_some_and(|new| known.is_none_or(|known| new <= known)),
        };
        let row = if take_new {
            &mut self.new
        } else {
            &mut self.known
        };
        row.pop_first()
    }
}

fn first(row: &Row) -> Option<Instant> {
    row.first().map(|(due, _)| *due)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn zone(name: &str) -> ZoneId {
        ZoneId::parse(name).unwrap()
    }

    /// Two known zones, due after 2 and 4 seconds, and three new ones, due after 1 second.
    fn queue(start: Instant) -> Queue {
        let mut queue = Queue::default();
        for (seconds, name, class) in [
            (2, "k1", Class::Known),
            (4, "k2", Class::Known),
            (1, "n1", Class::New),
            (1, "n2", Class::New),
            (1, "n3", Class::New),
        ] {
            queue.insert(start + Duration::from_secs(seconds), zone(name), class);
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

    #[test]
    fn a_prompted_zone_comes_first_once_it_is_due() {
        let start = Instant::now();
        let mut queue = queue(start);
        queue.insert(start + Duration::from_secs(4), zone("p"), Class::Prompted);
        let now = start + Duration::from_secs(3);
        assert_eq!(queue.pop_prompted(now), None);
        assert_eq!(order(&mut queue, now, false), ["n1", "n2", "n3", "k1"]);
        let now = start + Duration::from_secs(5);
        assert_eq!(order(&mut queue, now, false), ["p", "k2"]);
    }
}
