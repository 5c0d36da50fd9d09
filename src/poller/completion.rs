//! Handles the outcomes of tasks.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::account::Account;
use super::enrichment::confirm::Lookups;
use super::tasks::{Ended, Outcome};
use super::token::TokenCheck;
use super::{Context, Poller, SourceOutcome, state};
use crate::cloudflare::{ApiError, MappingList, Operation, Reason};
use crate::domain::{SupportedRegions, ZoneId};
use crate::snapshot::{LastPoll, ZoneState};

impl Poller {
    pub(super) fn complete(&mut self, ended: Ended) {
        self.context.now = Instant::now();
        match ended.outcome {
            Outcome::RecordsRead(id, records) => {
                let outcome = SourceOutcome::of_rows(records.as_ref());
                self.report(&ended.account, Some(&id), Operation::DnsRecords, &outcome);
                self.records_read(&id, &records, &outcome);
            }
            Outcome::CloudflareIps(ranges) => {
                let outcome = SourceOutcome::of(&ranges);
                self.report(&ended.account, None, Operation::CloudflareIps, &outcome);
                self.cloudflare_ips_read(ranges);
            }
            Outcome::AuditLogRead(owner, reading) => {
                self.audit_log_read(&owner, &ended.account, reading);
            }
            _ => self.account_completed(ended),
        }
    }

    /// Handles the outcome of a task for one account.
    fn account_completed(&mut self, ended: Ended) {
        if let Outcome::Enriched(id, enriched) = &ended.outcome {
            for (operation, outcome) in &enriched.outcomes {
                self.report(&ended.account, Some(id), *operation, outcome);
            }
            self.enriched_records(&ended.account, id, enriched);
        }
        // The account may have been removed just as the task ended.
        let Some(account) = self.accounts.get_mut(&ended.account) else {
            return;
        };
        let context = &self.context;
        match ended.outcome {
            Outcome::Listed(list) => {
                account.listing.running.remove(&None);
                account.listed(list);
                account.listing_ended(context);
                self.listings_changed = true;
            }
            Outcome::LookedUp(id, zone) => {
                account.listing.running.remove(&Some(id.clone()));
                account.listing.looked_up(id, zone);
                account.listing_ended(context);
                self.listings_changed = true;
            }
            Outcome::Polled(id, list, duration) => {
                account.polling.remove(&id);
                if let Err(error) = &list
                    && error.reason == Reason::Unauthorized
                {
                    account.suspect_credentials(context);
                }
                account.polled(&id, list, duration, context);
            }
            Outcome::Enriched(id, enriched) => {
                if account.enriched(&id, *enriched, context) {
                    self.show_upper_tiers();
                }
            }
            Outcome::Confirmed(id, confirmed) => {
                account.confirmed(&id, &confirmed, context);
            }
            Outcome::PoolsRead(owner, pools) => {
                account.pools_read(&owner, &pools, context);
            }
            Outcome::RecordsRead(..) | Outcome::CloudflareIps(_) | Outcome::AuditLogRead(..) => {}
            Outcome::Verified(answer) => account.verified(&answer, context),
        }
    }

    /// Updates the upper tiers of the regions that the accounts list.
    pub(super) fn show_upper_tiers(&mut self) {
        let accounts = self.accounts.values();
        let regions = accounts.filter_map(|account| account.regions.known.as_deref());
        let mut tiers = BTreeSet::new();
        for (vendor, row) in regions.flat_map(SupportedRegions::iter) {
            for colo in &row.upper_tier_colos {
                let tier = [vendor.as_str(), row.region.as_str(), colo];
                tiers.insert(tier.map(str::to_owned));
            }
        }
        let gauge = &self.context.metrics.upper_tiers;
        for tier in &tiers {
            gauge.with_label_values(tier).set(1);
        }
        for gone in self.upper_tiers.difference(&tiers) {
            // It is there, because it was set.
            let _ = gauge.remove_label_values(gone);
        }
        self.upper_tiers = tiers;
    }
}

impl Account {
    /// Publishes the zone's new state and schedules its next poll.
    fn polled(
        &mut self,
        id: &ZoneId,
        list: Result<MappingList, ApiError>,
        duration: Duration,
        context: &Context,
    ) {
        let Some(zone) = self.zones.get_mut(id) else {
            return;
        };
        let (now, retain) = (context.now, context.settings.retain);
        let poll = LastPoll {
            ended: Timestamp::now(),
            duration,
            error: list.as_ref().err().map(ToString::to_string),
        };
        let mut shown = ZoneState::clone(&zone.slot.load());
        let mut old = shown.clone();
        old.tiered_cache = zone.enrichment.tiered_cache(context);
        let (new, due) = match list {
            Ok(MappingList {
                rows: mappings,
                rejected,
            }) => {
                if let Some(at) = zone.expiry.take() {
                    self.expiries.remove(&(at, id.clone()));
                }
                if shown.data.is_none() {
                    shown.data = zone.baseline.take();
                    old.data.clone_from(&shown.data);
                }
                // An origin that the last poll missed too needs no further confirmation, unless an
                // unreadable row may be its mapping.
                let Lookups { unconfirmed, .. } = std::mem::take(&mut zone.enrichment.lookups);
                let is_complete = rejected.count == 0;
                let findings = zone.evaluate(&mappings, context, &self.regions, |ip, shown| {
                    shown || is_complete && unconfirmed.contains(ip)
                });
                zone.enrichment.request_origins();
                let due = zone.succeeded(&old, &rejected, now);
                let new = state::succeeded(&old, mappings, findings, rejected.count, poll);
                (new, due)
            }
            Err(error) => {
                if zone.failures == 0 && old.data.is_some() {
                    let at = now + retain;
                    zone.expiry = Some(at);
                    self.expiries.insert((at, id.clone()));
                }
                let due = zone.failed(&old, &error, now);
                (state::failed(&old, error.reason, poll), due)
            }
        };
        zone.publish(&shown, new, &context.recorder);
        self.evaluations.remove(id);
        self.untried.remove(id);
        self.settled |= self.first_round_over();
        self.schedule(id, due, context);
        self.expire(context);
        self.queue_enrichment(id, context);
    }

    /// Fails due polls without a request while the credentials are refused.
    pub(super) fn fail_polls(&mut self, context: &Context) {
        while let Some((_, id)) = self.queue.pop(context.now, self.settled) {
            if let Some(zone) = self.zones.get_mut(&id) {
                zone.due = None;
            }
            let refused = Err(TokenCheck::refusal());
            self.polled(&id, refused, Duration::ZERO, context);
        }
    }

    /// Drops the data of zones that have been failing for longer than the retention.
    pub(super) fn expire(&mut self, context: &Context) {
        let is_due = |(at, _): &(Instant, ZoneId)| *at <= context.now;
        while self.expiries.first().is_some_and(is_due)
            && let Some((_, id)) = self.expiries.pop_first()
        {
            let Some(zone) = self.zones.get_mut(&id) else {
                continue;
            };
            zone.expiry = None;
            let old = zone.slot.load();
            warn!(zone = %old.zone.name, zone_id = %id,
                  "dropped the data of a zone that fails for longer than poll.retain");
            zone.publish(&old, state::expired(&old), &context.recorder);
        }
    }
}
