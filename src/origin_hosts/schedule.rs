//! Which hosts are wanted, what is known of each, and when it is looked up. Times are milliseconds on
//! a monotonic clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Host;
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
    /// Hosts that no zone wants, by the time at which the last zone gave them up.
    idle: BTreeSet<(i64, HostName)>,
    /// How many hosts of a zone there is no room for. The zone wants them again after each poll.
    refused: HashMap<ZoneId, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The zones that want it.
    zones: Vec<ZoneId>,
    turn: Turn,
    /// When it was last offered to the storage.
    stored: i64,
    /// What is known of it.
    host: Arc<Host>,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Due(i64),
    InFlight,
    Idle { since: i64, due: i64 },
}

impl Schedule {
    /// Replaces the hosts that a zone wants, as far as there is room. Returns those that are forgotten
    /// to make room.
    pub(super) fn want(
        &mut self,
        zone: &ZoneId,
        hosts: BTreeSet<HostName>,
        now: i64,
    ) -> Vec<HostName> {
        let mut forgotten = Vec::new();
        let before = self.wanted.get(zone).cloned().unwrap_or_default();
        if hosts.iter().eq(before.iter()) && !self.refused.contains_key(zone) {
            return forgotten;
        }
        for host in before.iter().filter(|host| !hosts.contains(*host)) {
            self.release(host, zone, now);
        }
        self.refused.remove(zone);
        let wanted = hosts.len();
        // Each name is in memory once, however many zones want it.
        let mut kept = Vec::with_capacity(wanted);
        for host in hosts {
            match before.binary_search(&host) {
                Ok(at) => kept.extend(before.get(at).cloned()),
                Err(_) => kept.extend(self.acquire(&host, zone, now, &mut forgotten)),
            }
        }
        if kept.len() < wanted {
            self.refused.insert(zone.clone(), wanted - kept.len());
        }
        if kept.is_empty() {
            self.wanted.remove(zone);
        } else {
            self.wanted.insert(zone.clone(), kept.into());
        }
        forgotten
    }

    /// What is known of a host.
    pub(super) fn get(&self, host: &HostName) -> Option<&Arc<Host>> {
        Some(&self.entries.get(host)?.host)
    }

    /// Every host, in no particular order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.entries.values().map(|entry| &entry.host)
    }

    /// Replaces what is known of a host.
    pub(super) fn put(&mut self, host: Host) {
        if let Some(entry) = self.entries.get_mut(host.name()) {
            entry.host = Arc::new(host);
        }
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
        self.refused.values().sum()
    }

    /// Remembers a host that no zone wants yet, if it is not known already and there is room.
    pub(super) fn remember(&mut self, host: Host, now: i64) {
        let name = host.name().clone();
        if self.entries.len() >= MAX_HOSTS || self.entries.contains_key(&name) {
            return;
        }
        let turn = Turn::Idle {
            since: now,
            due: now,
        };
        self.idle.insert((now, name.clone()));
        let entry = Entry {
            zones: Vec::new(),
            turn,
            stored: i64::MIN,
            host: Arc::new(host),
        };
        self.entries.insert(name, entry);
    }

    /// Whether to store a host: if `anyway`, or if it was not offered to the storage since `from`. If
    /// so, it counts as offered now.
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

    /// Forgets the hosts that no zone has wanted for [`IDLE`], and returns them.
    pub(super) fn forget_idle(&mut self, now: i64) -> Vec<HostName> {
        let mut forgotten = Vec::new();
        while self
            .idle
            .first()
            .is_some_and(|(since, _)| since.saturating_add(IDLE) <= now)
        {
            self.evict(&mut forgotten);
        }
        forgotten
    }

    /// Adds a zone that wants a host, and returns the name in memory; `None` if there is no room.
    fn acquire(
        &mut self,
        host: &HostName,
        zone: &ZoneId,
        now: i64,
        forgotten: &mut Vec<HostName>,
    ) -> Option<HostName> {
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
            return Some(name);
        }
        if self.entries.len() >= MAX_HOSTS && !self.evict(forgotten) {
            return None;
        }
        self.queue.insert((now, host.clone()));
        let entry = Entry {
            zones: vec![zone.clone()],
            turn: Turn::Due(now),
            stored: i64::MIN,
            host: Arc::new(Host::new(host.clone())),
        };
        self.entries.insert(host.clone(), entry);
        Some(host.clone())
    }

    fn release(&mut self, host: &HostName, zone: &ZoneId, now: i64) {
        let Some(entry) = self.entries.get_mut(host) else {
            return;
        };
        entry.zones.retain(|other| other != zone);
        if !entry.zones.is_empty() {
            return;
        }
        if let Turn::Due(due) = entry.turn {
            entry.turn = Turn::Idle { since: now, due };
            self.queue.remove(&(due, host.clone()));
            self.idle.insert((now, host.clone()));
        }
    }

    /// Forgets the host that no zone has wanted for the longest time, if there is one.
    fn evict(&mut self, forgotten: &mut Vec<HostName>) -> bool {
        let Some((_, host)) = self.idle.pop_first() else {
            return false;
        };
        self.entries.remove(&host);
        forgotten.push(host);
        true
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
        schedule.want(&zone("a"), hosts([1, 2]), 0);
        let all: BTreeSet<_> = schedule.all().map(|known| known.name().clone()).collect();
        assert_eq!(all, hosts([1, 2]));
        schedule.want(&zone("b"), hosts([2]), 0);
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
        assert_eq!(schedule.forget_idle(IDLE + 999), []);
        assert_eq!(schedule.forget_idle(IDLE + 1000), [host(1)]);
        assert_eq!(schedule.get(&host(1)), None);
        assert_eq!(schedule.next_time(), None);
    }

    #[test]
    fn hosts_that_there_is_no_room_for_are_taken_once_there_is_and_they_are_wanted_again() {
        let mut schedule = Schedule::default();
        schedule.want(&zone("a"), hosts(0..MAX_HOSTS), 0);
        let forgotten = schedule.want(&zone("b"), hosts([MAX_HOSTS, MAX_HOSTS + 1]), 0);
        assert_eq!(forgotten, []);
        assert_eq!(schedule.refused(), 2);
        assert_eq!(schedule.get(&host(MAX_HOSTS)), None);
        assert_eq!(schedule.want(&zone("a"), hosts(1..MAX_HOSTS), 1), []);
        let forgotten = schedule.want(&zone("b"), hosts([MAX_HOSTS, MAX_HOSTS + 1]), 1);
        assert_eq!(forgotten, [host(0)], "makes room for what is wanted");
        assert!(schedule.get(&host(MAX_HOSTS)).is_some());
        assert_eq!(schedule.refused(), 1);
        schedule.want(&zone("c"), hosts([MAX_HOSTS + 2]), 1);
        assert_eq!(schedule.refused(), 2);
        schedule.want(&zone("c"), BTreeSet::new(), 1);
        assert_eq!(schedule.refused(), 1, "its zone is gone");
        schedule.want(&zone("b"), hosts([]), 2);
        assert_eq!(schedule.refused(), 0);
        schedule.want(&zone("b"), hosts([0]), 2);
        schedule.remember(Host::new(host(MAX_HOSTS + 7)), 3);
        assert_eq!(schedule.get(&host(MAX_HOSTS + 7)), None, "full");
    }
}
