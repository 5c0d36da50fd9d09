//! What is known about a zone besides its mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fetch::{self, Enriched, RuleKind, Wanted};
use super::refresh::{RefreshTimer, Regions};
use super::usage::UsageWatch;
use crate::cloudflare::{ApiError, Pool, Rows};
use crate::domain::{OriginIp, PoolId, RecordName};
use crate::findings::{
    Candidates, Discovered, ExpectSettings, SourceState, TieredCache, Usage, VerifySettings,
};
use crate::poller::hosts::Paths;
use crate::poller::tasks::Urgency;

/// The least time for which the last known Tiered Cache settings are shown.
const KEEP_SETTINGS: Duration = Duration::from_hours(2);

/// The last successful response.
#[derive(Debug)]
struct Recent<T> {
    answer: Option<(T, Instant)>,
    /// The first failure since then.
    failing_since: Option<Instant>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            answer: None,
            failing_since: None,
        }
    }
}

impl Recent<Candidates> {
    /// Whether the last read was complete, so that the source names nothing else.
    fn is_current(&self) -> bool {
        let answer = self.answer.as_ref();
        self.failing_since.is_none() && answer.is_some_and(|(read, _)| !read.has_unreadable)
    }
}

impl<T> Recent<T> {
    /// The response to an earlier process. Until it is read again, it counts as failing.
    fn resume(answer: Option<T>, now: Instant) -> Self {
        Self {
            failing_since: answer.as_ref().map(|_| now),
            answer: answer.map(|value| (value, now)),
        }
    }

    fn stored(&self) -> Option<T>
    where
        T: Clone,
    {
        let (value, _) = self.answer.as_ref()?;
        Some(value.clone())
    }

    fn take(&mut self, answer: Option<Result<T, ApiError>>, now: Instant) {
        match answer {
            Some(Ok(value)) => {
                self.answer = Some((value, now));
                self.failing_since = None;
            }
            Some(Err(_)) => {
                self.failing_since.get_or_insert(now);
            }
            None => {}
        }
    }

    /// The response, unless reading has been failing for `keep`.
    fn unless_failing(&self, now: Instant, keep: Duration) -> Option<&T> {
        let lost = self.failing_since.is_some_and(|since| since + keep <= now);
        let (value, _) = self.answer.as_ref().filter(|_| !lost)?;
        Some(value)
    }

    /// The response, unless it is older than `keep`.
    fn unless_older(&self, now: Instant, keep: Duration) -> Option<&T> {
        let (value, _) = self.answer.as_ref().filter(|(_, at)| *at + keep > now)?;
        Some(value)
    }
}

/// The origins in a zone's sources, kept across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::poller) struct StoredSources {
    dns: Option<Candidates>,
    load_balancers: Option<Candidates>,
    rules: BTreeMap<RuleKind, Candidates>,
    /// How hosts resolve through records of the accounts' own zones.
    paths: Paths,
    /// Since when sources have not named the mapped addresses.
    usage: Usage,
}

/// What is known about a zone besides its mappings.
#[derive(Debug, Default)]
pub(in crate::poller) struct EnrichmentState {
    dns: Recent<Candidates>,
    /// The names that load balancers serve, from their last successful read.
    pub(in crate::poller) balanced: Arc<BTreeSet<RecordName>>,
    load_balancers: Recent<Candidates>,
    /// The pools that load balancers use, from the last successful read of this process.
    pub(in crate::poller) pools_in_use: BTreeSet<PoolId>,
    rules: BTreeMap<RuleKind, Recent<Candidates>>,
    rules_timer: RefreshTimer,
    tiered_cache: Recent<bool>,
    smart_tiered_cache: Recent<bool>,
    settings_timer: RefreshTimer,
    /// When the zone last did not return the supported regions.
    regions_timer: RefreshTimer,
    /// Missing origins that are not reported yet, because they are unconfirmed.
    pub(in crate::poller) unconfirmed: BTreeSet<OriginIp>,
    /// Origins that are being looked up.
    confirming: BTreeSet<OriginIp>,
    /// How its hosts resolve through records of the accounts' own zones.
    pub(in crate::poller) paths: Paths,
    /// Since when sources have not named its mapped addresses.
    pub(in crate::poller) usage: UsageWatch,
    /// Whether this process has read its sources, or failed to.
    pub(in crate::poller) was_enriched: bool,
    /// Whether it is in the account's enrichment queue.
    pub(in crate::poller) queued: bool,
    /// Whether the zone was written to, so that reading it takes precedence.
    pub(in crate::poller) urgency: Urgency,
    /// Whether DNS records and load balancers are due.
    origins_due: bool,
}

impl EnrichmentState {
    pub(in crate::poller) fn discovered(
        &self,
        expect: &ExpectSettings,
        now: Instant,
        retain: Duration,
    ) -> Discovered {
        let state =
            |is_on: bool, source: &Recent<Candidates>| match source.unless_failing(now, retain) {
                _ if !is_on => SourceState::Off,
                None => SourceState::NotRead,
                Some(candidates) => SourceState::Read {
                    candidates: Arc::new(candidates.clone()),
                    is_current: source.is_current(),
                },
            };
        Discovered {
            load_balancers: state(expect.from_load_balancers, &self.load_balancers),
            rules: self.rules(expect, now, retain),
            dns: state(expect.from_dns, &self.dns),
        }
    }

    /// Restores the state of an earlier process, which ended `pause` ago.
    pub(in crate::poller) fn resume(
        &mut self,
        tiered_cache: TieredCache,
        sources: StoredSources,
        pause: Duration,
        now: Instant,
    ) {
        self.dns = Recent::resume(sources.dns, now);
        self.load_balancers = Recent::resume(sources.load_balancers, now);
        let rules = sources.rules.into_iter();
        self.rules = rules
            .map(|(kind, candidates)| (kind, Recent::resume(Some(candidates), now)))
            .collect();
        self.paths = sources.paths;
        self.usage.usage = sources.usage;
        self.usage.usage.resume(pause);
        self.tiered_cache = Recent::resume(tiered_cache.enabled, now);
        self.smart_tiered_cache = Recent::resume(tiered_cache.smart_enabled, now);
    }

    /// The state to keep across restarts.
    pub(in crate::poller) fn stored_sources(&self) -> StoredSources {
        StoredSources {
            dns: self.dns.stored(),
            load_balancers: self.load_balancers.stored(),
            rules: self
                .rules
                .iter()
                .filter_map(|(kind, rules)| Some((*kind, rules.stored()?)))
                .collect(),
            paths: self.paths.clone(),
            usage: self.usage.usage.clone(),
        }
    }

    /// The origins in the rules, as far as any kind of them is known.
    fn rules(&self, expect: &ExpectSettings, now: Instant, retain: Duration) -> SourceState {
        if !expect.from_rules {
            return SourceState::Off;
        }
        let known: Vec<_> = self
            .rules
            .values()
            .filter_map(|rules| rules.unless_failing(now, retain))
            .collect();
        if known.is_empty() {
            return SourceState::NotRead;
        }
        let mut all = Candidates::default();
        for candidates in &known {
            all.addresses.extend(candidates.addresses.iter().copied());
            all.hosts.extend(candidates.hosts.iter().cloned());
            all.left_out.extend(candidates.left_out.iter().cloned());
        }
        SourceState::Read {
            candidates: Arc::new(all),
            is_current: known.len() == RuleKind::ALL.len()
                && self.rules.values().all(Recent::is_current),
        }
    }

    pub(in crate::poller) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        TieredCache {
            enabled: self.tiered_cache.unless_older(now, keep).copied(),
            smart_enabled: self.smart_tiered_cache.unless_older(now, keep).copied(),
        }
    }

    /// Applies a new configuration: forgets data that it no longer requests, and requests new data.
    pub(in crate::poller) fn reconfigure(
        &mut self,
        old: &ExpectSettings,
        new: &ExpectSettings,
        verify: VerifySettings,
    ) {
        if !new.from_dns {
            self.dns = Recent::default();
        }
        if !new.from_load_balancers {
            self.load_balancers = Recent::default();
            self.balanced = Arc::default();
            self.pools_in_use.clear();
        }
        if !new.from_rules {
            self.rules.clear();
            self.rules_timer.reset();
        }
        if !verify.tiered_cache {
            self.tiered_cache = Recent::default();
            self.smart_tiered_cache = Recent::default();
            self.settings_timer.reset();
        }
        self.origins_due |= (new.from_dns && !old.from_dns)
            || (new.from_load_balancers && !old.from_load_balancers);
    }

    /// The data to read now.
    pub(in crate::poller) fn wanted(
        &self,
        expect: &ExpectSettings,
        verify: VerifySettings,
        regions: &Regions,
        now: Instant,
    ) -> Wanted {
        Wanted {
            dns: expect.from_dns && self.origins_due,
            load_balancers: expect.from_load_balancers && self.origins_due,
            rules: expect.from_rules && self.rules_timer.is_due(now),
            tiered_cache: verify.tiered_cache && self.settings_timer.is_due(now),
            supported_regions: verify.supported_regions
                && self.regions_timer.is_due(now)
                && regions.are_due(now),
        }
    }

    /// Makes DNS records and load balancers due, after each successful poll.
    pub(in crate::poller) fn request_origins(&mut self) {
        self.origins_due = true;
    }

    /// Makes sources and settings due, after a write to the zone.
    pub(in crate::poller) fn request_everything(&mut self) {
        self.urgency = Urgency::Urgent;
        self.origins_due = true;
        self.rules_timer.reset();
        self.settings_timer.reset();
    }

    /// Updates the account's pools. Returns whether the zone's origins changed.
    pub(in crate::poller) fn take_pools(&mut self, pools: &Rows<Pool>) -> bool {
        match &mut self.load_balancers.answer {
            Some((known, _)) if !self.pools_in_use.is_empty() => {
                let mut new = fetch::of_pools(pools, &self.pools_in_use);
                // The load balancers themselves are not read now.
                new.has_unreadable |= known.has_unreadable;
                let changed = *known != new;
                *known = new;
                changed
            }
            _ => false,
        }
    }

    /// Records that a read has started.
    pub(in crate::poller) fn started(&mut self, wanted: Wanted, now: Instant) {
        self.origins_due = false;
        if wanted.rules {
            self.rules_timer.ask(now);
        }
        if wanted.tiered_cache {
            self.settings_timer.ask(now);
        }
    }

    /// Stores the data that was read.
    pub(in crate::poller) fn learn(&mut self, enriched: &mut Enriched, now: Instant) {
        self.was_enriched |= enriched.dns.is_some()
            || enriched.load_balancers.is_some()
            || !enriched.rules.is_empty();
        if !enriched.rules.is_empty() {
            let failed = enriched.has_transient_rules_failure();
            self.rules_timer.answered(failed);
        }
        for (kind, answer) in enriched.rules.drain(..) {
            self.rules.entry(kind).or_default().take(Some(answer), now);
        }
        if enriched.tiered_cache.is_some() {
            let failed = enriched.has_transient_settings_failure();
            self.settings_timer.answered(failed);
        }
        match &enriched.supported_regions {
            None | Some(Ok(Some(_))) => {}
            Some(Err(error)) if error.is_transient() => {}
            Some(_) => self.regions_timer.ask(now),
        }
        self.dns.take(enriched.dns.take(), now);
        if let Some(balanced) = enriched.balanced.take() {
            self.balanced = balanced;
        }
        if let Some(pools) = enriched.pools_in_use.take() {
            self.pools_in_use = pools;
        }
        self.load_balancers
            .take(enriched.load_balancers.take(), now);
        self.tiered_cache.take(enriched.tiered_cache.take(), now);
        self.smart_tiered_cache
            .take(enriched.smart_tiered_cache.take(), now);
    }

    /// Starts the lookup of unconfirmed origins. They stay unconfirmed, and a poll that ends first
    /// reports them as missing.
    pub(in crate::poller) fn confirm(&mut self) -> BTreeSet<OriginIp> {
        self.confirming = self.unconfirmed.clone();
        self.confirming.clone()
    }

    /// Ends the lookups. Returns their origins.
    pub(in crate::poller) fn confirmed(&mut self) -> BTreeSet<OriginIp> {
        std::mem::take(&mut self.confirming)
    }

    /// Handles a cancelled task: its work is due again.
    pub(in crate::poller) fn cancelled(&mut self) {
        self.confirming.clear();
        self.origins_due = true;
        self.rules_timer.reset();
        self.settings_timer.reset();
    }
}

#[cfg(test)]
mod tests;
