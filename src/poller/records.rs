//! Reads the DNS records of zones whose enrichment does not read them, because hosts of other zones
//! lead through them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::enrichment::fetch::Enriched;
use super::schedule::poll_backoff;
use super::tasks::{Outcome, POLL_BUDGET, Running};
use super::{Poller, SourceOutcome};
use crate::cloudflare::{ApiError, CallBudget, Client, DnsRecord, Operation, Rows};
use crate::domain::{AccountName, RecordName, ZoneId};

/// The number of zones to read at once. Small, so that most requests are left to polls.
const AT_ONCE: usize = 2;
/// The minimum interval between reads, even if polls are more frequent.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// The zones to read, and when to read them.
#[derive(Default)]
pub(super) struct RecordReadings {
    zones: HashMap<ZoneId, Reading>,
    queue: BTreeSet<(Instant, ZoneId)>,
}

struct Reading {
    account: AccountName,
    /// Its entry in the queue; `None` while it is being read.
    due: Option<Instant>,
    task: Option<Running>,
    failures: u32,
}

impl RecordReadings {
    /// Replaces the zones to read. New ones are due at once.
    fn replace(&mut self, needed: HashMap<ZoneId, AccountName>, now: Instant) {
        let queue = &mut self.queue;
        self.zones.retain(|id, reading| {
            let stays = needed.get(id) == Some(&reading.account);
            if let Some(due) = reading.due.filter(|_| !stays) {
                queue.remove(&(due, id.clone()));
            }
            stays
        });
        for (id, account) in needed {
            self.zones.entry(id.clone()).or_insert_with(|| {
                queue.insert((now, id));
                Reading {
                    account,
                    due: Some(now),
                    task: None,
                    failures: 0,
                }
            });
        }
    }

    /// The number of zones that an account reads.
    pub(super) fn of_account(&self, account: &AccountName) -> usize {
        let readings = self.zones.values();
        readings
            .filter(|reading| reading.account == *account)
            .count()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        let busy = self.zones.len() - self.queue.len();
        let first = self.queue.first().map(|(due, _)| *due);
        first.filter(|_| busy < AT_ONCE)
    }
}

impl Poller {
    /// Starts the reads that are due, of records that no enrichment reads.
    pub(super) fn start_record_readings(&mut self) {
        let now = self.context.now;
        if let Some(mut needed) = self.context.hosts.needed() {
            let from_dns = self.context.evaluation.expect.from_dns;
            let is_polled = |id: &ZoneId| {
                let mut accounts = self.accounts.values();
                accounts.any(|account| account.zones.contains_key(id))
            };
            needed.retain(|id, _| !from_dns || !is_polled(id));
            self.records.replace(needed, now);
        }
        while self.records.next_due().is_some_and(|due| due <= now)
            && let Some((_, id)) = self.records.queue.pop_first()
        {
            let Some(reading) = self.records.zones.get_mut(&id) else {
                continue;
            };
            reading.due = None;
            let Some(account) = self.accounts.get(&reading.account) else {
                continue;
            };
            if let Some(end) = account.client.paused_until().filter(|end| *end > now) {
                reading.due = Some(end);
                self.records.queue.insert((end, id));
                continue;
            }
            let zone = id.clone();
            let work = |client: Client| async move {
                client
                    .dns_records(&zone, &CallBudget::new(POLL_BUDGET))
                    .await
            };
            let outcome = |records| Outcome::RecordsRead(id, records);
            let (tasks, operation) = (&mut self.context.tasks, Operation::DnsRecords);
            reading.task = Some(tasks.spawn(&account.client, operation, work, outcome));
        }
    }

    /// Handles the records of a zone that no enrichment reads.
    pub(super) fn records_read(
        &mut self,
        id: &ZoneId,
        answer: &Result<Rows<DnsRecord>, ApiError>,
        outcome: &SourceOutcome,
    ) {
        let Some(reading) = self.records.zones.get_mut(id) else {
            return;
        };
        reading.task = None;
        let interval = self.context.settings.interval.max(MIN_INTERVAL);
        let pause = if answer.is_ok() {
            reading.failures = 0;
            interval
        } else {
            reading.failures = reading.failures.saturating_add(1);
            poll_backoff(reading.failures, interval, fastrand::f64())
        };
        if !self.context.once {
            let due = self.context.now + pause;
            reading.due = Some(due);
            self.records.queue.insert((due, id.clone()));
        }
        if let Some(account) = self.accounts.get_mut(&reading.account) {
            account.log_outcome(id, Operation::DnsRecords, outcome);
        }
        let none = BTreeSet::new();
        self.learn_records(id, answer.as_ref().ok().map(|records| (records, &none)));
    }

    /// Handles the records that an enrichment has read, or failed to read.
    pub(super) fn enriched_records(
        &mut self,
        account: &AccountName,
        id: &ZoneId,
        enriched: &Enriched,
    ) {
        let is_wanted = self.context.evaluation.expect.from_dns
            && enriched.sources.contains_key(&Operation::DnsRecords);
        let account = self.accounts.get(account);
        let zone = account.and_then(|account| account.zones.get(id));
        let Some(zone) = zone.filter(|_| is_wanted) else {
            return;
        };
        let known = Arc::clone(&zone.enrichment.balanced);
        let balanced = enriched.balanced.as_ref().unwrap_or(&known);
        let records = enriched.records.as_ref();
        self.learn_records(id, records.map(|records| (records, &**balanced)));
    }

    fn learn_records(
        &mut self,
        id: &ZoneId,
        read: Option<(&Rows<DnsRecord>, &BTreeSet<RecordName>)>,
    ) {
        let (now, retain) = (self.context.now, self.context.settings.retain);
        let dependents = self.context.hosts.learn(id, read, now, retain);
        self.request_evaluation_of(dependents);
    }

    /// Requests an evaluation of these zones, because their findings are out of date.
    pub(super) fn request_evaluation_of(&mut self, zones: impl IntoIterator<Item = ZoneId>) {
        for id in zones {
            let mut accounts = self.accounts.values_mut();
            if let Some(account) = accounts.find(|account| account.zones.contains_key(&id)) {
                account.evaluations.insert(id);
            }
        }
    }
}
