//! Reads the other data of zones. Mappings take precedence: the first round of polls enriches no
//! zones, and later only a few are enriched at a time. Their polls continue meanwhile.

mod candidates;
pub(super) mod confirm;
pub(super) mod fetch;
pub(super) mod pool_cache;
pub(super) mod refresh;
pub(super) mod state;
pub(super) mod usage;

use std::sync::Arc;

use self::confirm::Confirmed;
use self::fetch::{Enriched, Enrichment};
use super::Context;
use super::account::Account;
use super::tasks::{Outcome, Running, Urgency};
use crate::cloudflare::Operation;
use crate::domain::ZoneId;

/// The maximum age of cached pools as a fraction of the zone's interval, so that one read serves
/// all zones in a round.
const POOLS_AGE: f64 = 0.9;

impl Account {
    /// Queues the zone if it has something to read or confirm. A task in progress queues it again
    /// when it ends.
    pub(super) fn queue_enrichment(&mut self, id: &ZoneId, context: &Context) {
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        let state = &mut zone.enrichment;
        let calls = state.calls_due(context, &self.regions);
        let needed = !calls.is_empty() || state.lookups.are_needed();
        if self.enriching.contains_key(id) {
            return;
        }
        if !needed {
            state.urgency = Urgency::Regular;
        } else if state.urgency == Urgency::Urgent {
            if state.queued {
                self.enrichments.retain(|queued| queued != id);
            }
            state.queued = true;
            self.enrichments.push_front(id.clone());
        } else if !state.queued {
            state.queued = true;
            self.enrichments.push_back(id.clone());
        }
    }

    /// Enriches as many zones as polls leave room for. Each has one request in flight, so hung ones
    /// leave at least half of two or more requests to polls. One zone is enriched even while polls
    /// wait; otherwise an account with constantly waiting polls would never read DNS records. Urgent
    /// ones, which are first in the queue, do not wait for room.
    pub(super) fn start_enrichments(&mut self, context: &mut Context) {
        let first_round = !self.settled && !self.untried.is_empty();
        let poll_waits = self.queue.first_due().is_some_and(|due| due <= context.now);
        let half = if poll_waits {
            0
        } else {
            self.client.concurrency() / 2
        };
        let max = half.max(1);
        while let Some(id) = self.enrichments.front() {
            let zone = self.zones.get(id);
            let room = if zone.is_some_and(|zone| zone.enrichment.urgency == Urgency::Urgent) {
                max + self.max_polling()
            } else if first_round {
                0
            } else {
                max
            };
            if self.enriching.len() >= room {
                return;
            }
            if let Some(id) = self.enrichments.pop_front() {
                self.start_enrichment(&id, context);
            }
        }
    }

    /// Cancels a regular enrichment, which may have read the state before a write and waits behind
    /// others. The zone is enriched again.
    pub(super) fn cancel_regular_enrichment(&mut self, id: &ZoneId) {
        let is_regular = |(_, urgency): &(Running, Urgency)| *urgency == Urgency::Regular;
        if self.enriching.get(id).is_some_and(is_regular) {
            self.enriching.remove(id);
            self.regions.forget_zone(id);
            if let Some(zone) = self.zones.get_mut(id) {
                zone.enrichment.request_everything();
            }
        }
    }

    fn start_enrichment(&mut self, id: &ZoneId, context: &mut Context) {
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        zone.enrichment.queued = false;
        let state = zone.slot.load();
        // The end of its poll queues it again.
        if self.polling.contains_key(id) || state.data.is_none() {
            return;
        }
        let now = context.now;
        let calls = zone.enrichment.calls_due(context, &self.regions);
        let urgency = zone.enrichment.urgency;
        let (tasks, client, zone_id) = (&mut context.tasks, &self.client, id.clone());
        let task = if !calls.is_empty() {
            zone.enrichment.started(&calls, now);
            if calls.contains(&Operation::SupportedRegions) {
                self.regions.ask(id.clone(), now);
            }
            let enrichment = Enrichment {
                zone: state.zone.clone(),
                calls,
                urgency,
                pools: Arc::clone(&self.pools),
                pools_age: state.interval.mul_f64(POOLS_AGE),
                balanced: Arc::clone(&zone.enrichment.balanced),
            };
            let work = |client| async move { Ok(enrichment.run(&client).await) };
            let outcome = |enriched: Result<Enriched, _>| {
                Outcome::Enriched(zone_id, Box::new(enriched.unwrap_or_default()))
            };
            tasks.spawn(client, Operation::DnsRecords, work, outcome)
        } else if zone.enrichment.lookups.are_needed() {
            // A poll that ends first reports them as missing.
            let origins = zone.enrichment.lookups.unconfirmed.clone();
            let is_complete = zone.is_list_complete();
            let zone = id.clone();
            let work = |client| async move {
                Ok(confirm::run(client, zone, origins, is_complete, urgency).await)
            };
            let outcome = |confirmed: Result<_, _>| {
                let failed = |error| Confirmed {
                    error: Some(error),
                    ..Confirmed::default()
                };
                Outcome::Confirmed(zone_id, confirmed.unwrap_or_else(failed))
            };
            tasks.spawn(client, Operation::GetMapping, work, outcome)
        } else {
            return;
        };
        self.enriching.insert(id.clone(), (task, urgency));
    }

    /// Processes the data of a zone. Returns whether the supported regions changed.
    pub(super) fn enriched(
        &mut self,
        id: &ZoneId,
        mut enriched: Enriched,
        context: &Context,
    ) -> bool {
        self.enriching.remove(id);
        enriched.retain_needed(&context.evaluation);
        for (operation, outcome) in &enriched.outcomes {
            self.log_outcome(id, *operation, outcome);
        }
        let Some(zone) = self.zones.get_mut(id) else {
            return false;
        };
        let regions = enriched.supported_regions.clone();
        let asked_for_regions = regions.is_some();
        zone.enrichment.learn(enriched, context.now);
        let changed = self.regions.answered(id, regions);
        zone.evaluate_again(context, &self.regions, |_, shown| shown);
        context.recorder.sources(id, &zone.enrichment);
        if changed {
            self.request_evaluations();
        }
        self.queue_enrichment(id, context);
        if asked_for_regions && self.regions.are_due(context.now) {
            self.queue_another_zone_for_regions(context);
        }
        changed
    }

    /// Queues a zone that may return the supported regions, after one that does not. Zones whose
    /// mappings are not known are not enriched.
    fn queue_another_zone_for_regions(&mut self, context: &Context) {
        let next = self.zones.iter().find(|(_, zone)| {
            let calls = zone.enrichment.calls_due(context, &self.regions);
            calls.contains(&Operation::SupportedRegions) && zone.slot.load().data.is_some()
        });
        if let Some(id) = next.map(|(id, _)| id.clone()) {
            self.queue_enrichment(&id, context);
        }
    }

    /// Reports the origins whose lookup found no mapping. After a failed lookup, the next poll shows
    /// whether the others are missing.
    pub(super) fn confirmed(&mut self, id: &ZoneId, confirmed: &Confirmed, context: &Context) {
        self.enriching.remove(id);
        if let Some(error) = &confirmed.error {
            self.log_optional_failure(id, error);
        }
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        zone.enrichment.lookups.failed = confirmed.error.is_some();
        zone.enrichment.lookups.mapped.extend(&confirmed.mapped);
        zone.evaluate_again(context, &self.regions, |ip, shown| {
            shown || confirmed.missing.contains(ip)
        });
        self.queue_enrichment(id, context);
    }
}
