//! When each zone is read, for which account, and what becomes of the answer. The only writer of
//! the snapshot.
//!
//! One task owns all schedules and does all publishing; the API calls run in tasks of their own
//! and bring their answers back to it. So no state is shared, no zone is ever polled twice at
//! once, and a call that hangs holds up nothing but itself.

mod account;
mod completion;
mod discovery;
mod dispatch;
mod enrichment;
mod evaluate;
mod log_events;
mod metrics;
mod reconfigure;
mod schedule;
mod settings;
mod state;
mod tasks;
mod zone;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::account::Account;
pub use self::metrics::Metrics;
use self::reconfigure::Reconfigurations;
pub use self::reconfigure::{PollerHandle, Reconfiguration};
pub use self::schedule::estimate::Load;
pub use self::settings::{Settings, Shard, ZoneOverride, ZoneSelection};
use self::tasks::{Answer, Task};
use self::zone::PolledZone;
use crate::cloudflare::Client;
use crate::domain::ZoneId;
use crate::findings::{ExpectSettings, VerifySettings};
use crate::snapshot::{Snapshot, UnmatchedZones};
use crate::vendor_ranges::VendorRanges;

/// After this long the daemon calls itself ready whatever is still missing, so that a slow or
/// broken account does not keep the others out of service for ever.
const READY_AT_LATEST: Duration = Duration::from_mins(1);

/// What the mappings are judged by.
#[derive(Debug, Clone)]
pub struct EvaluationConfig {
    /// Where expectations come from.
    pub expect: ExpectSettings,
    /// Which of Cloudflare's own settings are read.
    pub verify: VerifySettings,
    /// The vendors' published ranges.
    pub ranges: VendorRanges,
}

/// Reads the zones of all accounts, again and again, and publishes what it finds.
pub struct Poller {
    settings: Settings,
    evaluation: EvaluationConfig,
    snapshot: Snapshot,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    accounts: Vec<Account>,
    zones: HashMap<ZoneId, PolledZone>,
    /// Zones with a poll under way, those among them that have left the account meanwhile too.
    busy: HashSet<ZoneId>,
    /// As `busy`, with a follow-up under way.
    following: HashSet<ZoneId>,
    jobs: JoinSet<Answer>,
    /// What each task is about.
    about: HashMap<Id, (Task, AbortHandle)>,
    /// When the last good data of failing zones is to be dropped.
    expiries: BTreeSet<(Instant, ZoneId)>,
    unmatched: UnmatchedZones,
    /// Zones found since the start, for their places in the interval.
    found: u32,
    started: Instant,
    /// What the accounts list, or what is wanted of it, is not what the directory says.
    listings_changed: bool,
    ranges_changed: watch::Receiver<u64>,
    reconfigurations: Reconfigurations,
    /// Each zone is polled once and no more.
    once: bool,
}

impl Poller {
    /// A poller for the accounts behind `clients`, which are those of `settings.selections` in the
    /// same order. The receiver turns true when the daemon is ready, for good.
    pub fn new(
        settings: Settings,
        evaluation: EvaluationConfig,
        clients: Vec<Client>,
        snapshot: Snapshot,
        metrics: Metrics,
    ) -> (Self, PollerHandle, watch::Receiver<bool>) {
        let started = Instant::now();
        let (ready, readiness) = watch::channel(false);
        let ranges_changed = evaluation.ranges.changed();
        let (handle, reconfigurations) = reconfigure::channel();
        metrics.interval.set(settings.interval.as_secs_f64());
        let selections = settings
            .selections
            .iter()
            .map(|(_, selection)| selection.clone());
        let accounts = clients
            .into_iter()
            .zip(selections)
            .map(|(client, selection)| Account::new(client, selection, started))
            .collect();
        let poller = Self {
            settings,
            evaluation,
            snapshot,
            metrics,
            ready,
            accounts,
            zones: HashMap::new(),
            busy: HashSet::new(),
            following: HashSet::new(),
            jobs: JoinSet::new(),
            about: HashMap::new(),
            expiries: BTreeSet::new(),
            unmatched: UnmatchedZones::default(),
            found: 0,
            started,
            listings_changed: true,
            ranges_changed,
            reconfigurations,
            once: false,
        };
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

    /// Lists every account's zones, polls each zone once, well or badly, and follows it up.
    pub async fn run_once(mut self) {
        self.once = true;
        loop {
            self.start_due();
            let over = self.accounts.iter().all(Account::first_round_over);
            if over && self.jobs.is_empty() {
                self.show_unconfirmed(Instant::now());
                return;
            }
            self.next_event().await;
        }
    }

    /// Starts what is due, then publishes and tells what has changed.
    fn start_due(&mut self) {
        let now = Instant::now();
        self.expire(now);
        // Answers that came together are taken together.
        if std::mem::take(&mut self.listings_changed) {
            self.reassign(now);
            self.publish_directory();
        }
        for index in 0..self.accounts.len() {
            self.start_due_of(index, now);
        }
        for index in 0..self.accounts.len() {
            self.judge_pace(index);
        }
        let tried = self.accounts.iter().all(Account::tried);
        if (tried || now >= self.started + READY_AT_LATEST) && !*self.ready.borrow() {
            if !self.once {
                info!(zones = self.zones.len(), "ready");
            }
            self.ready.send_replace(true);
        }
    }

    /// Waits for the next answers, or for the time at which something is due.
    async fn next_event(&mut self) {
        let wake = self.next_wake();
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.jobs.join_next_with_id() => {
                self.finish(done);
                while let Some(done) = self.jobs.try_join_next_with_id() {
                    self.finish(done);
                }
            }
            // The sender lives as long as the ranges that this poller holds.
            Ok(()) = self.ranges_changed.changed() => self.judge_again(None, Instant::now()),
            Some((change, done)) = self.reconfigurations.recv() => {
                self.reconfigure(change);
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            () = timer => {}
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let of_accounts = self.accounts.iter().filter_map(|account| {
            let poll = account.due.first_due();
            let poll = poll.filter(|_| account.running < account.most_running());
            let turns = [account.listing.due, poll, account.verification_due()];
            let next = turns.into_iter().flatten().min()?;
            Some(next.max(account.client.paused_until().unwrap_or(next)))
        });
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let ready = (!*self.ready.borrow()).then_some(self.started + READY_AT_LATEST);
        of_accounts
            .chain(expiry)
            .chain(ready.filter(|at| *at > now))
            .min()
    }
}
