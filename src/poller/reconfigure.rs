//! Another configuration while polls go on: what is known of accounts and zones stays.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::account::Account;
use super::enrichment::refresh::Regions;
use super::tasks::Task;
use super::{EvaluationConfig, Poller, Settings, ZoneSelection};
use crate::cloudflare::Client;
use crate::domain::{AccountName, ZoneId};

/// Reconfigurations that wait for the poller's task; reloads are made one after the other.
const WAITING: usize = 1;

/// What is to be in force from now on.
pub struct Reconfiguration {
    /// How the poller works.
    pub settings: Settings,
    /// What the mappings are judged by.
    pub evaluation: EvaluationConfig,
    /// The accounts' clients, in the order of `settings.selections`. An account that stays keeps
    /// the client that it had.
    pub clients: Vec<Client>,
}

/// A way to reach a poller that runs.
#[derive(Debug, Clone)]
pub struct PollerHandle(mpsc::Sender<(Reconfiguration, oneshot::Sender<()>)>);

/// The poller's end of it.
pub(super) type Reconfigurations = mpsc::Receiver<(Reconfiguration, oneshot::Sender<()>)>;

pub(super) fn channel() -> (PollerHandle, Reconfigurations) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (PollerHandle(sender), receiver)
}

impl PollerHandle {
    /// Puts a configuration into force; returns when it is. Whether the poller still runs.
    pub async fn reconfigure(&self, change: Reconfiguration) -> bool {
        let (done, applied) = oneshot::channel();
        self.0.send((change, done)).await.is_ok() && applied.await.is_ok()
    }
}

impl Poller {
    pub(super) fn reconfigure(&mut self, change: Reconfiguration) {
        let now = Instant::now();
        let Reconfiguration {
            settings,
            evaluation,
            clients,
        } = change;
        self.replace_accounts(&settings, clients, now);
        self.metrics.interval.set(settings.interval.as_secs_f64());
        for account in &mut self.accounts {
            let soonest = now + settings.discovery_interval;
            account.listing.due = account.listing.due.map(|due| due.min(soonest));
        }
        self.settings = settings;
        self.ranges_changed = evaluation.ranges.changed();
        self.evaluation = evaluation;
        let (expect, verify) = (&self.evaluation.expect, self.evaluation.verify);
        for turns in self.zones.values_mut() {
            turns.secondary.reconfigure(expect, verify);
        }
        if !verify.supported_regions {
            for account in &mut self.accounts {
                account.regions = Regions::default();
            }
        }
        self.show_upper_tiers();
        self.reassign(now);
        self.publish_directory();
        self.judge_again(None, now);
    }

    /// Accounts that stay keep their zones and schedules; what refers to an account by its place
    /// follows it to its new one.
    fn replace_accounts(&mut self, settings: &Settings, clients: Vec<Client>, now: Instant) {
        let old = std::mem::take(&mut self.accounts);
        let mut places: HashMap<AccountName, usize> = HashMap::new();
        let mut staying: HashMap<AccountName, Account> = HashMap::new();
        for (place, account) in old.into_iter().enumerate() {
            places.insert(account.state.name.clone(), place);
            staying.insert(account.state.name.clone(), account);
        }
        let mut moved: HashMap<usize, usize> = HashMap::new();
        for (place, (client, (name, selection))) in
            clients.into_iter().zip(&settings.selections).enumerate()
        {
            let mut account = staying
                .remove(name)
                .unwrap_or_else(|| Account::new(client, selection.clone(), now));
            account.select(selection.clone(), now);
            // The credentials may be others.
            account.optional_failures.clear();
            account.verification = account.verification.map(|_| now);
            self.accounts.push(account);
            if let Some(old) = places.get(name) {
                moved.insert(*old, place);
            }
        }
        for name in staying.keys() {
            self.metrics.lag.forget(name);
        }
        // A zone of an account that has gone refers to none until the zones are assigned anew.
        for turns in self.zones.values_mut() {
            turns.account = moved.get(&turns.account).copied().unwrap_or(usize::MAX);
        }
        let (busy, following) = (&mut self.busy, &mut self.following);
        self.about.retain(|_, (job, task)| {
            if let Some(place) = moved.get(job.account_mut()) {
                *job.account_mut() = *place;
                return true;
            }
            // Nothing more is sent with credentials that the configuration has lost.
            task.abort();
            match job {
                Task::Poll(_, zone) => busy.remove(zone),
                Task::Enrichment { zone, .. } => following.remove(zone),
                Task::List(_) | Task::Name(..) | Task::Verify(_) => false,
            };
            false
        });
    }
}

impl Account {
    /// Wants these zones from now on.
    fn select(&mut self, selection: ZoneSelection, now: Instant) {
        let same_kind = match (&self.selection, &selection) {
            (ZoneSelection::Filter { .. }, ZoneSelection::Filter { .. }) => true,
            (ZoneSelection::Ids(old), ZoneSelection::Ids(new)) => old == new,
            _ => false,
        };
        match &selection {
            ZoneSelection::Ids(ids) => {
                self.zones.retain(|id: &ZoneId, _| ids.contains(id));
                self.absent.retain(|id| ids.contains(id));
            }
            ZoneSelection::Filter { .. } => self.absent.clear(),
        }
        self.selection = selection;
        if !same_kind {
            self.listed = false;
            self.listing.again = self.listing.due.is_none();
            self.listing.due = self.listing.due.map(|_| now);
        }
    }
}
