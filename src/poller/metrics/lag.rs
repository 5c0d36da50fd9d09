//! How late the most overdue zone of each account is, as of the scrape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::time::Instant;

use crate::cloudflare::CallBudget;
use crate::domain::{AccountName, ZoneId};
use crate::metric_families::{self, FromFamily as _};

/// Less than this is how long it takes to start a task, and no zone is late by it.
const NOISE: Duration = Duration::from_millis(50);

/// A poll that has spent its time budget ends at once. One that still runs so much later hangs.
const HANGS_AFTER: Duration = Duration::from_mins(1);

/// Who waits for what. Clones share it; the lock is held for a look-up only.
#[derive(Debug, Clone)]
pub(in crate::poller) struct LagBoard {
    accounts: Arc<Mutex<HashMap<AccountName, AccountLag>>>,
    gauge: GaugeVec,
}

#[derive(Debug, Default)]
struct AccountLag {
    /// When the first of the zones that are not being polled is due.
    first_due: Option<Instant>,
    /// Polls under way, with how late they started.
    running: HashMap<ZoneId, (Duration, Arc<CallBudget>)>,
}

impl AccountLag {
    fn at(&self, now: Instant) -> Duration {
        let waiting = self.first_due.map(|due| now.saturating_duration_since(due));
        let running = self
            .running
            .values()
            .map(|(late, call)| *late + call.waited());
        waiting
            .into_iter()
            .chain(running)
            .max()
            .filter(|lag| *lag >= NOISE)
            .unwrap_or_default()
    }
}

impl LagBoard {
    pub(in crate::poller) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            accounts: Arc::default(),
            gauge: GaugeVec::from_family(&metric_families::POLL_LAG)?,
        })
    }

    /// The first poll of the account that is still to be started is due then.
    pub(in crate::poller) fn waiting(&self, account: &AccountName, first_due: Option<Instant>) {
        let mut accounts = self.lock();
        match accounts.get_mut(account) {
            Some(lag) => lag.first_due = first_due,
            None => {
                accounts.insert(
                    account.clone(),
                    AccountLag {
                        first_due,
                        running: HashMap::new(),
                    },
                );
            }
        }
    }

    /// A poll started this late.
    pub(in crate::poller) fn started(
        &self,
        account: &AccountName,
        zone: ZoneId,
        late: Duration,
        call: Arc<CallBudget>,
    ) {
        let mut accounts = self.lock();
        accounts
            .entry(account.clone())
            .or_default()
            .running
            .insert(zone, (late, call));
    }

    /// A poll ended.
    pub(in crate::poller) fn ended(&self, account: &AccountName, zone: &ZoneId) {
        if let Some(lag) = self.lock().get_mut(account) {
            lag.running.remove(zone);
        }
    }

    /// Whether a poll hangs, which is a defect of this program.
    pub(in crate::poller) fn hangs(&self) -> bool {
        let accounts = self.lock();
        let mut running = accounts.values().flat_map(|lag| lag.running.values());
        running.any(|(_, call)| call.overspent() >= HANGS_AFTER)
    }

    /// The account has gone.
    pub(in crate::poller) fn forget(&self, account: &AccountName) {
        self.lock().remove(account);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountName, AccountLag>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for LagBoard {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        self.gauge.reset();
        for (account, lag) in &*self.lock() {
            self.gauge
                .with_label_values(&[account.as_str()])
                .set(lag.at(now).as_secs_f64());
        }
        self.gauge.collect()
    }
}
