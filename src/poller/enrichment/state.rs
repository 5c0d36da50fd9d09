//! What is known about a zone besides its mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::candidates::of_pools;
use super::confirm::Lookups;
use super::fetch::{self, Enriched, Wanted, has_transient_failure};
use super::refresh::{RefreshTimer, Regions};
use super::usage::UsageWatch;
use crate::cloudflare::{ApiError, Operation, Pool, Rows};
use crate::domain::{PoolId, RecordName};
use crate::findings::{Candidates, Discovered, ExpectSettings, SourceState, TieredCache, Usage};
use crate::poller::EvaluationConfig;
use crate::poller::hosts::Paths;
use crate::poller::tasks::Urgency;

/// The least time for which the last known Tiered Cache settings are shown.
const KEEP_SETTINGS: Duration = Duration::from_hours(2);

/// The last successful response.
#[derive(Debug, Default)]
struct Recent<T> {
    answer: Option<(T, Instant)>,
    /// The first failure since then.
    failing_since: Option<Instant>,
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
    fn resume(answer: T, now: Instant) -> Self {
        Self {
            failing_since: Some(now),
            answer: Some((answer, now)),
        }
    }

    fn take(&mut self, answer: Result<T, ApiError>, now: Instant) {
        if let Ok(value) = answer {
            self.answer = Some((value, now));
            self.failing_since = None;
        } else {
            self.failing_since.get_or_insert(now);
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
    /// By the call that reads them.
    sources: BTreeMap<Operation, Candidates>,
    /// How hosts resolve through records of the accounts' own zones.
    paths: Paths,
    /// Since when sources have not named the mapped addresses.
    usage: Usage,
}

/// What is known about a zone besides its mappings.
#[derive(Debug, Default)]
pub(in crate::poller) struct EnrichmentState {
    /// The sources of its origins, by the call that reads them.
    sources: BTreeMap<Operation, Recent<Candidates>>,
    /// The names that load balancers serve, from their last successful read.
    pub(in crate::poller) balanced: Arc<BTreeSet<RecordName>>,
    /// The pools that load balancers use, from the last successful read of this process.
    pub(in crate::poller) pools_in_use: BTreeSet<PoolId>,
    rules_timer: RefreshTimer,
    /// Tiered Cache and its smart topology, by the call that reads them.
    settings: BTreeMap<Operation, Recent<bool>>,
    settings_timer: RefreshTimer,
    /// When the zone last did not return the supported regions.
    regions_timer: RefreshTimer,
    /// Origins that seem to be missing.
    pub(in crate::poller) lookups: Lookups,
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
        let source = |calls: &[Operation]| self.source(calls, expect, now, retain);
        Discovered {
            load_balancers: source(&[Operation::LoadBalancers]),
            rules: source(&fetch::RULES),
            dns: source(&[Operation::DnsRecords]),
        }
    }

    /// What a source names, as far as any of its calls is known.
    fn source(
        &self,
        calls: &[Operation],
        expect: &ExpectSettings,
        now: Instant,
        retain: Duration,
    ) -> SourceState {
        if !calls.iter().any(|call| fetch::is_on(*call, expect)) {
            return SourceState::Off;
        }
        let read = || calls.iter().filter_map(|call| self.sources.get(call));
        let mut known = read().filter_map(|source| source.unless_failing(now, retain));
        let Some(mut all) = known.next().cloned() else {
            return SourceState::NotRead;
        };
        for candidates in known {
            all.addresses.extend(candidates.addresses.iter().copied());
            all.hosts.extend(candidates.hosts.iter().cloned());
            all.left_out.extend(candidates.left_out.iter().cloned());
        }
        SourceState::Read {
            candidates: Arc::new(all),
            is_current: read().filter(|source| source.is_current()).count() == calls.len(),
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
        let known = sources.sources.into_iter();
        self.sources = known
            .map(|(call, candidates)| (call, Recent::resume(candidates, now)))
            .collect();
        self.paths = sources.paths;
        self.usage.usage = sources.usage;
        self.usage.usage.resume(pause);
        let settings = [
            (Operation::TieredCache, tiered_cache.enabled),
            (Operation::SmartTieredCache, tiered_cache.smart_enabled),
        ];
        self.settings = settings
            .into_iter()
            .filter_map(|(call, is_on)| Some((call, Recent::resume(is_on?, now))))
            .collect();
    }

    /// The state to keep across restarts.
    pub(in crate::poller) fn stored_sources(&self) -> StoredSources {
        let known = self.sources.iter();
        StoredSources {
            sources: known
                .filter_map(|(call, source)| Some((*call, source.answer.as_ref()?.0.clone())))
                .collect(),
            paths: self.paths.clone(),
            usage: self.usage.usage.clone(),
        }
    }

    pub(in crate::poller) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        let setting = |call| self.settings.get(&call)?.unless_older(now, keep).copied();
        TieredCache {
            enabled: setting(Operation::TieredCache),
            smart_enabled: setting(Operation::SmartTieredCache),
        }
    }

    /// Applies a new configuration: forgets data that it no longer requests, and requests new data.
    pub(in crate::poller) fn reconfigure(
        &mut self,
        old: &ExpectSettings,
        config: &EvaluationConfig,
    ) {
        let new = &config.expect;
        self.sources.retain(|call, _| fetch::is_on(*call, new));
        if !new.from_load_balancers {
            self.balanced = Arc::default();
            self.pools_in_use.clear();
        }
        if !new.from_rules {
            self.rules_timer.reset();
        }
        if !config.verify.tiered_cache {
            self.settings.clear();
            self.settings_timer.reset();
        }
        self.origins_due |= (new.from_dns && !old.from_dns)
            || (new.from_load_balancers && !old.from_load_balancers);
    }

    /// The data to read now.
    pub(in crate::poller) fn wanted(
        &self,
        config: &EvaluationConfig,
        regions: &Regions,
        now: Instant,
    ) -> Wanted {
        let (expect, verify) = (&config.expect, config.verify);
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

    /// Makes sources and settings due, after a write to the zone or a cancelled task.
    pub(in crate::poller) fn request_everything(&mut self) {
        self.origins_due = true;
        self.rules_timer.reset();
        self.settings_timer.reset();
    }

    /// Updates the account's pools. Returns whether the zone's origins changed.
    pub(in crate::poller) fn take_pools(&mut self, pools: &Rows<Pool>) -> bool {
        let source = self.sources.get_mut(&Operation::LoadBalancers);
        match source.and_then(|source| source.answer.as_mut()) {
            Some((known, _)) if !self.pools_in_use.is_empty() => {
                let mut new = of_pools(pools, &self.pools_in_use);
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
        self.was_enriched |= !enriched.sources.is_empty();
        let rules = fetch::RULES.map(|call| enriched.sources.get(&call));
        if rules.iter().any(Option::is_some) {
            let failed = has_transient_failure(rules.into_iter().flatten());
            self.rules_timer.answered(failed);
        }
        if !enriched.settings.is_empty() {
            let failed = has_transient_failure(enriched.settings.values());
            self.settings_timer.answered(failed);
        }
        for (call, answer) in std::mem::take(&mut enriched.sources) {
            self.sources.entry(call).or_default().take(answer, now);
        }
        for (call, answer) in std::mem::take(&mut enriched.settings) {
            self.settings.entry(call).or_default().take(answer, now);
        }
        match &enriched.supported_regions {
            None | Some(Ok(Some(_))) => {}
            Some(Err(error)) if error.is_transient() => {}
            Some(_) => self.regions_timer.ask(now),
        }
        if let Some(balanced) = enriched.balanced.take() {
            self.balanced = balanced;
        }
        if let Some(pools) = enriched.pools_in_use.take() {
            self.pools_in_use = pools;
        }
    }
}

#[cfg(test)]
mod tests;
