//! Starts tasks that are due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::account::Account;
use super::schedule::queue::Class;
use super::tasks::{self, Outcome, POLL_BUDGET, Poll, Tasks, Urgency};
use super::{Context, ZoneSelection};
use crate::cloudflare::{CallBudget, Client, Operation};
use crate::domain::ZoneId;

/// The least time between two prompted reads of a zone, or of an account's pools, that is written
/// to repeatedly.
pub(super) const PROMPT_INTERVAL: Duration = Duration::from_secs(10);

impl Account {
    /// Starts what is due, unless the account is paused.
    pub(super) fn start_due(&mut self, context: &mut Context) {
        let now = context.now;
        if self.client.paused_until().is_none_or(|end| end <= now) {
            if self.listing.due.is_some_and(|due| due <= now) {
                self.start_listing(&mut context.tasks);
            }
            self.start_verification(context);
            if self.token.refused {
                self.fail_polls(context);
            } else {
                self.start_polls(context);
                self.start_pool_refreshes(context);
                self.start_enrichments(context);
            }
        }
        self.show_lag(context);
    }

    fn start_listing(&mut self, tasks: &mut Tasks) {
        self.listing.started();
        let client = &self.client;
        match &self.listing.selection {
            ZoneSelection::Filter { .. } => {
                let had_zones = !self.listing.zones.is_empty();
                let work = |client| tasks::list(client, had_zones);
                let task = tasks.spawn(client, Operation::ListZones, work, Outcome::Listed);
                self.listing.running.insert(None, task);
            }
            ZoneSelection::Ids(ids) => {
                for id in ids {
                    let (zone, read) = (id.clone(), id.clone());
                    let work = |client: Client| async move {
                        client.get_zone(&zone, &CallBudget::new(POLL_BUDGET)).await
                    };
                    let outcome = |zone| Outcome::LookedUp(read, zone);
                    let task = tasks.spawn(client, Operation::GetZone, work, outcome);
                    self.listing.running.insert(Some(id.clone()), task);
                }
            }
        }
    }

    fn start_polls(&mut self, context: &mut Context) {
        let now = context.now;
        // A prompted poll does not wait for others to end.
        while self.has_room_for_prompted()
            && let Some((due, id)) = self.queue.pop_prompted(now)
        {
            if let Some(zone) = self.zones.get_mut(&id) {
                zone.prompted = Some(now);
            }
            context.metrics.audit_log.prompted(&self.state.name);
            self.start_poll(due, id, Urgency::Urgent, context);
        }
        while self.polling.len() < self.max_polling()
            && let Some((due, id)) = self.queue.pop(now, self.settled)
        {
            self.start_poll(due, id, Urgency::Regular, context);
        }
    }

    fn start_poll(&mut self, due: Instant, id: ZoneId, urgency: Urgency, context: &mut Context) {
        if let Some(zone) = self.zones.get_mut(&id) {
            zone.due = None;
            // This poll reads all earlier writes.
            zone.prompt = None;
        }
        let call = Arc::new(urgency.call(POLL_BUDGET));
        let (zone, budget) = (id.clone(), Arc::clone(&call));
        let work = |client: Client| async move { client.list_mappings(&zone, &budget).await };
        let (zone, started) = (id.clone(), Instant::now());
        let outcome = move |list| Outcome::Polled(zone, list, started.elapsed());
        let (tasks, operation) = (&mut context.tasks, Operation::ListMappings);
        let poll = Poll {
            _task: tasks.spawn(&self.client, operation, work, outcome),
            urgency,
            late: context.now.saturating_duration_since(due),
            call,
        };
        self.polling.insert(id, poll);
    }

    /// Polls a zone ahead of the others because of a write to it, and refreshes its sources and
    /// settings. A poll in progress may have read the old state, so another one follows.
    pub(super) fn prompt(&mut self, id: &ZoneId, context: &Context) {
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        let now = context.now;
        let earliest = zone
            .prompted
            .map_or(now, |at| (at + PROMPT_INTERVAL).max(now));
        zone.prompt.get_or_insert(earliest);
        zone.enrichment.urgency = Urgency::Urgent;
        zone.enrichment.request_everything();
        let due = zone.due.unwrap_or(earliest);
        if earliest <= now {
            // A regular poll that may still be waiting gives way to an urgent one.
            let is_regular = |poll: &Poll| poll.urgency == Urgency::Regular;
            if self.polling.get(id).is_some_and(is_regular) {
                self.polling.remove(id);
            }
            self.cancel_regular_enrichment(id);
        }
        if !self.polling.contains_key(id) {
            self.schedule(id, due, context);
        }
    }

    /// Verifies the token once the first round is over, so that readiness does not wait for it.
    fn start_verification(&mut self, context: &mut Context) {
        let due = self.verification_due();
        if due.is_some_and(|due| due <= context.now) {
            let mut listed = self.listing.zones.values();
            let owner = listed.find_map(|zone| zone.owner.clone());
            let work = |client: Client| async move {
                let call = CallBudget::new(POLL_BUDGET);
                client.verify_token(owner.as_deref(), &call).await
            };
            let (tasks, operation) = (&mut context.tasks, Operation::VerifyToken);
            let task = tasks.spawn(&self.client, operation, work, Outcome::Verified);
            self.token.asked = Some(context.now);
            self.token.verification = Some(task);
        }
    }

    /// When the token is due for verification; `None` while that is not possible.
    pub(super) fn verification_due(&self) -> Option<Instant> {
        let is_possible = self.token.verification.is_none()
            && (self.settled || self.first_round_over())
            && self.client.has_token();
        is_possible.then_some(self.token.due)
    }

    /// Queues a zone that is not being polled.
    pub(super) fn schedule(&mut self, id: &ZoneId, due: Instant, context: &Context) {
        let is_new = self.untried.contains(id);
        let Some(zone) = self.zones.get_mut(id).filter(|_| is_new || !context.once) else {
            return;
        };
        let now = context.now;
        let (due, class) = match zone.prompt {
            Some(at) if at <= due.max(now) => (at, Class::Prompted),
            _ if is_new => (due, Class::New),
            _ => (due, Class::Known),
        };
        if let Some(old) = zone.due.replace(due) {
            self.queue.remove(old, id);
        }
        self.queue.insert(due, id.clone(), class);
        let ahead = due.saturating_duration_since(now);
        let due = Timestamp::now().saturating_add(ahead);
        zone.slot.announce_poll(due.unwrap_or(Timestamp::MAX));
    }
}
