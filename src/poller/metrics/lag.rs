//! The lag of the most overdue zone of each account at the time of the scrape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::time::Instant;

use crate::cloudflare::CallBudget;
use crate::domain::{AccountName, ZoneId};
use crate::metric_families::{self, FromFamily as _};
use crate::panics::lock;

/// Starting a task takes less than this, so it does not count as lag.
const NOISE: Duration = Duration::from_millis(50);

/// A poll ends as soon as its time budget is used up. One that runs this much longer hangs.
const HANGS_AFTER: Duration = Duration::from_mins(1);

/// The due and running polls. Clones share it; the lock is held only briefly.
#[derive(Debug, Clone)]
pub(in crate::poller) struct LagBoard {
    accounts: Arc<Mutex<HashMap<AccountName, AccountLag>>>,
    gauge: GaugeVec,
}

#[derive(Debug, Default)]
struct AccountLag {
    /// The earliest due time of the zones that are not being polled.
    first_due: Option<Instant>,
    /// The running polls, with their lag at the start.
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

    /// Sets the due time of the account's next poll to start.
    pub(in crate::poller) fn waiting(&self, account: &AccountName, first_due: Option<Instant>) {
        let mut accounts = lock(&self.accounts);
        accounts.entry(account.clone()).or_default().first_due = first_due;
    }

    /// Records that a poll started with this lag.
    pub(in crate::poller) fn started(
        &self,
        account: &AccountName,
        zone: ZoneId,
        late: Duration,
        call: Arc<CallBudget>,
    ) {
        let mut accounts = lock(&self.accounts);
        accounts
            .entry(account.clone())
            .or_default()
            .running
            .insert(zone, (late, call));
    }

    /// Records that a poll ended.
    pub(in crate::poller) fn ended(&self, account: &AccountName, zone: &ZoneId) {
        if let Some(lag) = lock(&self.accounts).get_mut(account) {
            lag.running.remove(zone);
        }
    }

    /// Whether a poll hangs, which is a bug in this program.
    pub(in crate::poller) fn hangs(&self) -> bool {
        let accounts = lock(&self.accounts);
        let mut running = accounts.values().flat_map(|lag| lag.running.values());
        running.any(|(_, call)| call.overspent() >= HANGS_AFTER)
    }

    /// Removes an account.
    pub(in crate::poller) fn forget(&self, account: &AccountName) {
        lock(&self.accounts).remove(account);
    }
}

impl Collector for LagBoard {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        self.gauge.reset();
        for (account, lag) in &*lock(&self.accounts) {
            self.gauge
                .with_label_values(&[account.as_str()])
                .set(lag.at(now).as_secs_f64());
        }
        self.gauge.collect()
    }
}
