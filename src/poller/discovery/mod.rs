//! Which zones there are: what the listings say becomes slots, schedules and the directory.

mod assignment;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use self::assignment::{Assignment, Listing, assign};
use super::Poller;
use super::schedule::Cadence;
use super::state;
use super::zone::PolledZone;
use crate::domain::{Zone, ZoneId};
use crate::findings::DeclaredOrigin;
use crate::snapshot::{Directory, StaleAfter, UnmatchedZones, ZoneSlot, ZoneState};

/// What the configuration says of one zone.
struct Own {
    interval: Duration,
    stale_after: StaleAfter,
    declared: Arc<[DeclaredOrigin]>,
}

impl Poller {
    /// Compares what the accounts list with the zones that are polled: new ones are due at once,
    /// those that have gone are forgotten, the others keep their state.
    pub(super) fn reassign(&mut self, now: Instant) {
        let listings: Vec<_> = self
            .accounts
            .iter()
            .map(|account| Listing {
                account: &account.state.name,
                selection: &account.selection,
                zones: &account.zones,
                complete: account.listed,
            })
            .collect();
        let assignment = assign(
            &listings,
            &self.settings,
            self.evaluation
                .expect
                .zones
                .iter()
                .map(|declared| declared.zone.as_str()),
        );
        let gone: Vec<ZoneId> = self
            .zones
            .keys()
            .filter(|id| !assignment.zones.contains_key(*id))
            .cloned()
            .collect();
        for id in &gone {
            self.forget(id);
        }
        let Assignment {
            zones,
            counts,
            duplicates,
            names,
            mut unmatched,
        } = assignment;
        let before = self.zones.len();
        for (id, (account, zone)) in zones {
            let own = self.settings_of(&id, &names);
            if self.zones.contains_key(&id) {
                self.update(&id, account, zone, own, now);
            } else {
                self.find(account, zone, own, now);
            }
        }
        let found = self.zones.len() - before;
        if found > 0 || !gone.is_empty() {
            info!(
                found,
                gone = gone.len(),
                zones = self.zones.len(),
                "the zones have changed"
            );
        }
        for (account, counts) in self.accounts.iter_mut().zip(counts) {
            if account.state.zones.duplicate < counts.duplicate {
                let zones: Vec<_> = duplicates
                    .iter()
                    .filter(|(_, other)| *other == account.state.name)
                    .map(|(id, _)| id.as_str())
                    .take(10)
                    .collect();
                warn!(account = %account.state.name, count = counts.duplicate, ?zones,
                      "an earlier account lists these zones too and polls them");
            }
            account.state.zones = counts;
            unmatched
                .ids
                .extend(account.absent.iter().map(ToString::to_string));
        }
        self.tell_unmatched(unmatched);
    }

    fn find(&mut self, account: usize, zone: Zone, own: Own, now: Instant) {
        let Some(owner) = self.accounts.get_mut(account) else {
            return;
        };
        let id = zone.id.clone();
        owner.untried.insert(id.clone());
        let state = state::found(
            zone,
            owner.state.name.clone(),
            own.interval,
            own.stale_after,
        );
        let slot = Arc::new(ZoneSlot::new(id.clone(), state));
        let cadence = Cadence::nth(self.started, self.found);
        self.found = self.found.wrapping_add(1);
        self.zones.insert(
            id.clone(),
            PolledZone::new(slot, account, cadence, own.declared),
        );
        self.schedule(&id, now);
    }

    fn update(&mut self, id: &ZoneId, account: usize, zone: Zone, own: Own, now: Instant) {
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let Some(owner) = self.accounts.get(account) else {
            return;
        };
        let old = turns.slot.load();
        let new = ZoneState {
            zone,
            account: owner.state.name.clone(),
            interval: own.interval,
            stale_after: own.stale_after,
            ..ZoneState::clone(&old)
        };
        if (&old.zone, &old.account, old.interval, old.stale_after)
            != (&new.zone, &new.account, new.interval, new.stale_after)
        {
            turns.slot.publish(new);
        }
        // A zone that was not read yet, or is overdue or failing, keeps its earlier turn.
        if let Some(due) = turns.due.filter(|_| old.interval != own.interval) {
            let next = turns.cadence.next(own.interval, now, fastrand::f64());
            self.schedule(id, due.min(next));
        }
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        if turns.declared != own.declared {
            turns.declared = own.declared;
            turns.secondary.ask_for_judgement();
        }
        if turns.account != account {
            self.transfer(id, account, now);
        }
        self.queue_follow_up(id, now);
    }

    /// Another account polls the zone from now on: its turn and what waits for it go along.
    fn transfer(&mut self, id: &ZoneId, account: usize, now: Instant) {
        let due = self.unschedule(id);
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut turns.account, account);
        turns.secondary.queued = false;
        let untried = turns.slot.load().last_poll.is_none();
        if let Some(old) = self.accounts.get_mut(old) {
            old.untried.remove(id);
            old.follow_ups.retain(|queued| queued != id);
        }
        if let Some(new) = self.accounts.get_mut(account).filter(|_| untried) {
            new.untried.insert(id.clone());
        }
        // A poll that is under way schedules the next when it ends.
        if !self.busy.contains(id) {
            self.schedule(id, due.unwrap_or(now));
        }
    }

    fn forget(&mut self, id: &ZoneId) {
        self.unschedule(id);
        if let Some(at) = self.zones.remove(id).and_then(|turns| turns.expiry) {
            self.expiries.remove(&(at, id.clone()));
        }
        for account in &mut self.accounts {
            account.untried.remove(id);
        }
    }

    fn unschedule(&mut self, id: &ZoneId) -> Option<Instant> {
        let turns = self.zones.get_mut(id)?;
        let due = turns.due.take()?;
        let account = self.accounts.get_mut(turns.account)?;
        account.due.remove(due, id);
        Some(due)
    }

    /// What the configuration says of one zone. An entry by its name and one by its identifier
    /// add up; where they contradict each other, the first counts.
    fn settings_of(&self, id: &ZoneId, names: &HashMap<String, ZoneId>) -> Own {
        let means =
            |name: &str| name == id.as_str() || names.get(&name.to_ascii_lowercase()) == Some(id);
        let mut overrides = self
            .settings
            .overrides
            .iter()
            .filter(|own| means(&own.zone));
        let declared = self.evaluation.expect.zones.iter();
        let declared = declared.filter(|declared| means(&declared.zone));
        Own {
            interval: overrides
                .clone()
                .find_map(|own| own.interval)
                .unwrap_or(self.settings.interval),
            stale_after: overrides
                .find_map(|own| own.stale_after)
                .unwrap_or(self.settings.stale_after),
            declared: declared
                .flat_map(|declared| &declared.origins)
                .cloned()
                .collect(),
        }
    }

    fn tell_unmatched(&mut self, unmatched: UnmatchedZones) {
        if unmatched != self.unmatched {
            for (key, names) in unmatched.by_key() {
                if !names.is_empty() {
                    warn!(
                        key,
                        ?names,
                        "no zone answers to these names of the configuration"
                    );
                }
            }
            self.unmatched = unmatched;
        }
    }

    /// Drops the data of zones that have been failing for longer than the retention.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, id)) = self.expiries.pop_first() {
            if at > now {
                self.expiries.insert((at, id));
                return;
            }
            let Some(turns) = self.zones.get_mut(&id) else {
                continue;
            };
            turns.expiry = None;
            let old = turns.slot.load();
            warn!(zone = %old.zone.name, zone_id = %id,
                  "the zone has been failing for longer than it is retained: its data is dropped");
            turns.slot.publish(state::expired(&old));
        }
    }

    pub(super) fn publish_directory(&self) {
        self.snapshot.publish(Directory {
            zones: self
                .zones
                .values()
                .map(|zone| Arc::clone(&zone.slot))
                .collect(),
            accounts: self
                .accounts
                .iter()
                .map(|account| account.state.clone())
                .collect(),
            unmatched: self.unmatched.clone(),
        });
    }
}
