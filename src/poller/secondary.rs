//! When what stands beside the mappings is read, and what becomes of it. Mappings come first: a
//! follow-up runs where no zone of its account waits for its turn.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Poller;
use super::follow_up::{self, FollowUp, FollowedUp, Wanted};
use super::jobs::{self, Job};
use super::judgement::Yardstick;
use super::zone_turns::ZoneTurns;
use crate::cloudflare::{ApiError, Operation};
use crate::domain::{OriginIp, ZoneId};
use crate::findings::{Candidates, Discovered, SupportedRegions, TieredCache};
use crate::snapshot::{ZoneData, ZoneState};

/// Settings and supported regions hardly ever change, and each costs a request a zone.
const RARELY: Duration = Duration::from_hours(1);
/// How long a tiered cache setting that cannot be read any more is still shown, at the least.
const KEEP_SETTINGS: Duration = Duration::from_hours(2);

/// The last good answer to something, while it is recent.
#[derive(Debug)]
struct Recent<T>(Option<(T, Instant)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Recent<T> {
    fn set(&mut self, value: T, now: Instant) {
        self.0 = Some((value, now));
    }

    fn get(&self, now: Instant, keep: Duration) -> Option<&T> {
        self.0
            .as_ref()
            .filter(|(_, at)| *at + keep > now)
            .map(|(value, _)| value)
    }
}

/// What is known of a zone beside its mappings.
#[derive(Debug, Default)]
pub(super) struct Secondary {
    dns: Recent<Candidates>,
    load_balancers: Recent<Candidates>,
    tiered_cache: Recent<bool>,
    smart_tiered_cache: Recent<bool>,
    /// When the tiered cache settings were last asked for.
    settings_asked: Option<Instant>,
    /// When the supported regions were last asked for by way of this zone.
    regions_asked: Option<Instant>,
    /// Missing origins that the last poll found and nobody has confirmed yet.
    unconfirmed: BTreeSet<OriginIp>,
    /// It stands in its account's queue.
    queued: bool,
    /// DNS records and load balancers are to be read again.
    origins_due: bool,
    /// Something that the findings depend on has changed.
    judge_again: bool,
}

impl Secondary {
    pub(super) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        TieredCache {
            enabled: self.tiered_cache.get(now, keep).copied(),
            smart_enabled: self.smart_tiered_cache.get(now, keep).copied(),
        }
    }

    /// Where expectations come from may have changed.
    pub(super) fn read_origins_again(&mut self) {
        self.origins_due = true;
    }

    /// The findings are out of date.
    pub(super) fn ask_for_judgement(&mut self) {
        self.judge_again = true;
    }

    /// Takes note of a good poll that found these origins missing for the first time.
    pub(super) fn polled(&mut self, unconfirmed: BTreeSet<OriginIp>) {
        self.unconfirmed = unconfirmed;
        self.origins_due = true;
    }
}

/// An account's supported regions.
#[derive(Debug, Default)]
pub(super) struct Regions {
    pub(super) known: Option<Arc<SupportedRegions>>,
    read: Option<Instant>,
    /// A follow-up is asking for them.
    asking: bool,
}

fn due(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|at| at + RARELY <= now)
}

impl Poller {
    /// What a zone's mappings are held against now.
    pub(super) fn yardstick(&self, id: &ZoneId, now: Instant) -> Option<Yardstick> {
        let turns = self.zones.get(id)?;
        let keep = self.settings.retain;
        let expect = &self.judging.expect;
        let secondary = &turns.secondary;
        let dns = secondary.dns.get(now, keep).filter(|_| expect.from_dns);
        let pools = secondary.load_balancers.get(now, keep);
        let pools = pools.filter(|_| expect.from_load_balancers);
        let regions = self.accounts.get(turns.account)?.regions.known.clone();
        let shown = turns.slot.load();
        let shown = shown.data.iter().flat_map(|data| &data.findings.missing);
        let shown = shown.map(|origin| origin.origin_ip);
        Some(Yardstick {
            declared: Arc::clone(&turns.declared),
            discovered: Discovered {
                dns: dns.cloned(),
                load_balancers: pools.cloned(),
            },
            supported: regions.filter(|_| self.judging.verify.supported_regions),
            ranges: self.judging.ranges.clone(),
            known_missing: shown
                .chain(turns.secondary.unconfirmed.iter().copied())
                .collect(),
        })
    }

    /// Queues a follow-up of the zone where there is something to follow up.
    pub(super) fn queue_follow_up(&mut self, id: &ZoneId, now: Instant) {
        let Some(turns) = self.zones.get(id) else {
            return;
        };
        let wanted = self.wanted(turns, now).anything();
        let judge = turns.secondary.judge_again || !turns.secondary.unconfirmed.is_empty();
        if turns.secondary.queued || !(wanted || judge) {
            return;
        }
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(turns.account) else {
            return;
        };
        turns.secondary.queued = true;
        account.follow_ups.push_back(id.clone());
    }

    /// What the findings of every zone, or of those of one account, depend on has changed.
    pub(super) fn judge_again(&mut self, account: Option<usize>, now: Instant) {
        let zones = self.zones.iter_mut();
        let concerned =
            zones.filter(|(_, turns)| account.is_none_or(|index| turns.account == index));
        let ids: Vec<ZoneId> = concerned
            .map(|(id, turns)| {
                turns.secondary.ask_for_judgement();
                id.clone()
            })
            .collect();
        for id in ids {
            self.queue_follow_up(&id, now);
        }
    }

    fn wanted(&self, turns: &ZoneTurns, now: Instant) -> Wanted {
        let secondary = &turns.secondary;
        let regions = self
            .accounts
            .get(turns.account)
            .map(|account| &account.regions);
        Wanted {
            dns: self.judging.expect.from_dns && secondary.origins_due,
            load_balancers: self.judging.expect.from_load_balancers && secondary.origins_due,
            tiered_cache: self.judging.verify.tiered_cache && due(secondary.settings_asked, now),
            supported_regions: self.judging.verify.supported_regions
                && due(secondary.regions_asked, now)
                && regions.is_some_and(|regions| !regions.asking && due(regions.read, now)),
        }
    }

    /// Starts the follow-ups of an account for which there is room beside its polls.
    pub(super) fn start_follow_ups(&mut self, index: usize, now: Instant) {
        while let Some(account) = self.accounts.get_mut(index) {
            let poll_waits = account.due.first().is_some_and(|(due, _)| *due <= now);
            let room = account.running < account.most_running() / 2;
            if poll_waits || !account.untried.is_empty() || !room {
                return;
            }
            let Some(id) = account.follow_ups.pop_front() else {
                return;
            };
            if let Some(turns) = self.zones.get_mut(&id) {
                turns.secondary.queued = false;
            }
            // The end of what is under way queues it again.
            if !self.busy.contains(&id) {
                self.start_follow_up(index, &id, now);
            }
        }
    }

    fn start_follow_up(&mut self, index: usize, id: &ZoneId, now: Instant) {
        let Some(mut yardstick) = self.yardstick(id, now) else {
            return;
        };
        let Some(turns) = self.zones.get(id) else {
            return;
        };
        let wanted = self.wanted(turns, now);
        let state = turns.slot.load();
        let Some(data) = &state.data else { return };
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        for ip in std::mem::take(&mut turns.secondary.unconfirmed) {
            yardstick.known_missing.remove(&ip);
        }
        turns.secondary.judge_again = false;
        turns.secondary.origins_due = false;
        if wanted.tiered_cache {
            turns.secondary.settings_asked = Some(now);
        }
        if wanted.supported_regions {
            turns.secondary.regions_asked = Some(now);
            account.regions.asking = true;
        }
        let job = FollowUp {
            client: account.client.clone(),
            zone: state.zone.clone(),
            wanted,
            mappings: Arc::clone(&data.mappings),
            yardstick,
            pools: Arc::clone(&account.pools),
            pools_age: state.interval.mul_f64(0.9),
        };
        account.running += 1;
        self.busy.insert(id.clone());
        let asks = wanted.supported_regions;
        self.spawn(
            Job::FollowUp {
                index,
                zone: id.clone(),
                asks,
            },
            jobs::follow_up(job),
        );
    }

    /// Takes the answers of a follow-up.
    pub(super) fn followed_up(&mut self, index: usize, id: &ZoneId, asks: bool, done: FollowedUp) {
        let now = Instant::now();
        self.follow_up_ended(index, id, asks);
        self.tell_failures(index, &done);
        if let Some(Ok(Some(regions))) = done.supported_regions {
            self.learn_regions(index, regions, now);
        }
        let retain = self.settings.retain;
        let Some(turns) = self.zones.get_mut(id) else {
            return;
        };
        let secondary = &mut turns.secondary;
        if let Some(Ok(candidates)) = done.dns {
            secondary.dns.set(candidates, now);
        }
        if let Some(Ok(candidates)) = done.load_balancers {
            secondary.load_balancers.set(candidates, now);
        }
        if let Some(Ok(on)) = done.tiered_cache {
            secondary.tiered_cache.set(on, now);
        }
        if let Some(Ok(on)) = done.smart_tiered_cache {
            secondary.smart_tiered_cache.set(on, now);
        }
        let old = turns.slot.load();
        let tiered_cache = turns.secondary.tiered_cache(now, retain);
        let findings = Arc::new(done.findings);
        let data = old.data.as_ref().map(|data| ZoneData {
            mappings: Arc::clone(&data.mappings),
            findings: if data.findings == findings {
                Arc::clone(&data.findings)
            } else {
                findings
            },
        });
        tell_left_out(&old, data.as_ref());
        turns.slot.publish(ZoneState {
            data,
            tiered_cache,
            ..ZoneState::clone(&old)
        });
        if turns.due.is_none() {
            // Its turn came meanwhile.
            self.schedule(id, now);
        }
        self.queue_follow_up(id, now);
    }

    /// Frees what a follow-up held, whether it ended well or broke off.
    pub(super) fn follow_up_ended(&mut self, index: usize, id: &ZoneId, asks: bool) {
        self.busy.remove(id);
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.running = account.running.saturating_sub(1);
        if asks {
            account.regions.asking = false;
        }
    }

    fn learn_regions(&mut self, index: usize, regions: SupportedRegions, now: Instant) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        account.regions.read = Some(now);
        if account.regions.known.as_deref() == Some(&regions) {
            return;
        }
        account.regions.known = Some(Arc::new(regions));
        let all = self
            .accounts
            .iter()
            .filter_map(|account| account.regions.known.clone());
        self.metrics.upper_tiers.set(all.collect());
        self.judge_again(Some(index), now);
    }

    /// An optional call that fails harms nothing; the log names each kind of failure once.
    fn tell_failures(&mut self, index: usize, done: &FollowedUp) {
        let Some(account) = self.accounts.get_mut(index) else {
            return;
        };
        let regions = done
            .supported_regions
            .as_ref()
            .map(|answer| answer.as_ref().err());
        let origins = [&done.dns, &done.load_balancers];
        let settings = [&done.tiered_cache, &done.smart_tiered_cache];
        let failures = origins
            .into_iter()
            .flatten()
            .filter_map(|answer| answer.as_ref().err())
            .chain(
                settings
                    .into_iter()
                    .flatten()
                    .filter_map(|answer| answer.as_ref().err()),
            )
            .chain(regions.flatten())
            .chain(&done.failed_look_up);
        for error in failures {
            let seen = account
                .optional_failures
                .insert((error.operation, error.reason));
            tell_failure(account.state.name.as_str(), error, seen);
        }
    }
}

fn tell_failure(account: &str, error: &ApiError, first: bool) {
    let operation = Operation::as_str(error.operation);
    if !first {
        debug!(account, operation, %error, "an optional call failed again");
    } else if follow_up::lacks_permission(error) {
        let permission = follow_up::permission(error.operation);
        warn!(account, operation, %error, permission,
              "the token may not make this optional call: add the permission, or switch off what \
               needs it");
    } else {
        warn!(account, operation, %error, "an optional call failed");
    }
}

/// Says how many origins count for nothing, and why, when that has changed.
fn tell_left_out(old: &ZoneState, new: Option<&ZoneData>) {
    let before = old.data.as_ref().map(|data| &data.findings.left_out);
    let Some(left_out) = new.map(|data| &data.findings.left_out) else {
        return;
    };
    if !left_out.is_empty() && before != Some(left_out) {
        let reasons: Vec<_> = left_out
            .iter()
            .map(|(why, count)| format!("{}: {count}", why.as_str()))
            .collect();
        info!(zone = %old.zone.name, zone_id = %old.zone.id, left_out = reasons.join(", "),
              "origins of DNS records and load balancers that need no mapping");
    }
}
