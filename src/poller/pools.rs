//! Reads the load balancer pools of a Cloudflare account again after a write to them. The zones
//! that use them are evaluated again; their other data is not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::account::Account;
use super::dispatch::PROMPT_INTERVAL;
use super::enrichment::pool_cache::Pools;
use super::tasks::{Outcome, POLL_BUDGET, Running};
use super::{Context, Poller};
use crate::cloudflare::{AuditWrite, CallBudget, Operation};
use crate::domain::ZoneId;

/// The most writes to keep until the pools are read.
const MAX_WRITES: usize = 200;

/// The pools to read, by their Cloudflare account.
#[derive(Debug, Default)]
pub(super) struct PoolRefreshes(BTreeMap<Arc<str>, Refresh>);

#[derive(Debug, Default)]
struct Refresh {
    due: Option<Instant>,
    started: Option<Instant>,
    task: Option<Running>,
    /// Writes since the last read began, and those before it.
    writes: Vec<(Timestamp, Arc<AuditWrite>)>,
    being_read: Vec<(Timestamp, Arc<AuditWrite>)>,
}

impl PoolRefreshes {
    /// When the next read starts. A read in progress ends first.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|refresh| refresh.task.is_none());
        waiting.filter_map(|refresh| refresh.due).min()
    }
}

impl Poller {
    /// Handles a write to the pools of a Cloudflare account.
    pub(super) fn pools_written(
        &mut self,
        owner: &Arc<str>,
        time: Timestamp,
        write: &Arc<AuditWrite>,
    ) {
        let now = self.context.now;
        if !self.context.evaluation.expect.from_load_balancers {
            return;
        }
        for account in self.accounts.values_mut() {
            if account.zones_of(owner).is_empty() {
                continue;
            }
            let refresh = account
                .pool_refreshes
                .0
                .entry(Arc::clone(owner))
                .or_default();
            let earliest = refresh.started.map(|at| at + PROMPT_INTERVAL);
            refresh
                .due
                .get_or_insert(earliest.map_or(now, |at| at.max(now)));
            if refresh.writes.len() < MAX_WRITES {
                refresh.writes.push((time, Arc::clone(write)));
            }
        }
    }
}

impl Account {
    pub(super) fn start_pool_refreshes(&mut self, context: &mut Context) {
        let now = context.now;
        for (owner, refresh) in &mut self.pool_refreshes.0 {
            if refresh.task.is_some() || refresh.due.is_none_or(|due| due > now) {
                continue;
            }
            refresh.due = None;
            refresh.started = Some(now);
            refresh.being_read = std::mem::take(&mut refresh.writes);
            let (owner, read) = (Arc::clone(owner), Arc::clone(owner));
            let outcome = |pools| Outcome::PoolsRead(read, pools);
            let cache = Arc::clone(&self.pools);
            let work = |client| async move {
                let call = CallBudget::urgent(POLL_BUDGET);
                cache.refresh(&client, &owner, &call).await
            };
            let (tasks, operation) = (&mut context.tasks, Operation::LoadBalancerPools);
            refresh.task = Some(tasks.spawn(&self.client, operation, work, outcome));
        }
    }

    /// Handles the result of reading the pools.
    pub(super) fn pools_read(&mut self, owner: &Arc<str>, pools: &Pools, context: &Context) {
        let Some(refresh) = self.pool_refreshes.0.get_mut(owner) else {
            return;
        };
        refresh.task = None;
        let writes = std::mem::take(&mut refresh.being_read);
        let zones = self.zones_of(owner);
        if let Err(error) = pools
            && let Some(zone) = zones.first()
        {
            self.log_optional_failure(zone, error);
        }
        for id in zones {
            let is_being_enriched = self.enriching.contains_key(&id);
            let Some(zone) = self.zones.get_mut(&id) else {
                continue;
            };
            let state = &mut zone.enrichment;
            let changed = pools.as_ref().is_ok_and(|pools| state.take_pools(pools));
            for (time, write) in &writes {
                let is_used = match &write.pool {
                    Some(pool) => state.pools_in_use.contains(pool),
                    None => changed,
                };
                if is_used {
                    context.recorder.wrote(&id, *time, write);
                }
            }
            if changed {
                context.recorder.sources(&id, &zone.enrichment);
                self.evaluations.insert(id.clone());
            }
            if is_being_enriched {
                // It may still use the old pools.
                zone.enrichment.request_origins();
                self.queue_enrichment(&id, context);
            }
        }
    }

    /// The zones that belong to a Cloudflare account.
    fn zones_of(&self, owner: &Arc<str>) -> Vec<ZoneId> {
        let zones = self.zones.iter();
        let zones = zones.filter(|(_, zone)| zone.slot.load().zone.owner.as_ref() == Some(owner));
        zones.map(|(id, _)| id.clone()).collect()
    }
}
