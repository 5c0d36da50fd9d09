//! Turns the listings of the accounts into polled zones and the directory.

mod assignment;
pub(super) mod listing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use self::assignment::{Assignment, assign};
use super::account::Account;
use super::schedule::Cadence;
use super::zone::PolledZone;
use super::{Context, Poller, state};
use crate::domain::{Zone, ZoneId, ZoneName};
use crate::findings::{DeclaredHost, DeclaredOrigin};
use crate::snapshot::{Directory, StaleAfter, ZoneSlot, ZoneState};

/// Zones that no account currently polls.
pub(super) type Released = HashMap<ZoneId, PolledZone>;

/// The configuration of one zone.
#[derive(PartialEq)]
pub(super) struct ZoneConfig {
    pub(super) interval: Duration,
    pub(super) stale_after: StaleAfter,
    /// The origins that the configuration declares for it.
    pub(super) declared: Arc<[DeclaredOrigin]>,
    /// The origin hosts that the configuration declares for it.
    pub(super) declared_hosts: Arc<[DeclaredHost]>,
}

impl Poller {
    /// Reconciles the polled zones with the listings and publishes the directory: new zones are due
    /// at once, missing ones are dropped, and the others keep their state. So do `released` zones
    /// that an account lists.
    pub(super) fn reassign(&mut self, mut released: Released) {
        let now = self.context.now;
        let listings = self.accounts.iter();
        let listings: Vec<_> = listings
            .map(|(name, account)| (name, &account.listing))
            .collect();
        let has_other_zones = self.context.hosts.list(&listings);
        let declared = &self.context.evaluation.expect.zones;
        let Assignment {
            zones,
            mut accounts,
            names,
            mut unmatched,
        } = assign(
            &listings,
            &self.context.settings,
            declared.iter().map(|declared| declared.zone.as_str()),
        );
        if has_other_zones {
            let accounts = self.accounts.values_mut();
            accounts.for_each(Account::request_evaluations);
        }
        for (name, account) in &mut self.accounts {
            let leaves = |id: &ZoneId| zones.get(id).is_none_or(|(owner, _)| owner != name);
            released.extend(account.release(leaves));
        }
        let mut found = 0;
        for (id, (owner, zone)) in zones {
            let config = self.config_of(&id, &names);
            let Some(account) = self.accounts.get_mut(&owner) else {
                continue;
            };
            if account.zones.contains_key(&id) {
                account.update(&id, zone, config, &self.context);
            } else if let Some(mut polled) = released.remove(&id) {
                let due = polled.due.take().unwrap_or(now);
                account.add(polled, due, &self.context);
                account.update(&id, zone, config, &self.context);
            } else {
                let cadence = Cadence::nth(self.context.started, self.found);
                self.found = self.found.wrapping_add(1);
                found += 1;
                let mut state = ZoneState::new(zone, owner, config.interval, config.stale_after);
                let (retain, wall) = (self.context.settings.retain, Timestamp::now());
                let known = self.memory.remove(&id);
                if let Some((stored, _)) = &known {
                    state = state::restored(stored, state, retain, wall);
                }
                let mut slot = ZoneSlot::new(id.clone(), state);
                slot.phase = cadence.phase();
                let mut polled = PolledZone::new(slot, cadence, config);
                if let Some((stored, sources)) = known {
                    polled.resume(&stored, sources, retain, wall);
                }
                self.context.recorder.put(polled.slot.load(), &[]);
                account.add(polled, now, &self.context);
                // This process has not polled it yet, even if stored state is known.
                account.untried.insert(id);
            }
        }
        let gone = released.len();
        for id in released.keys() {
            self.context.recorder.left(id);
            self.context.hosts.forget(id);
        }
        if found > 0 || gone > 0 {
            let zones = self.accounts.values().map(|account| account.zones.len());
            info!(found, gone, zones = zones.sum::<usize>(), "zones changed");
        }
        for (name, account) in &mut self.accounts {
            let listed = accounts.remove(name).unwrap_or_default();
            if account.state.zones.duplicate < listed.counts.duplicate {
                let zones: Vec<_> = listed.duplicates.iter().map(ZoneId::as_str).collect();
                warn!(account = %name, count = listed.counts.duplicate, ?zones,
                      "zones are polled by an earlier account that lists them too");
            }
            account.state.zones = listed.counts;
            let absent = account.listing.absent.iter().map(ToString::to_string);
            unmatched.ids.extend(absent);
        }
        if unmatched != self.unmatched {
            for (key, names) in unmatched.by_key() {
                if !names.is_empty() {
                    warn!(key, ?names, "no zone matches these names");
                }
            }
            self.unmatched = unmatched;
        }
        self.assign_audit_logs();
        self.publish_directory();
    }

    /// The configuration of one zone. Entries by name and by identifier are merged; for each value
    /// the first one counts.
    fn config_of(&self, id: &ZoneId, names: &HashMap<String, ZoneId>) -> ZoneConfig {
        let means =
            |name: &str| name == id.as_str() || names.get(&ZoneName::normal_of(name)) == Some(id);
        let settings = &self.context.settings;
        let mut overrides = settings.overrides.iter().filter(|own| means(&own.zone));
        let interval = overrides.clone().find_map(|own| own.interval);
        let stale_after = overrides.find_map(|own| own.stale_after);
        let declared = self.context.evaluation.expect.zones.iter();
        let declared = declared.filter(|declared| means(&declared.zone));
        let origins = declared.clone().flat_map(|declared| &declared.origins);
        let hosts = declared.flat_map(|declared| &declared.hosts);
        ZoneConfig {
            interval: interval.unwrap_or(settings.interval),
            stale_after: stale_after.unwrap_or(settings.stale_after),
            declared: origins.cloned().collect(),
            declared_hosts: hosts.cloned().collect(),
        }
    }

    fn publish_directory(&self) {
        self.snapshot.publish(Directory {
            zones: self
                .accounts
                .values()
                .flat_map(|account| account.zones.values())
                .map(|zone| Arc::clone(&zone.slot))
                .collect(),
            accounts: self
                .accounts
                .values()
                .map(|account| account.state.clone())
                .collect(),
            unmatched: self.unmatched.clone(),
        });
    }
}

impl Account {
    /// Applies the current listing and configuration to a zone.
    fn update(&mut self, id: &ZoneId, zone: Zone, config: ZoneConfig, context: &Context) {
        let Some(polled) = self.zones.get_mut(id) else {
            return;
        };
        let old = polled.slot.load();
        let new = ZoneState {
            zone,
            account: self.state.name.clone(),
            interval: config.interval,
            stale_after: config.stale_after,
            ..ZoneState::clone(&old)
        };
        // A zone that is unread, overdue or failing keeps its earlier due time.
        let due = polled.due.filter(|_| old.interval != new.interval);
        let next = polled
            .cadence
            .next(new.interval, context.now, fastrand::f64());
        if *old != new {
            polled.publish(&old, new, &context.recorder);
        }
        if polled.config != config {
            polled.config = config;
            self.evaluations.insert(id.clone());
        }
        if let Some(due) = due {
            self.schedule(id, due.min(next), context);
        }
        self.queue_enrichment(id, context);
    }
}
