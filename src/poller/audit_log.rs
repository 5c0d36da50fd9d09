//! Reads audit logs. A zone that was written to is polled at once, and changes are attributed to
//! their actors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Poller;
use super::attribution::RecentWrites;
use super::tasks::{Outcome, POLL_BUDGET, Running};
use crate::cloudflare::{
    ApiError, AuditEntry, AuditLogPosition, AuditLogReading, CallBudget, Client, Operation, Reason,
    WriteTarget,
};
use crate::domain::{AccountName, ZoneId};

/// The retry interval of a log that the token may not read.
const FORBIDDEN_RETRY: Duration = Duration::from_hours(1);
/// Reads use at most one in this many requests of an account's budget.
const BUDGET_SHARE: u32 = 10;

/// The audit logs of the Cloudflare accounts that the polled zones belong to.
#[derive(Default)]
pub(super) struct AuditLogs {
    /// By the identifier of the Cloudflare account.
    logs: BTreeMap<Arc<str>, AuditLog>,
    /// The positions of logs that are not read now, including those stored by an earlier process.
    pub(super) stored: BTreeMap<String, AuditLogPosition>,
}

/// One log.
struct AuditLog {
    /// The configured account that reads it.
    reader: AccountName,
    position: AuditLogPosition,
    /// `None` while it is being read.
    due: Option<Instant>,
    task: Option<Running>,
    /// How the last read ended. Further failures for the same reason are not warned about.
    last: Option<Result<(), Reason>>,
    last_success: Option<Timestamp>,
}

impl AuditLogs {
    /// Replaces the logs to read. New ones are due at once. If the reader of a log changes, the new
    /// one continues at the same position.
    fn replace(&mut self, readers: BTreeMap<Arc<str>, AccountName>, now: Instant) {
        let stored = &mut self.stored;
        self.logs.retain(|owner, log| {
            let stays = readers.get(owner) == Some(&log.reader);
            if !stays {
                stored.insert(owner.to_string(), std::mem::take(&mut log.position));
            }
            stays
        });
        for (owner, reader) in readers {
            let stored = self.stored.remove(&*owner);
            self.logs.entry(owner).or_insert_with(|| AuditLog {
                reader,
                position: stored.unwrap_or_default(),
                due: Some(now),
                task: None,
                last: None,
                last_success: None,
            });
        }
    }

    /// The configured accounts that read logs.
    fn readers(&self) -> BTreeSet<AccountName> {
        let logs = self.logs.values();
        logs.map(|log| log.reader.clone()).collect()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.logs.values().filter_map(|log| log.due).min()
    }

    /// Whether the last read of every log of an account succeeded, and when the least recently read
    /// log was read. `None` until all have been tried.
    fn of_reader(&self, account: &AccountName) -> Option<(bool, Option<Timestamp>)> {
        let logs = || self.logs.values().filter(|log| log.reader == *account);
        let ups: Option<Vec<bool>> = logs().map(|log| Some(log.last?.is_ok())).collect();
        let last = logs().map(|log| log.last_success).min().flatten();
        Some((ups?.into_iter().all(|up| up), last)).filter(|_| logs().next().is_some())
    }
}

/// The minimum time between two reads of this many requests if the account reads this many logs.
/// All reads together use at most a tenth of the budget.
fn least_interval(logs: usize, requests: u32, client: &Client) -> Duration {
    let logs = u32::try_from(logs).unwrap_or(u32::MAX).max(1);
    let requests = logs.saturating_mul(requests.max(1));
    let limit = client.rate_limit();
    let least = limit.window / limit.budget();
    least.saturating_mul(BUDGET_SHARE.saturating_mul(requests))
}

impl Poller {
    /// Assigns the log of each Cloudflare account with polled zones to the first configured account
    /// that polls one of these zones.
    pub(super) fn assign_audit_logs(&mut self) {
        let mut readers = BTreeMap::new();
        let settings = self.context.evaluation.audit_log;
        let is_read = settings.enabled && !self.context.once;
        for account in self.accounts.values() {
            account.client.reserve_for_urgent(is_read);
        }
        if !settings.enabled || !settings.actors {
            // Names are no longer kept.
            *self.context.recorder.writes() = RecentWrites::default();
        }
        if is_read {
            for (name, account) in &self.accounts {
                for zone in account.zones.values() {
                    if let Some(owner) = &zone.slot.load().zone.owner {
                        let owner = Arc::clone(owner);
                        readers.entry(owner).or_insert_with(|| name.clone());
                    }
                }
            }
        }
        let before = self.audit_logs.readers();
        self.audit_logs.replace(readers, self.context.now);
        let after = self.audit_logs.readers();
        let metrics = &self.context.metrics.audit_log;
        for name in before.difference(&after) {
            metrics.forget(name);
        }
        for name in &after {
            metrics.start(name);
        }
    }

    /// Makes logs that could not be read due at once, because the configuration was reloaded and
    /// the cause may be fixed.
    pub(super) fn retry_audit_logs(&mut self) {
        let logs = self.audit_logs.logs.values_mut();
        for log in logs.filter(|log| matches!(log.last, Some(Err(_)))) {
            log.due = log.due.map(|due| due.min(self.context.now));
        }
    }

    /// Starts the reads that are due.
    pub(super) fn start_audit_logs(&mut self) {
        let now = self.context.now;
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
            let (owner, read) = (Arc::clone(owner), Arc::clone(owner));
            let outcome = |reading| Outcome::AuditLogRead(read, reading);
            let work = |client: Client| async move {
                let call = CallBudget::urgent(POLL_BUDGET);
                let reading = client.audit_log(&owner, since, before, actors, &call).await;
                reading.map(|reading| (reading, before))
            };
            let (tasks, operation) = (&mut self.context.tasks, Operation::AuditLog);
            log.due = None;
            log.task = Some(tasks.spawn(&account.client, operation, work, outcome));
        }
    }

    /// Handles the result of a read.
    pub(super) fn audit_log_read(
        &mut self,
        owner: &Arc<str>,
        reader: &AccountName,
        reading: Result<(AuditLogReading, Timestamp), ApiError>,
    ) {
        let now = self.context.now;
        let settings = self.context.evaluation.audit_log;
        let logs = self.audit_logs.logs.values();
        let logs = logs.filter(|log| log.reader == *reader).count();
        let (Some(account), Some(log)) = (
            self.accounts.get(reader),
            self.audit_logs.logs.get_mut(owner),
        ) else {
            return;
        };
        log.task = None;
        let client = &account.client;
        let outcome = reading.as_ref().map(|_| ()).map_err(|error| error.reason);
        let before = log.last.replace(outcome);
        match reading {
            Ok((reading, end)) => {
                if matches!(before, Some(Err(_))) {
                    info!(account = %reader, owner = &**owner, "audit log can be read again");
                }
                log.last_success = Some(Timestamp::now());
                let (has_more, pages) = (reading.has_more, reading.pages);
                let new = log.position.accept(reading, end);
                self.context.recorder.audit_log(owner, &log.position);
                let least = least_interval(logs, pages, client);
                let pause = if has_more {
                    least
                } else {
                    least.max(settings.interval)
                };
                log.due = Some(now + pause);
                self.context.recorder.writes().forget_old(Timestamp::now());
                for entry in new {
                    self.audited(owner, reader, entry);
                }
            }
            Err(error) => {
                let is_refused = matches!(error.reason, Reason::Forbidden | Reason::Unauthorized);
                let permission = error.operation.permission().unwrap_or_default();
                if before == Some(outcome) {
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
                    least_interval(logs, client.attempts(), client).max(settings.interval)
                };
                log.due = Some(now + pause);
            }
        }
        if let Some((up, last)) = self.audit_logs.of_reader(reader) {
            self.context.metrics.audit_log.read(reader, up, last);
        }
    }

    /// Handles a new entry.
    fn audited(&mut self, owner: &Arc<str>, reader: &AccountName, mut entry: AuditEntry) {
        if !self.context.evaluation.audit_log.actors
            && let Some(write) = &mut entry.write
        {
            // The read began before actors were disabled.
            write.actor = None;
        }
        let time = entry.time.unwrap_or_else(Timestamp::now);
        let write = entry.write.map(Arc::new);
        let is_relevant = match &write {
            Some(write) if write.target == WriteTarget::Pools => {
                self.pools_written(owner, time, write);
                true
            }
            Some(write) => {
                let zone = write.zone.as_ref().filter(|zone| self.prompt(zone));
                if let Some(zone) = zone {
                    self.context.recorder.wrote(zone, time, write);
                }
                zone.is_some()
            }
            None => false,
        };
        self.context.metrics.audit_log.entry(reader, is_relevant);
    }

    /// Polls a zone ahead of the others. Returns whether the zone is polled at all.
    fn prompt(&mut self, id: &ZoneId) -> bool {
        let mut accounts = self.accounts.values_mut();
        let Some(account) = accounts.find(|account| account.zones.contains_key(id)) else {
            return false;
        };
        account.prompt(id, &self.context);
        true
    }
}
