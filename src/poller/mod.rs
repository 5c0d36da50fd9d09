//! Schedules and runs the polls, and processes their results. The only writer of the snapshot.
//!
//! A single task owns all schedules and publishes everything. API calls run in separate tasks and
//! return their results to it. So no state is shared, no zone is polled twice at once, and a call
//! that hangs delays nothing else.

mod account;
mod attribution;
mod audit_log;
mod cloudflare_ips;
mod completion;
mod discovery;
mod dispatch;
mod enrichment;
mod evaluate;
mod handle;
mod hosts;
mod lag;
mod log_events;
mod metrics;
mod pools;
mod reconfigure;
mod recorder;
mod records;
mod report;
mod schedule;
mod settings;
mod state;
mod tasks;
mod token;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::account::Account;
use self::audit_log::AuditLogs;
use self::cloudflare_ips::CloudflareIps;
use self::discovery::Released;
use self::enrichment::state::StoredSources;
use self::handle::{Command, Commands};
pub use self::handle::{Configuration, ConfiguredAccount, PollerHandle};
use self::hosts::HostLookup;
pub use self::metrics::Metrics;
pub use self::recorder::Recorder;
use self::records::RecordReadings;
pub use self::report::{Round, SourceOutcome, SourceReading};
pub use self::settings::{AccountSettings, Settings, Shard, ZoneOverride, ZoneSelection};
use self::tasks::Tasks;
use crate::cloudflare::AuditLogSettings;
use crate::domain::{AccountName, ZoneId};
use crate::findings::{ExpectSettings, VerifySettings};
use crate::origin_hosts::OriginHosts;
use crate::snapshot::{Snapshot, UnmatchedZones};
use crate::storage::StoredZone;
use crate::vendor_ranges::{RangeTable, VendorRanges};

/// The daemon becomes ready after this long in any case, so that a slow or broken account does not
/// keep the others out of service.
const READY_AT_LATEST: Duration = Duration::from_mins(1);

/// How long a single round waits for origin hosts once everything else is read. Hosts that are
/// still unresolved stay unknown.
const RESOLVE_ONCE: Duration = Duration::from_mins(1);

/// What mappings are evaluated against.
#[derive(Clone)]
pub struct EvaluationConfig {
    /// The sources of expected origins.
    pub expect: ExpectSettings,
    /// Which of Cloudflare's settings are read.
    pub verify: VerifySettings,
    /// The settings of the audit logs.
    pub audit_log: AuditLogSettings,
    /// The vendors' published ranges.
    pub ranges: VendorRanges,
    /// The hosts that sources name.
    pub hosts: OriginHosts,
}

/// Polls the zones of all accounts and publishes the results.
pub struct Poller {
    context: Context,
    snapshot: Snapshot,
    ready: watch::Sender<bool>,
    /// In the order of the configuration.
    accounts: IndexMap<AccountName, Account>,
    records: RecordReadings,
    audit_logs: AuditLogs,
    unmatched: UnmatchedZones,
    /// The stored state of zones that are not found yet.
    memory: HashMap<ZoneId, (StoredZone, StoredSources)>,
    /// The series of `upper_tier_info`: vendor, region and colo.
    upper_tiers: BTreeSet<[String; 3]>,
    /// The number of zones found since the start, which spreads them over the interval.
    found: u32,
    /// Whether the listings differ from the published directory.
    listings_changed: bool,
    ranges_changed: watch::Receiver<Arc<RangeTable>>,
    commands: Commands,
    /// The results of the calls in a single round.
    readings: Vec<SourceReading>,
}

/// Context that all accounts share.
struct Context {
    settings: Settings,
    evaluation: EvaluationConfig,
    hosts: HostLookup,
    cloudflare_ips: CloudflareIps,
    metrics: Metrics,
    recorder: Recorder,
    tasks: Tasks,
    started: Instant,
    /// When the current step of the loop began.
    now: Instant,
    /// Whether each zone is polled only once.
    once: bool,
}

impl Poller {
    /// A poller for these accounts, in the order of the configuration. The receiver becomes true
    /// once the daemon is ready, and stays true.
    pub fn new(
        configuration: Configuration,
        snapshot: Snapshot,
        metrics: Metrics,
    ) -> (Self, PollerHandle, watch::Receiver<bool>) {
        let Configuration {
            settings,
            evaluation,
            accounts,
        } = configuration;
        let started = Instant::now();
        let (ready, readiness) = watch::channel(false);
        let ranges_changed = evaluation.ranges.changed();
        let (handle, commands) = handle::channel();
        metrics.interval.set(settings.interval.as_secs_f64());
        let mut poller = Self {
            context: Context {
                settings,
                hosts: HostLookup::new(evaluation.hosts.clone()),
                cloudflare_ips: CloudflareIps::new(started),
                evaluation,
                metrics,
                recorder: Recorder::default(),
                tasks: Tasks::default(),
                started,
                now: started,
                once: false,
            },
            snapshot,
            ready,
            accounts: IndexMap::new(),
            records: RecordReadings::default(),
            audit_logs: AuditLogs::default(),
            unmatched: UnmatchedZones::default(),
            memory: HashMap::new(),
            upper_tiers: BTreeSet::new(),
            found: 0,
            listings_changed: true,
            ranges_changed,
            commands,
            readings: Vec::new(),
        };
        poller.replace_accounts(accounts);
        (poller, handle, readiness)
    }

    /// Polls until the shutdown.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            self.start_due();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.next_event() => {}
            }
        }
    }

    /// Lists every account's zones, and polls and enriches each zone once, successfully or not.
    pub async fn run_once(mut self) -> Round {
        self.context.once = true;
        let end = CancellationToken::new();
        let resolver = self.context.hosts.resolver.clone();
        tokio::spawn(resolver.run(end.clone()));
        let _end = end.drop_guard();
        let mut resolving_until = None;
        let mut evaluated_settled = false;
        loop {
            self.start_due();
            let is_over =
                |account: &Account| account.first_round_over() && account.evaluations.is_empty();
            let over = self.context.tasks.is_empty() && self.accounts.values().all(is_over);
            if over {
                resolving_until.get_or_insert(Instant::now() + RESOLVE_ONCE);
            }
            let is_late = resolving_until.is_some_and(|until| until <= Instant::now());
            let is_settled = self.context.hosts.resolver.is_settled();
            evaluated_settled &= is_settled;
            if over && is_settled && !evaluated_settled {
                // The last hosts may have resolved after the last evaluation.
                evaluated_settled = true;
                self.accounts
                    .values_mut()
                    .for_each(Account::request_evaluations);
                continue;
            }
            if over && (is_late || is_settled) {
                for account in self.accounts.values_mut() {
                    account.publish_unconfirmed(&self.context);
                }
                let fitting = self.accounts.iter().filter_map(|(name, account)| {
                    let interval =
                        account.fitting_interval(&self.context, &self.snapshot, &self.records)?;
                    Some((name.clone(), interval))
                });
                return Round {
                    fitting_intervals: fitting.collect(),
                    readings: self.readings,
                };
            }
            let next = self.next_event();
            match resolving_until {
                Some(until) => drop(timeout_at(until, next).await),
                None => next.await,
            }
        }
    }

    /// Publishes changes and starts what is due.
    fn start_due(&mut self) {
        let now = Instant::now();
        self.context.now = now;
        for account in self.accounts.values_mut() {
            account.expire(&self.context);
        }
        // Listings that end together are processed together.
        if std::mem::take(&mut self.listings_changed) {
            self.reassign(Released::new());
        }
        for account in self.accounts.values_mut() {
            account.start_due(&mut self.context);
            account.check_budget(&self.context, &self.snapshot, &self.records);
        }
        self.start_cloudflare_ips();
        self.start_record_readings();
        self.start_audit_logs();
        self.evaluate_pending();
        let tried = self.accounts.values().all(Account::tried);
        if (tried || now >= self.context.started + READY_AT_LATEST) && !*self.ready.borrow() {
            if !self.context.once {
                let zones = self.accounts.values().map(|account| account.zones.len());
                info!(zones = zones.sum::<usize>(), "ready");
            }
            self.ready.send_replace(true);
        }
    }

    /// Waits for the next results, or until something is due.
    async fn next_event(&mut self) {
        let wake = self.next_wake();
        let timer = sleep_until(wake.unwrap_or_else(Instant::now));
        tokio::select! {
            Some(ended) = self.context.tasks.next() => {
                self.complete(ended);
                while let Some(ended) = self.context.tasks.try_next() {
                    self.complete(ended);
                }
            }
            // The sender lives as long as the ranges in this poller.
            Ok(()) = self.ranges_changed.changed() => {
                self.accounts.values_mut().for_each(Account::request_evaluations);
            }
            hosts = self.context.hosts.resolver.changed() => {
                let zones: BTreeSet<ZoneId> = hosts
                    .iter()
                    .flat_map(|host| self.context.hosts.resolver.zones(host))
                    .collect();
                self.request_evaluation_of(zones);
            }
            names = self.context.hosts.resolver.unsaved(), if self.context.recorder.storage.is_some() => {
                self.context.recorder.hosts(&self.context.hosts.resolver, &names);
            }
            Some(command) = self.commands.recv() => self.obey(command),
            () = timer, if wake.is_some() => {}
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let now = self.context.now;
        let of_accounts = self
            .accounts
            .values()
            .filter_map(|account| account.next_wake(now));
        let ready = (!*self.ready.borrow()).then_some(self.context.started + READY_AT_LATEST);
        let others = [
            self.records.next_due(),
            self.audit_logs.next_due(),
            self.cloudflare_ips_due().filter(|at| *at > now),
            ready.filter(|at| *at > now),
        ];
        of_accounts.chain(others.into_iter().flatten()).min()
    }

    fn obey(&mut self, command: Command) {
        self.context.now = Instant::now();
        // The caller may have stopped waiting.
        match command {
            Command::Reconfigure(change, done) => {
                self.reconfigure(*change);
                let _ = done.send(());
            }
            Command::Ping(done) if self.accounts.values().any(Account::hangs) => drop(done),
            Command::Ping(done) => {
                let _ = done.send(());
            }
        }
    }
}
