//! Reading audit logs: a zone that somebody writes to is polled at once, and changes get the name of
//! who made them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::Id;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Poller;
use super::tasks::{self, Running, Task};
use crate::cloudflare::{
    ApiError, AuditEntry, AuditLogPosition, AuditLogReading, AuditWrite, Client, Reason,
    WriteTarget,
};
use crate::domain::{AccountName, ZoneId};
use crate::history::{Actor, ChangeKind, Details, FindingKind, Query};

/// A log that may not be read is tried again after this.
const FORBIDDEN_RETRY: Duration = Duration::from_hours(1);
/// Readings use at most one request of so many in an account's budget.
const BUDGET_SHARE: u32 = 10;
/// A change gets its actor from an entry that is at most this much older.
const ACTOR_WINDOW: Duration = Duration::from_hours(1);
/// A change may seem to be seen so long before its entry, because the clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(2);
/// A poll may miss a write that was made so long before it, and the next one sees it.
const SEEN_LATE: Duration = Duration::from_mins(1);
/// The same for findings: sources are read after the poll, and hosts are resolved.
const FOUND_LATE: Duration = Duration::from_mins(10);
/// Writes that are remembered for changes that are not seen yet.
const MAX_WRITES: usize = 10_000;
/// Changes of a zone that are looked at for an entry.
const MAX_CHANGES: usize = 1_000;

/// The audit logs of the Cloudflare accounts that the polled zones belong to.
#[derive(Default)]
pub(super) struct AuditLogs {
    /// By the identifier of the Cloudflare account.
    logs: BTreeMap<Arc<str>, AuditLog>,
    /// Positions of an earlier process, of logs that are not read yet.
    stored: BTreeMap<String, AuditLogPosition>,
}

/// One log.
struct AuditLog {
    /// The configured account that reads it.
    reader: AccountName,
    position: AuditLogPosition,
    /// `None` while it is being read.
    due: Option<Instant>,
    task: Option<Running>,
    /// Whether the last reading succeeded; `None` before the first ended.
    up: Option<bool>,
    last_success: Option<Timestamp>,
    /// Why the last reading failed, so that each reason is logged once.
    failing: Option<Reason>,
}

/// Writes whose changes may not have been seen yet.
#[derive(Debug, Default)]
pub(super) struct RecentWrites(VecDeque<(ZoneId, Timestamp, AuditWrite)>);

impl AuditLogs {
    /// Continues where an earlier process stopped reading.
    pub(super) fn restore(&mut self, stored: BTreeMap<String, AuditLogPosition>) {
        self.stored = stored;
    }

    /// Replaces the logs to read. New ones are due at once.
    fn replace(&mut self, readers: BTreeMap<Arc<str>, AccountName>, now: Instant) {
        self.logs
            .retain(|owner, log| readers.get(owner) == Some(&log.reader));
        for (owner, reader) in readers {
            let position = self.stored.remove(&*owner);
            self.logs.entry(owner).or_insert_with(|| AuditLog {
                reader,
                position: position.unwrap_or_default(),
                due: Some(now),
                task: None,
                up: None,
                last_success: None,
                failing: None,
            });
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.logs.values().filter_map(|log| log.due).min()
    }

    /// Whether every log of an account was read well the last time, and when the one that was not
    /// read for longest was read; `None` before all were tried.
    fn of_reader(&self, account: &AccountName) -> Option<(bool, Option<Timestamp>)> {
        let logs = || self.logs.values().filter(|log| log.reader == *account);
        let ups: Option<Vec<bool>> = logs().map(|log| log.up).collect();
        let last = logs().map(|log| log.last_success).min().flatten();
        Some((ups?.into_iter().all(|up| up), last)).filter(|_| logs().next().is_some())
    }
}

impl RecentWrites {
    fn add(&mut self, zone: ZoneId, time: Timestamp, write: AuditWrite) {
        if self.0.len() >= MAX_WRITES {
            self.0.pop_front();
        }
        self.0.push_back((zone, time, write));
    }

    fn forget_before(&mut self, oldest: Timestamp) {
        self.0.retain(|(_, time, _)| *time >= oldest);
    }

    /// Who made a change of this zone that was seen at `seen`, and not yet by the poll that ended
    /// at `before`: the latest fitting write. An older write to the same address made an older
    /// change.
    pub(super) fn actor(
        &self,
        zone: &ZoneId,
        details: &Details,
        before: Option<Timestamp>,
        seen: Timestamp,
    ) -> Option<Actor> {
        let late = details.finding.map_or(SEEN_LATE, |_| FOUND_LATE);
        let earliest = before.and_then(|before| before.checked_sub(late).ok());
        let fits = |(of, time, write): &&(ZoneId, Timestamp, AuditWrite)| {
            of == zone
                && earliest.is_none_or(|earliest| *time >= earliest)
                && is_cause(write, *time, details, seen)
        };
        let fitting = self.0.iter().rev().filter(fits);
        // One to the mapping itself explains it better than one to its sources.
        let is_direct = |(_, _, write): &&(ZoneId, Timestamp, AuditWrite)| {
            matches!(
                write.target,
                WriteTarget::Mappings | WriteTarget::TieredCache
            )
        };
        let direct = fitting.clone().find(is_direct);
        let (_, time, write) = direct.or_else(|| fitting.clone().next())?;
        actor(write, *time)
    }
}

/// Whether a write at `time` may be what a change shows that was seen at `seen`.
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

/// The least time between two readings of so many pages, where the account reads so many logs: at
/// most a tenth of its budget in all.
fn least_interval(logs: usize, pages: u32, client: &Client) -> Duration {
    let logs = u32::try_from(logs).unwrap_or(u32::MAX).max(1);
    let requests = logs.saturating_mul(pages.max(1));
    let least = client.window() / client.budget().max(1);
    least.saturating_mul(BUDGET_SHARE.saturating_mul(requests))
}

impl Poller {
    /// Reads the log of each Cloudflare account that a polled zone belongs to, by the first
    /// configured account that polls one of its zones.
    pub(super) fn assign_audit_logs(&mut self, now: Instant) {
        let mut readers = BTreeMap::new();
        let settings = self.context.evaluation.audit_log;
        if !settings.enabled || !settings.actors {
            // No name is kept any longer.
            *self.context.recorder.writes() = RecentWrites::default();
        }
        if settings.enabled && !self.context.once {
            for (name, account) in &self.accounts {
                for zone in account.zones.values() {
                    if let Some(owner) = &zone.slot.load().zone.owner {
                        let owner = Arc::clone(owner);
                        readers.entry(owner).or_insert_with(|| name.clone());
                    }
                }
            }
        }
        let before: Vec<_> = self
            .audit_logs
            .logs
            .values()
            .map(|log| log.reader.clone())
            .collect();
        self.audit_logs.replace(readers, now);
        for name in before {
            let mut logs = self.audit_logs.logs.values();
            if !logs.any(|log| log.reader == name) {
                self.context.metrics.audit_log.forget(&name);
            }
        }
        for log in self.audit_logs.logs.values() {
            self.context.metrics.audit_log.start(&log.reader);
        }
    }

    /// Starts the readings that are due.
    pub(super) fn start_audit_logs(&mut self, now: Instant) {
        let actors = self.context.evaluation.audit_log.actors;
        for (owner, log) in &mut self.audit_logs.logs {
            if log.due.is_none_or(|due| due > now) {
                continue;
            }
            let Some(account) = self.accounts.get(&log.reader) else {
                continue;
            };
            if let Some(end) = account.client.paused_until().filter(|end| *end > now) {
                log.due = Some(end);
                continue;
            }
            if account.token.refused {
                log.due = Some(now + self.context.settings.discovery_interval);
                continue;
            }
            let before = Timestamp::now();
            let since = log.position.since(before);
            let client = account.client.clone();
            let work = tasks::read_audit_log(client, Arc::clone(owner), since, before, actors);
            let task = Task::AuditLog(Arc::clone(owner));
            log.due = None;
            log.task = Some(self.tasks.spawn(&log.reader, task, work));
        }
    }

    /// Takes what a reading gave.
    pub(super) fn audit_log_read(
        &mut self,
        owner: &Arc<str>,
        task: Id,
        reading: Result<(AuditLogReading, Timestamp), ApiError>,
        now: Instant,
    ) {
        let settings = self.context.evaluation.audit_log;
        let Some(log) = self.audit_logs.logs.get_mut(owner) else {
            return;
        };
        let is_current = log.task.as_ref().is_some_and(|running| running.is(task));
        let Some(account) = self.accounts.get(&log.reader).filter(|_| is_current) else {
            return;
        };
        log.task = None;
        let reader = log.reader.clone();
        let client = account.client.clone();
        log.up = Some(reading.is_ok());
        match reading {
            Ok((reading, before)) => {
                if log.failing.take().is_some() {
                    info!(account = %reader, owner = &**owner, "audit log can be read again");
                }
                log.last_success = Some(Timestamp::now());
                let (has_more, pages) = (reading.has_more, reading.pages);
                let new = log.position.accept(reading, before);
                self.context
                    .recorder
                    .audit_log(owner, &log.position, !new.is_empty());
                let logs = self.audit_logs.logs.values();
                let logs = logs.filter(|log| log.reader == reader).count();
                let least = least_interval(logs, pages, &client);
                let pause = if has_more {
                    least
                } else {
                    least.max(settings.interval)
                };
                if let Some(log) = self.audit_logs.logs.get_mut(owner) {
                    log.due = Some(now + pause);
                }
                for entry in new {
                    self.audited(owner, &reader, entry, now);
                }
            }
            Err(error) => {
                let reason = error.reason;
                let is_refused = matches!(reason, Reason::Forbidden | Reason::Unauthorized);
                let permission = error.operation.permission().unwrap_or_default();
                if log.failing.replace(reason) == Some(reason) {
                    debug!(account = %reader, owner = &**owner, %error, "reading audit log failed again");
                } else if is_refused {
                    warn!(account = %reader, owner = &**owner, %error, permission,
                          "audit log forbidden: add the permission to the token, or switch \
                           audit_log off; tried again hourly");
                } else {
                    warn!(account = %reader, owner = &**owner, %error, "reading audit log failed");
                }
                let pause = if is_refused {
                    FORBIDDEN_RETRY
                } else {
                    least_interval(1, 1, &client).max(settings.interval)
                };
                log.due = Some(now + pause);
            }
        }
        if let Some((up, last)) = self.audit_logs.of_reader(&reader) {
            self.context.metrics.audit_log.read(&reader, up, last);
        }
    }

    /// Acts on a new entry.
    fn audited(&mut self, owner: &Arc<str>, reader: &AccountName, entry: AuditEntry, now: Instant) {
        let time = entry.time.unwrap_or_else(Timestamp::now);
        let is_relevant = match &entry.write {
            Some(write) if write.target == WriteTarget::Pools => {
                self.pools_written(owner, now);
                true
            }
            Some(AuditWrite {
                zone: Some(zone), ..
            }) => self.prompt(zone, now),
            _ => false,
        };
        self.context.metrics.audit_log.entry(reader, is_relevant);
        let Some(write) = entry.write.filter(|_| is_relevant) else {
            return;
        };
        if let Some(zone) = write.zone.clone()
            && write.actor.is_some()
        {
            self.context.recorder.add_actor(&zone, time, &write);
            let oldest = Timestamp::now().saturating_sub(ACTOR_WINDOW);
            let mut writes = self.context.recorder.writes();
            writes.forget_before(oldest.unwrap_or(Timestamp::MIN));
            writes.add(zone, time, write);
        }
    }

    /// Polls a zone ahead of the others. Returns whether it is one that is polled.
    fn prompt(&mut self, id: &ZoneId, now: Instant) -> bool {
        let mut accounts = self.accounts.values_mut();
        let Some(account) = accounts.find(|account| account.zones.contains_key(id)) else {
            return false;
        };
        account.prompt(id, &self.context, now);
        true
    }

    /// The pools of a Cloudflare account were written: they are read again for its zones.
    fn pools_written(&mut self, owner: &Arc<str>, now: Instant) {
        for account in self.accounts.values_mut() {
            account.pools = Arc::default();
            let of_owner = account
                .zones
                .iter_mut()
                .filter(|(_, zone)| zone.slot.load().zone.owner.as_ref() == Some(owner));
            let mut ids = Vec::new();
            for (id, zone) in of_owner {
                zone.enrichment.request_origins();
                ids.push(id.clone());
            }
            for id in ids {
                account.queue_enrichment(&id, &self.context, now);
            }
        }
    }
}

impl super::Recorder {
    /// Gives changes that were seen after a write the name of who made it.
    fn add_actor(&self, zone: &ZoneId, time: Timestamp, write: &AuditWrite) {
        let Some(actor) = actor(write, time) else {
            return;
        };
        let now = Timestamp::now();
        let query = Query {
            zone: Some(zone.as_str().to_owned()),
            since: time.checked_sub(CLOCK_SKEW).ok(),
            limit: MAX_CHANGES,
            ..Query::default()
        };
        let mut done = BTreeSet::new();
        // The first change of a thing after the write is the one that it made.
        for change in self.history().query(&query, now).changes.iter().rev() {
            let details = &change.details;
            let thing = (details.origin_ip, details.finding);
            if is_cause(write, time, details, change.time)
                && done.insert(thing)
                && change.actor.is_none()
            {
                self.set_actor(change.id, actor.clone());
            }
        }
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

    fn write(target: WriteTarget, ips: &[&str]) -> AuditWrite {
        AuditWrite {
            target,
            zone: Some(ZoneId::parse("a").unwrap()),
            origin_ips: ips.iter().map(|ip| OriginIp::parse(ip).unwrap()).collect(),
            actor: Some(AuditActor {
                name: "ops@example.com".to_owned(),
                ..AuditActor::default()
            }),
        }
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
