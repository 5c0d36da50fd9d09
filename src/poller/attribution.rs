//! Attributes changes to actors, by matching the writes in the audit log with the changes that
//! polls see.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::recorder::Recorder;
use crate::cloudflare::{AuditWrite, WriteTarget};
use crate::domain::{HostName, OriginIp, ZoneId};
use crate::findings::Check;
use crate::history::{Actor, ChangeKind, Details, FindingKind};

/// The largest age of an entry that may explain a change.
const ACTOR_WINDOW: Duration = Duration::from_hours(1);
/// How much earlier than its entry a change may appear, because clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(2);
/// A poll may miss writes made this shortly before it; the next poll sees them.
const SEEN_LATE: Duration = Duration::from_mins(1);
/// The same for findings: sources are read after the poll, and hosts must be resolved.
const FOUND_LATE: Duration = Duration::from_mins(10);
/// The most writes to keep per zone until their changes are seen.
const MAX_WRITES: usize = 200;

/// The writes of the last hour whose changes may not have been seen yet, by zone.
#[derive(Debug, Default)]
pub(super) struct RecentWrites(HashMap<ZoneId, VecDeque<RecentWrite>>);

#[derive(Debug)]
struct RecentWrite {
    time: Timestamp,
    write: Arc<AuditWrite>,
    /// What it has explained. It explains nothing twice: a second change of the same address has
    /// another cause, whose entry may still be missing.
    explained: BTreeSet<Subject>,
}

/// What a change is about: a mapping by its address, or a finding.
type Subject = (
    Option<OriginIp>,
    Option<FindingKind>,
    Option<Check>,
    Option<HostName>,
);

fn subject(details: &Details) -> Subject {
    (
        details.origin_ip,
        details.finding,
        details.check,
        details.host.clone(),
    )
}

impl RecentWrites {
    fn add(&mut self, zone: ZoneId, write: RecentWrite) {
        let writes = self.0.entry(zone).or_default();
        if writes.len() >= MAX_WRITES {
            writes.pop_front();
        }
        writes.push_back(write);
    }

    /// Forgets writes that are too old to explain a change seen at `now`.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let oldest = now.saturating_sub(ACTOR_WINDOW).unwrap_or(Timestamp::MIN);
        self.0.retain(|_, writes| {
            writes.retain(|write| write.time >= oldest);
            !writes.is_empty()
        });
    }

    /// The actor of a change that was seen at `seen`, but not yet by the poll that ended at
    /// `before`. This is the actor of the latest matching write: older writes to the same address
    /// made older changes.
    pub(super) fn actor(
        &mut self,
        zone: &ZoneId,
        details: &Details,
        before: Option<Timestamp>,
        seen: Timestamp,
    ) -> Option<Actor> {
        let late = details.finding.map_or(SEEN_LATE, |_| FOUND_LATE);
        let earliest = before.and_then(|before| before.checked_sub(late).ok());
        let subject = subject(details);
        let fits = |recent: &&mut RecentWrite| {
            earliest.is_none_or(|earliest| recent.time >= earliest)
                && !recent.explained.contains(&subject)
                && is_cause(&recent.write, recent.time, details, seen)
        };
        let fitting = self.0.get_mut(zone)?.iter_mut().filter(fits);
        // A write to the mapping itself is a better match than one to its sources.
        let best = fitting.max_by_key(|recent| {
            let is_direct = matches!(
                recent.write.target,
                WriteTarget::Mappings | WriteTarget::TieredCache
            );
            (is_direct, recent.time)
        })?;
        best.explained.insert(subject);
        actor(&best.write, best.time)
    }
}

/// Whether a write at `time` may have caused a change that was seen at `seen`.
fn is_cause(write: &AuditWrite, time: Timestamp, details: &Details, seen: Timestamp) -> bool {
    let age = seen.duration_since(time);
    let is_recent = if age.is_negative() {
        age.unsigned_abs() <= CLOCK_SKEW
    } else {
        age.unsigned_abs() <= ACTOR_WINDOW
    };
    let fits = match write.target {
        WriteTarget::Mappings => {
            let is_of_mapping = matches!(
                details.kind,
                ChangeKind::MappingAdded | ChangeKind::MappingRemoved | ChangeKind::MappingChanged
            );
            let is_named = |ip| write.origin_ips.contains(ip);
            let is_any = write.origin_ips.is_empty() && is_of_mapping;
            is_any || details.origin_ip.as_ref().is_some_and(is_named)
        }
        WriteTarget::TieredCache => details.finding == Some(FindingKind::Idle),
        WriteTarget::DnsRecords
        | WriteTarget::LoadBalancers
        | WriteTarget::Rules
        | WriteTarget::Pools => match details.finding {
            None | Some(FindingKind::Stale | FindingKind::Idle) => false,
            Some(_) => true,
        },
    };
    is_recent && fits
}

fn actor(write: &AuditWrite, time: Timestamp) -> Option<Actor> {
    let actor = write.actor.as_ref()?;
    Some(Actor {
        kind: actor.kind.clone(),
        name: actor.name.clone(),
        context: actor.context.clone(),
        time,
    })
}

impl Recorder {
    /// Records a write to a zone, or to a pool that it uses: its actor is set for its changes, both
    /// those already seen and later ones.
    pub(super) fn wrote(&self, zone: &ZoneId, time: Timestamp, write: &Arc<AuditWrite>) {
        let Some(actor) = actor(write, time) else {
            return;
        };
        let since = time.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
        let mut explained = BTreeSet::new();
        // The first change of an address or finding after the write is the one that it made.
        for change in self.history.of_zone_since(zone, since).iter().rev() {
            let details = &change.details;
            if is_cause(write, time, details, change.time)
                && explained.insert(subject(details))
                && let Some(change) = self.history.set_actor(change.id, actor.clone())
                && let Some(storage) = &self.storage
            {
                storage.put_change(change);
            }
        }
        let write = RecentWrite {
            time,
            write: Arc::clone(write),
            explained,
        };
        self.writes().add(zone.clone(), write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::AuditActor;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn write(target: WriteTarget, ips: &[&str]) -> Arc<AuditWrite> {
        Arc::new(AuditWrite {
            target,
            zone: Some(ZoneId::parse("a").unwrap()),
            pool: None,
            origin_ips: ips.iter().map(|ip| OriginIp::parse(ip).unwrap()).collect(),
            actor: Some(AuditActor {
                name: "ops@example.com".to_owned(),
                ..AuditActor::default()
            }),
        })
    }

    fn add(writes: &mut RecentWrites, zone: &ZoneId, seconds: i64, write: Arc<AuditWrite>) {
        let write = RecentWrite {
            time: at(seconds),
            write,
            explained: BTreeSet::new(),
        };
        writes.add(zone.clone(), write);
    }

    fn removed(ip: &str) -> Details {
        Details {
            origin_ip: OriginIp::parse(ip).ok(),
            ..Details::new(ChangeKind::MappingRemoved)
        }
    }

    /// The time of the write to which a change seen at `seen`, but not yet at `before`, belongs.
    fn cause(
        writes: &mut RecentWrites,
        details: &Details,
        before: Option<i64>,
        seen: i64,
    ) -> Option<i64> {
        let zone = ZoneId::parse("a").unwrap();
        let actor = writes.actor(&zone, details, before.map(at), at(seen));
        actor.map(|actor| actor.time.as_second() - at(0).as_second())
    }

    #[test]
    fn a_change_gets_the_actor_of_the_latest_write_before_it_that_names_its_address() {
        let zone = ZoneId::parse("a").unwrap();
        let writes = || {
            let mut writes = RecentWrites::default();
            let mappings = || write(WriteTarget::Mappings, &["192.0.2.1"]);
            add(&mut writes, &zone, 0, mappings());
            add(&mut writes, &zone, 10, mappings());
            add(&mut writes, &zone, 20, write(WriteTarget::DnsRecords, &[]));
            writes
        };
        let when = |ip, before, seen| cause(&mut writes(), &removed(ip), before, seen);
        assert_eq!(when("192.0.2.1", None, 30), Some(10));
        assert_eq!(when("192.0.2.1", None, 5), Some(0));
        assert_eq!(when("192.0.2.2", None, 30), None);
        assert_eq!(when("192.0.2.1", None, 10 + 3601), None, "too long ago");
        assert_eq!(when("192.0.2.1", Some(60), 900), Some(10));
        let seen_before = when("192.0.2.1", Some(600), 900);
        assert_eq!(seen_before, None, "it made a change that was seen before");
        let other = ZoneId::parse("b").unwrap();
        let of_other = writes().actor(&other, &removed("192.0.2.1"), None, at(30));
        assert_eq!(of_other, None);
    }

    #[test]
    fn a_write_explains_no_second_change_of_its_address() {
        let zone = ZoneId::parse("a").unwrap();
        let mut writes = RecentWrites::default();
        let both = write(WriteTarget::Mappings, &["192.0.2.1", "192.0.2.2"]);
        add(&mut writes, &zone, 0, both);
        let mut seen = |ip, time| cause(&mut writes, &removed(ip), Some(time - 5), time);
        assert_eq!(seen("192.0.2.1", 5), Some(0));
        // The entry of the write behind this one has not arrived yet.
        assert_eq!(seen("192.0.2.1", 30), None);
        assert_eq!(seen("192.0.2.2", 30), Some(0));
    }

    #[test]
    fn a_finding_comes_from_a_write_to_its_mapping_or_else_to_its_sources() {
        let mut writes = RecentWrites::default();
        let zone = ZoneId::parse("a").unwrap();
        let mapping = write(WriteTarget::Mappings, &["192.0.2.1"]);
        add(&mut writes, &zone, 0, mapping);
        add(&mut writes, &zone, 5, write(WriteTarget::DnsRecords, &[]));
        let mut who = |finding, ip: &str| {
            let details = Details {
                finding: Some(finding),
                origin_ip: OriginIp::parse(ip).ok(),
                ..Details::new(ChangeKind::FindingAppeared)
            };
            cause(&mut writes, &details, Some(8), 9)
        };
        assert_eq!(who(FindingKind::Missing, "192.0.2.1"), Some(0));
        assert_eq!(who(FindingKind::Missing, "192.0.2.2"), Some(5));
        assert_eq!(who(FindingKind::Stale, "192.0.2.2"), None);
    }

    #[test]
    fn a_write_of_the_tiered_cache_settings_makes_mappings_idle() {
        let idle = Details {
            finding: Some(FindingKind::Idle),
            ..Details::new(ChangeKind::FindingAppeared)
        };
        let settings = write(WriteTarget::TieredCache, &[]);
        assert!(is_cause(&settings, at(0), &idle, at(5)));
        assert!(!is_cause(&settings, at(0), &removed("192.0.2.1"), at(5)));
        assert!(!is_cause(
            &write(WriteTarget::Mappings, &[]),
            at(0),
            &idle,
            at(5)
        ));
    }
}
