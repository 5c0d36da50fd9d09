//! The poller's state for one account.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::discovery::Released;
use super::discovery::listing::Listing;
use super::enrichment::pool_cache::PoolCache;
use super::enrichment::refresh::Regions;
use super::pools::PoolRefreshes;
use super::schedule::budget::BudgetCheck;
use super::schedule::queue::Queue;
use super::tasks::{Poll, Running, Urgency};
use super::token::TokenCheck;
use super::zone::PolledZone;
use super::{Context, ZoneSelection};
use crate::cloudflare::{Client, Operation, Reason};
use crate::domain::{AccountName, ZoneId};
use crate::snapshot::{AccountState, ZoneCounts};

/// The most concurrent polls of an account, as a multiple of its requests in flight: enough that
/// zones in backoff do not keep the others from the connection.
const POLLS_PER_REQUEST: usize = 4;

/// An account and the zones that are polled with its credentials.
pub(super) struct Account {
    pub(super) client: Client,
    pub(super) state: AccountState,
    /// The zones that the account lists, selected or not.
    pub(super) listing: Listing,
    /// The zones that it polls.
    pub(super) zones: HashMap<ZoneId, PolledZone>,
    /// Its zones by due time, except those being polled.
    pub(super) queue: Queue,
    /// Zones waiting for enrichment.
    pub(super) enrichments: VecDeque<ZoneId>,
    /// Zones whose findings are outdated.
    pub(super) evaluations: BTreeSet<ZoneId>,
    /// Zones that were found but not polled yet.
    pub(super) untried: HashSet<ZoneId>,
    /// Whether the first round of polls is over. Until then, zones that were never read go first.
    pub(super) settled: bool,
    /// The polls in progress.
    pub(super) polling: HashMap<ZoneId, Poll>,
    /// The enrichments in progress.
    pub(super) enriching: HashMap<ZoneId, (Running, Urgency)>,
    /// When the last good data of failing zones is dropped.
    pub(super) expiries: BTreeSet<(Instant, ZoneId)>,
    /// The regions that Cloudflare supports.
    pub(super) regions: Regions,
    /// The load balancer pools, read once for all zones.
    pub(super) pools: Arc<PoolCache>,
    /// Pools that were written to.
    pub(super) pool_refreshes: PoolRefreshes,
    /// The optional calls that were logged, with the reason of a failure or none for unreadable rows.
    pub(super) logged: HashSet<(Operation, Option<Reason>)>,
    pub(super) token: TokenCheck,
    /// When the lag is to be shown again.
    pub(super) lag_update: Option<Instant>,
    /// Whether the interval fits the budget.
    pub(super) budget_check: BudgetCheck,
}

impl Account {
    pub(super) fn new(client: Client, selection: ZoneSelection, now: Instant) -> Self {
        let state = AccountState {
            name: client.account().clone(),
            up: None,
            last_success: None,
            error: None,
            zones: ZoneCounts::default(),
        };
        Self {
            client,
            state,
            listing: Listing::new(selection, now),
            zones: HashMap::new(),
            queue: Queue::default(),
            enrichments: VecDeque::new(),
            evaluations: BTreeSet::new(),
            untried: HashSet::new(),
            settled: false,
            polling: HashMap::new(),
            enriching: HashMap::new(),
            expiries: BTreeSet::new(),
            regions: Regions::default(),
            pools: Arc::default(),
            pool_refreshes: PoolRefreshes::default(),
            logged: HashSet::new(),
            token: TokenCheck::new(now),
            lag_update: None,
            budget_check: BudgetCheck::default(),
        }
    }

    pub(super) fn name(&self) -> &AccountName {
        &self.state.name
    }

    /// The most concurrent polls.
    pub(super) fn max_polling(&self) -> usize {
        POLLS_PER_REQUEST * self.client.concurrency()
    }

    /// Whether another zone may be polled because of a write. Such polls run in addition to regular
    /// ones, up to the same number.
    pub(super) fn has_room_for_prompted(&self) -> bool {
        self.polling.len() < 2 * self.max_polling()
    }

    /// Whether the listing and every zone were tried once, or a pause or refused credentials
    /// prevent it.
    pub(super) fn tried(&self) -> bool {
        self.client.is_blocked() || self.token.refused || self.first_round_over()
    }

    /// Whether the listing and every zone were tried once, successfully or not.
    pub(super) fn first_round_over(&self) -> bool {
        self.state.up.is_some() && self.untried.is_empty()
    }

    /// The earliest time at which something is due.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let poll = self.queue.first_due();
        let poll = poll.filter(|_| self.polling.len() < self.max_polling());
        let prompted = self.queue.first_prompted();
        let prompted = prompted.filter(|_| self.has_room_for_prompted());
        let due = [
            poll,
            prompted,
            self.pool_refreshes.next_due(),
            self.listing.due,
            self.verification_due(),
        ];
        let next = due.into_iter().flatten().min();
        let next = next.map(|at| at.max(self.client.paused_until().unwrap_or(at)));
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let evaluation = (!self.evaluations.is_empty()).then_some(now);
        let others = [next, expiry, evaluation, self.lag_update];
        others.into_iter().flatten().min()
    }

    /// Adds a zone that is due at `due`.
    pub(super) fn add(&mut self, zone: PolledZone, due: Instant, context: &Context) {
        let id = zone.slot.id.clone();
        if zone.slot.load().last_poll.is_none() {
            self.untried.insert(id.clone());
        }
        if let Some(at) = zone.expiry {
            self.expiries.insert((at, id.clone()));
        }
        self.zones.insert(id.clone(), zone);
        self.schedule(&id, due, context);
    }

    /// Removes the zones that leave, and returns them.
    pub(super) fn release(&mut self, leaves: impl Fn(&ZoneId) -> bool) -> Released {
        let leaving = self.zones.keys().filter(|id| leaves(id));
        let leaving: Vec<_> = leaving.cloned().collect();
        let taken = leaving.into_iter();
        taken
            .filter_map(|id| Some((id.clone(), self.take(&id)?)))
            .collect()
    }

    /// Removes a zone and cancels its tasks.
    fn take(&mut self, id: &ZoneId) -> Option<PolledZone> {
        let mut zone = self.zones.remove(id)?;
        if let Some(due) = zone.due {
            self.queue.remove(due, id);
        }
        if let Some(at) = zone.expiry {
            self.expiries.remove(&(at, id.clone()));
        }
        if std::mem::take(&mut zone.enrichment.queued) {
            self.enrichments.retain(|queued| queued != id);
        }
        self.evaluations.remove(id);
        self.untried.remove(id);
        self.polling.remove(id);
        self.enriching.remove(id);
        self.regions.forget_zone(id);
        zone.enrichment.request_everything();
        Some(zone)
    }

    /// Marks the findings of all zones as outdated.
    pub(super) fn request_evaluations(&mut self) {
        self.evaluations.extend(self.zones.keys().cloned());
    }
}
