//! Which hosts are wanted, and when each is looked up. Times are milliseconds on a monotonic clock.

use std::collections::{BTreeSet, HashMap};

use crate::domain::{HostName, ZoneId};

/// The most hosts that are looked up or remembered.
pub const MAX_HOSTS: usize = 10_000;
/// How long a host that no zone wants is remembered, in case a zone comes back: one hour.
const IDLE: i64 = 60 * 60 * 1000;

/// The hosts of every zone, and when they are due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    wanted: HashMap<ZoneId, Box<[HostName]>>,
    entries: HashMap<HostName, Entry>,
    /// By the time of the next lookup.
    queue: BTreeSet<(i64, HostName)>,
    /// Hosts that no zone wants, by the time since when.
    idle: BTreeSet<(i64, HostName)>,
    /// Wanted hosts for which there is no room.
    waiting: BTreeSet<HostName>,
}

#[derive(Debug)]
struct Entry {
    /// The zones that want it.
    zones: Vec<ZoneId>,
    turn: Turn,
    /// When it was last offered to the storage.
    stored: i64,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Due(i64),
    InFlight,
    Idle { since: i64, due: i64 },
    Waiting,
}

/// How a change of the wanted hosts affects what is published.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// New hosts.
    pub(super) added: Vec<HostName>,
    /// Forgotten hosts.
    pub(super) removed: Vec<HostName>,
}

impl Schedule {
    /// Replaces the hosts that a zone wants.
    pub(super) fn want(&mut self, zone: &ZoneId, hosts: BTreeSet<HostName>, now: i64) -> Moves {
        let mut moves = Moves::default();
        let before = self.wanted.get(zone).cloned().unwrap_or_default();
        if hosts.iter().eq(before.iter()) {
            return moves;
        }
        // Each name is in memory once, however many zones want it.
        let mut kept = Vec::with_capacity(hosts.len());
        for host in &hosts {
            match before.binary_search(host) {
                Ok(at) => kept.extend(before.get(at).cloned()),
                Err(_) => kept.push(self.acquire(host, zone, now, &mut moves)),
            }
        }
        for host in before.iter().filter(|host| !hosts.contains(*host)) {
            self.release(host, zone, now);
        }
        self.admit_waiting(now, &mut moves);
        if hosts.is_empty() {
            self.wanted.remove(zone);
        } else {
            self.wanted
                .insert(zone.clone(), hosts.into_iter().collect());
        }
        moves
    }

    /// The zones that want a host.
    pub(super) fn zones(&self, host: &HostName) -> &[ZoneId] {
        self.entries.get(host).map_or(&[], |entry| &entry.zones)
    }

    pub(super) fn is_wanted(&self, host: &HostName) -> bool {
        !self.zones(host).is_empty()
    }

    /// How many wanted hosts are not looked up because there are too many.
    pub(super) fn refused(&self) -> usize {
        self.waiting.len()
    }

    /// Remembers a host that no zone wants yet. Returns false if it is known already or there is no
    /// room.
    pub(super) fn remember(&mut self, host: &HostName, now: i64) -> bool {
        if self.admitted() >= MAX_HOSTS || self.entries.contains_key(host) {
            return false;
        }
        let turn = Turn::Idle {
            since: now,
            due: now,
        };
        self.idle.insert((now, host.clone()));
        self.entries.insert(
            host.clone(),
            Entry {
                zones: Vec::new(),
                turn,
                stored: i64::MIN,
            },
        );
        true
    }

    /// Whether a host is to be stored: if `anyway`, if it was never offered to the storage, or last
    /// before `from`. If so, it counts as offered now.
    pub(super) fn offer(&mut self, host: &HostName, anyway: bool, from: i64, now: i64) -> bool {
        let Some(entry) = self.entries.get_mut(host) else {
            return false;
        };
        let offer = anyway || entry.stored < from;
        if offer {
            entry.stored = now;
        }
        offer
    }

    /// Takes the next host that is due.
    pub(super) fn next(&mut self, now: i64) -> Option<HostName> {
        let (due, _) = self.queue.first()?;
        if *due > now {
            return None;
        }
        let (_, host) = self.queue.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&host) {
            entry.turn = Turn::InFlight;
        }
        Some(host)
    }

    /// When there is something to do next.
    pub(super) fn next_time(&self) -> Option<i64> {
        let due = self.queue.first().map(|(due, _)| *due);
        let forget = self
            .idle
            .first()
            .map(|(since, _)| since.saturating_add(IDLE));
        due.into_iter().chain(forget).min()
    }

    /// Ends the lookup of a host. The next one is due at `due`.
    pub(super) fn finish(&mut self, host: &HostName, due: i64, now: i64) {
        let Some(entry) = self.entries.get_mut(host) else {
            return;
        };
        if entry.zones.is_empty() {
            entry.turn = Turn::Idle { since: now, due };
            self.idle.insert((now, host.clone()));
        } else {
            entry.turn = Turn::Due(due);
            self.queue.insert((due, host.clone()));
        }
    }

    /// Forgets the hosts that no zone has wanted for [`IDLE`].
    pub(super) fn forget_idle(&mut self, now: i64) -> Moves {
        let mut moves = Moves::default();
        while self
            .idle
            .first()
            .is_some_and(|(since, _)| since.saturating_add(IDLE) <= now)
        {
            self.evict(&mut moves);
        }
        self.admit_waiting(now, &mut moves);
        moves
    }

    fn admitted(&self) -> usize {
        self.entries.len() - self.waiting.len()
    }

    /// Adds a zone that wants a host, and returns the name in memory.
    fn acquire(&mut self, host: &HostName, zone: &ZoneId, now: i64, moves: &mut Moves) -> HostName {
        let known = self
            .entries
            .get_key_value(host)
            .map(|(name, _)| name.clone());
        if let Some(name) = known {
            if let Some(entry) = self.entries.get_mut(host) {
                // Saves memory: most hosts belong to one zone, and there may be many hosts.
                if entry.zones.is_empty() {
                    entry.zones.reserve_exact(1);
                }
                entry.zones.push(zone.clone());
                if let Turn::Idle { since, due } = entry.turn {
                    entry.turn = Turn::Due(due);
                    self.idle.remove(&(since, name.clone()));
                    self.queue.insert((due, name.clone()));
                }
            }
            return name;
        }
        if self.admitted() >= MAX_HOSTS {
            self.evict(moves);
        }
        let turn = if self.admitted() < MAX_HOSTS {
            self.queue.insert((now, host.clone()));
            moves.added.push(host.clone());
            Turn::Due(now)
        } else {
            self.waiting.insert(host.clone());
            Turn::Waiting
        };
        let entry = Entry {
            zones: vec![zone.clone()],
            turn,
            stored: i64::MIN,
        };
        self.entries.insert(host.clone(), entry);
        host.clone()
    }

    fn release(&mut self, host: &HostName, zone: &ZoneId, now: i64) {
        let Some(entry) = self.entries.get_mut(host) else {
            return;
        };
        entry.zones.retain(|other| other != zone);
        if !entry.zones.is_empty() {
            return;
        }
        match entry.turn {
            Turn::Due(due) => {
                entry.turn = Turn::Idle { since: now, due };
                self.queue.remove(&(due, host.clone()));
                self.idle.insert((now, host.clone()));
            }
            Turn::Waiting => {
                self.waiting.remove(host);
                self.entries.remove(host);
            }
            Turn::InFlight | Turn::Idle { .. } => {}
        }
    }

    /// Forgets the host that no zone has wanted for the longest time.
    fn evict(&mut self, moves: &mut Moves) {
        if let Some((_, host)) = self.idle.pop_first() {
            self.entries.remove(&host);
            moves.removed.push(host);
        }
    }

    /// Admits waiting hosts while there is room.
    fn admit_waiting(&mut self, now: i64, moves: &mut Moves) {
        while !self.waiting.is_empty() {
            if self.admitted() >= MAX_HOSTS {
                self.evict(moves);
            }
            if self.admitted() >= MAX_HOSTS {
                return;
            }
            let Some(host) = self.waiting.pop_first() else {
                return;
            };
            if let Some(entry) = self.entries.get_mut(&host) {
                entry.turn = Turn::Due(now);
            }
            self.queue.insert((now, host.clone()));
            moves.added.push(host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str) -> ZoneId {
        ZoneId::parse(id).unwrap()
    }

    fn host(n: usize) -> HostName {
        HostName::parse(&format!("h{n:05}.example")).unwrap()
    }

    fn hosts(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<HostName> {
        numbers.into_iter().map(host).collect()
    }

    #[test]
    fn a_host_is_asked_for_when_it_is_due_while_any_zone_wants_it() {
        let mut schedule = Schedule::default();
        let moves = schedule.want(&zone("a"), hosts([1, 2]), 0);
        assert_eq!(moves.added, [host(1), host(2)]);
        assert_eq!(schedule.want(&zone("b"), hosts([2]), 0), Moves::default());
        assert_eq!(schedule.zones(&host(2)).len(), 2);
        assert_eq!(schedule.next(0), Some(host(1)));
        assert_eq!(schedule.next(0), Some(host(2)));
        assert_eq!(schedule.next(0), None);
        schedule.finish(&host(1), 60_000, 5);
        schedule.finish(&host(2), 30_000, 5);
        assert_eq!(schedule.next_time(), Some(30_000));
        assert_eq!(schedule.next(29_999), None);

        schedule.want(&zone("a"), hosts([]), 10);
        assert_eq!(schedule.next(100_000), Some(host(2)), "zone b wants it");
        assert_eq!(schedule.next(100_000), None);
        schedule.want(&zone("b"), hosts([]), 20);
        schedule.finish(&host(2), 130_000, 30);
        assert_eq!(schedule.next(1_000_000), None, "nobody wants any");
        // A host that comes back keeps its due time.
        schedule.want(&zone("a"), hosts([2]), 40);
        assert_eq!(schedule.next_time(), Some(130_000));
    }

    #[test]
    fn a_host_that_nobody_wants_is_forgotten_after_an_hour() {
        let mut schedule = Schedule::default();
        schedule.want(&zone("a"), hosts([1]), 0);
        schedule.want(&zone("a"), hosts([]), 1000);
        assert_eq!(schedule.next_time(), Some(IDLE + 1000));
        assert_eq!(schedule.forget_idle(IDLE + 999), Moves::default());
        assert_eq!(schedule.forget_idle(IDLE + 1000).removed, [host(1)]);
        assert_eq!(schedule.next_time(), None);
    }

    #[test]
    fn more_hosts_than_there_is_room_for_wait_for_it() {
        let mut schedule = Schedule::default();
        schedule.want(&zone("a"), hosts(0..MAX_HOSTS), 0);
        let moves = schedule.want(&zone("b"), hosts([MAX_HOSTS, MAX_HOSTS + 1]), 0);
        assert_eq!(moves, Moves::default());
        assert_eq!(schedule.refused(), 2);
        let moves = schedule.want(&zone("a"), hosts(1..MAX_HOSTS), 1);
        assert_eq!(moves.removed, [host(0)], "makes room for what is wanted");
        assert_eq!(moves.added, [host(MAX_HOSTS)]);
        assert_eq!(schedule.refused(), 1);
        schedule.want(&zone("b"), hosts([]), 2);
        assert_eq!(schedule.refused(), 0);
        assert!(!schedule.remember(&host(MAX_HOSTS + 7), 3), "full");
    }
}
