//! Attributes changes to actors, by matching the writes in the audit log with the changes that
//! polls see.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::recorder::Recorder;
use crate::cloudflare::{AuditWrite, WriteTarget};
use crate::domain::ZoneId;
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
pub(super) struct RecentWrites(HashMap<ZoneId, VecDeque<(Timestamp, Arc<AuditWrite>)>>);

impl RecentWrites {
    fn add(&mut self, zone: ZoneId, time: Timestamp, write: Arc<AuditWrite>) {
        let writes = self.0.entry(zone).or_default();
        if writes.len() >= MAX_WRITES {
            writes.pop_front();
        }
        writes.push_back((time, write));
    }

    /// Forgets writes that are too old to explain a change seen at `now`.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let oldest = now.saturating_sub(ACTOR_WINDOW).unwrap_or(Timestamp::MIN);
        self.0.retain(|_, writes| {
            writes.retain(|(time, _)| *time >= oldest);
            !writes.is_empty()
        });
    }

    /// The actor of a change that was seen at `seen`, but not yet by the poll that ended at
    /// `before`. This is the actor of the latest matching write: older writes to the same address
    /// made older changes.
    pub(super) fn actor(
        &self,
        zone: &ZoneId,
        details: &Details,
        before: Option<Timestamp>,
        seen: Timestamp,
    ) -> Option<Actor> {
        let late = details.finding.map_or(SEEN_LATE, |_| FOUND_LATE);
        let earliest = before.and_then(|before| before.checked_sub(late).ok());
        let fits = |(time, write): &&(Timestamp, Arc<AuditWrite>)| {
            earliest.is_none_or(|earliest| *time >= earliest)
                && is_cause(write, *time, details, seen)
        };
        let fitting = self.0.get(zone)?.iter().rev().filter(fits);
        // A write to the mapping itself is a better match than one to its sources.
        let is_direct = |(_, write): &&(Timestamp, Arc<AuditWrite>)| {
            matches!(
                write.target,
                WriteTarget::Mappings | WriteTarget::TieredCache
            )
        };
        let direct = fitting.clone().find(is_direct);
        let (time, write) = direct.or_else(|| fitting.clone().next())?;
        actor(write, *time)
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
        let mut done = BTreeSet::new();
        // The first change of an address or finding after the write is the one that it made.
        for change in self.history().of_zone_since(zone, since).iter().rev() {
            let details = &change.details;
            let thing = (details.origin_ip, details.finding);
            if is_cause(write, time, details, change.time)
                && done.insert(thing)
                && change.actor.is_none()
            {
                self.set_actor(change.id, actor.clone());
            }
        }
        self.writes().add(zone.clone(), time, Arc::clone(write));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::AuditActor;
    use crate::domain::OriginIp;

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

    fn removed(ip: &str) -> Details {
        Details {
            origin_ip: OriginIp::parse(ip).ok(),
            ..Details::new(ChangeKind::MappingRemoved)
        }
    }

    #[test]
    fn a_change_gets_the_actor_of_the_latest_write_before_it_that_names_its_address() {
        let mut writes = RecentWrites::default();
        let zone = ZoneId::parse("a").unwrap();
        let other = ZoneId::parse("b").unwrap();
        let mappings = |ips: &[&str]| write(WriteTarget::Mappings, ips);
        writes.add(zone.clone(), at(0), mappings(&["192.0.2.1"]));
        writes.add(zone.clone(), at(10), mappings(&["192.0.2.1"]));
        writes.add(zone.clone(), at(20), write(WriteTarget::DnsRecords, &[]));
        let when = |zone, ip, seen| {
            let actor = writes.actor(zone, &removed(ip), None, at(seen));
            actor.map(|actor| actor.time.as_second() - at(0).as_second())
        };
        assert_eq!(when(&zone, "192.0.2.1", 30), Some(10));
        assert_eq!(when(&zone, "192.0.2.1", 5), Some(0));
        assert_eq!(when(&zone, "192.0.2.2", 30), None);
        assert_eq!(when(&other, "192.0.2.1", 30), None);
        assert_eq!(when(&zone, "192.0.2.1", 10 + 3601), None, "too long ago");
        let after = |polled| {
            let actor = writes.actor(&zone, &removed("192.0.2.1"), Some(at(polled)), at(900));
            actor.map(|actor| actor.time.as_second() - at(0).as_second())
        };
        assert_eq!(after(60), Some(10));
        assert_eq!(after(600), None, "it made a change that was seen before");
    }

    #[test]
    fn a_finding_comes_from_a_write_to_its_mapping_or_else_to_its_sources() {
        let mut writes = RecentWrites::default();
        let zone = ZoneId::parse("a").unwrap();
        writes.add(
            zone.clone(),
            at(0),
            write(WriteTarget::Mappings, &["192.0.2.1"]),
        );
        writes.add(zone.clone(), at(5), write(WriteTarget::DnsRecords, &[]));
        let who = |finding, ip: &str| {
            let details = Details {
                finding: Some(finding),
                origin_ip: OriginIp::parse(ip).ok(),
                ..Details::new(ChangeKind::FindingAppeared)
            };
            let actor = writes.actor(&zone, &details, Some(at(8)), at(9));
            actor.map(|actor| actor.time.as_second() - at(0).as_second())
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
