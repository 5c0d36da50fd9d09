//! When follow-ups run, and what becomes of their answers. Mappings come first: no follow-up
//! runs in the first round, and then few at a time. A follow-up never holds up the polls
//! of its zone, which go on beside it.

pub(super) mod fetch;
pub(super) mod refresh;
pub(super) mod state;

use std::sync::Arc;

use tokio::time::Instant;

use self::fetch::{Enriched, Enrichment};
use super::Poller;
use super::evaluate::Criteria;
use super::log_events;
use super::tasks::{self, Task};
use super::zone::PolledZone;
use crate::domain::ZoneId;
use crate::findings::SupportedRegions;
use crate::snapshot::{ZoneData, ZoneState};

/// An account's pools may be older than a zone's interval by no more than what makes two zones
/// that are read in one round use the same answer.
const POOLS_AGE: f64 = 0.9;

impl Poller {
    /// What a zone's mappings are held against now.
    pub(super) fn criteria(&self, id: &ZoneId, now: Instant) -> Option<Criteria> {
        let turns = self.zones.get(id)?;
        let shown = turns.slot.load();
        let shown = shown.data.iter().flat_map(|data| &data.findings.missing);
        let shown = shown.map(|origin| origin.origin_ip);
        Some(Criteria {
            declared: Arc::clone(&turns.declared),
            discovered: turns.secondary.discovered(now, self.settings.retain),
            supported: self.accounts.get(turns.account)?.regions.known.clone(),
            ranges: self.evaluation.ranges.clone(),
            known_missing: shown
                .chain(turns.secondary.unconfirmed().iter().copied())
                .collect(),
        })
    }

    /// Queues a follow-up of the zone where there is something to follow up. One that is under way
    /// queues the next when it ends.
    pub(super) fn queue_follow_up(&mut self, id: &ZoneId, now: Instant) {
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(turns.account) else {
            return;
        };
        let secondary = &mut turns.secondary;
        let (expect, verify) = (&self.evaluation.expect, self.evaluation.verify);
        let (regions, settings) = (&account.regions, &account.settings_trouble);
        let wanted = secondary.wanted(expect, verify, regions, settings, now);
        let needed = wanted.anything() || secondary.needs_judgement();
        if needed && !secondary.queued && !self.following.contains(id) {
            secondary.queued = true;
            account.follow_ups.push_back(id.clone());
        }
    }

    /// What the findings of every zone, or of those of one account, depend on has changed.
    pub(super) fn judge_again(&mut self, account: Option<usize>, now: Instant) {
        let concerned = |turns: &PolledZone| account.is_none_or(|index| turns.account == index);
        let ids: Vec<ZoneId> = self
            .zones
            .iter_mut()
            .filter(|(_, turns)| concerned(turns))
            .map(|(id, turns)| {
                turns.secondary.ask_for_judgement();
                id.clone()
            })
            .collect();
        for id in ids {
            self.queue_follow_up(&id, now);
        }
    }

    /// Starts the follow-ups of an account for which there is room beside its polls.
    pub(super) fn start_follow_ups(&mut self, index: usize, now: Instant) {
        while let Some(account) = self.accounts.get_mut(index) {
            let poll_waits = account.due.first_due().is_some_and(|due| due <= now);
            let most = account.most_following(poll_waits);
            let first_round = !account.settled && !account.untried.is_empty();
            if first_round || account.following >= most {
                return;
            }
            let Some(id) = account.follow_ups.pop_front() else {
                return;
            };
            if let Some(turns) = self.zones.get_mut(&id) {
                turns.secondary.queued = false;
            }
            // The end of what is under way queues it again.
            if !self.busy.contains(&id) && !self.following.contains(&id) {
                self.start_follow_up(index, &id, now);
            }
        }
    }

    fn start_follow_up(&mut self, index: usize, id: &ZoneId, now: Instant) {
        let Some(mut criteria) = self.criteria(id, now) else {
            return;
        };
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let state = turns.slot.load();
        let Some(data) = &state.data else { return };
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        let (expect, verify) = (&self.evaluation.expect, self.evaluation.verify);
        let (regions, settings) = (&account.regions, &account.settings_trouble);
        let wanted = turns
            .secondary
            .wanted(expect, verify, regions, settings, now);
        for ip in turns.secondary.unconfirmed() {
            criteria.known_missing.remove(ip);
        }
        turns.secondary.following_up(wanted, now);
        account.regions.asking |= wanted.supported_regions;
        account.following += 1;
        self.following.insert(id.clone());
        let job = Enrichment {
            client: account.client.clone(),
            zone: state.zone.clone(),
            wanted,
            mappings: Arc::clone(&data.mappings),
            criteria,
            pools: Arc::clone(&account.pools),
            pools_age: state.interval.mul_f64(POOLS_AGE),
        };
        let about = Task::Enrichment {
            index,
            zone: id.clone(),
            asks: wanted.supported_regions,
        };
        self.spawn(about, tasks::follow_up(job));
    }

    /// Takes the answers of a follow-up.
    pub(super) fn followed_up(
        &mut self,
        index: usize,
        id: &ZoneId,
        asks: bool,
        mut done: Enriched,
    ) {
        let now = Instant::now();
        self.follow_up_ended(index, id, asks);
        done.retain_wanted(&self.evaluation.expect, self.evaluation.verify);
        if let Some(account) = self.accounts.get_mut(index) {
            log_events::tell_failures(account, id, &done);
            if done.has_settings_trouble() {
                account.settings_trouble.note(now);
            }
            if done.has_regions_trouble() {
                account.regions.trouble.note(now);
            }
        }
        if let Some(Ok(Some(regions))) = &done.supported_regions {
            self.learn_regions(index, regions.clone(), now);
        }
        let retain = self.settings.retain;
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        turns.secondary.learn(&mut done, now);
        let old = turns.slot.load();
        let mut new = ZoneState::clone(&old);
        new.tiered_cache = turns.secondary.tiered_cache(now, retain);
        match &mut new.data {
            Some(data) if Arc::ptr_eq(&data.mappings, &done.mappings) => {
                turns.secondary.settled();
                if *data.findings != done.findings {
                    data.findings = Arc::new(done.findings);
                }
            }
            // The mappings were read anew meanwhile, so these findings are not theirs.
            Some(_) => turns.secondary.ask_for_judgement(),
            None => {}
        }
        log_events::tell_left_out(&old, &new);
        turns.slot.publish(new);
        self.queue_follow_up(id, now);
    }

    /// Frees what a follow-up held, whether it ended well or broke off.
    pub(super) fn follow_up_ended(&mut self, index: usize, id: &ZoneId, asks: bool) {
        self.following.remove(id);
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.following = account.following.saturating_sub(1);
        if asks {
            account.regions.asking = false;
        }
    }

    /// Shows the origins that no follow-up will confirm any more.
    pub(super) fn show_unconfirmed(&mut self, now: Instant) {
        let held_back = |turns: &PolledZone| !turns.secondary.unconfirmed().is_empty();
        let zones = self.zones.iter().filter(|(_, turns)| held_back(turns));
        for (id, turns) in zones {
            let state = turns.slot.load();
            if let (Some(data), Some(criteria)) = (&state.data, self.criteria(id, now)) {
                let (findings, _) = criteria.judge(&data.mappings);
                turns.slot.publish(ZoneState {
                    data: Some(ZoneData {
                        mappings: Arc::clone(&data.mappings),
                        findings: Arc::new(findings),
                    }),
                    ..ZoneState::clone(&state)
                });
            }
        }
    }

    fn learn_regions(&mut self, index: usize, regions: SupportedRegions, now: Instant) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        if account.regions.learn(regions, now) {
            self.show_upper_tiers();
            self.judge_again(Some(index), now);
        }
    }

    /// Shows the upper tiers of the regions that the accounts of now list.
    pub(super) fn show_upper_tiers(&self) {
        let accounts = self.accounts.iter();
        let known = accounts.filter_map(|account| account.regions.known.clone());
        self.metrics.upper_tiers.set(&known.collect::<Vec<_>>());
    }
}
