//! What is known about a zone besides its mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::candidates::of_pools;
use super::confirm::Lookups;
use super::fetch::{CALLS, Enriched, RULES, is_on};
use super::refresh::{RefreshTimer, Regions};
use super::usage::UsageWatch;
use crate::cloudflare::{ApiError, Operation, Pool, Rows};
use crate::domain::{PoolId, RecordName};
use crate::findings::{Candidates, Discovered, SourceState, TieredCache, Usage};
use crate::poller::hosts::Paths;
use crate::poller::tasks::Urgency;
use crate::poller::{Context, EvaluationConfig};

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
    /// Tiered Cache and its smart topology, by the call that reads them.
    settings: BTreeMap<Operation, Recent<bool>>,
    /// When its calls for what rarely changes are due again. Supported regions are here only once
    /// the zone did not return them.
    timers: BTreeMap<Operation, RefreshTimer>,
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
    pub(in crate::poller) fn discovered(&self, context: &Context) -> Discovered {
        let source = |calls: &[Operation]| self.source(calls, context);
        Discovered {
            load_balancers: source(&[Operation::LoadBalancers]),
            rules: source(&RULES),
            dns: source(&[Operation::DnsRecords]),
        }
    }

    /// What a source names, as far as any of its calls is known.
    fn source(&self, calls: &[Operation], context: &Context) -> SourceState {
        let (now, retain) = (context.now, context.settings.retain);
        if !calls.iter().any(|call| is_on(*call, &context.evaluation)) {
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

    pub(in crate::poller) fn tiered_cache(&self, context: &Context) -> TieredCache {
        let (now, keep) = (context.now, KEEP_SETTINGS.max(context.settings.retain));
        let setting = |call| self.settings.get(&call)?.unless_older(now, keep).copied();
        TieredCache {
            enabled: setting(Operation::TieredCache),
            smart_enabled: setting(Operation::SmartTieredCache),
        }
    }

    /// Applies a new configuration: forgets data that it no longer requests, and requests new data.
    pub(in crate::poller) fn reconfigure(&mut self, config: &EvaluationConfig) {
        self.sources.retain(|call, _| is_on(*call, config));
        self.settings.retain(|call, _| is_on(*call, config));
        self.timers.retain(|call, _| is_on(*call, config));
        if !config.expect.from_load_balancers {
            self.balanced = Arc::default();
            self.pools_in_use.clear();
        }
        let is_new = |call| is_on(call, config) && !self.sources.contains_key(&call);
        let origins = [Operation::DnsRecords, Operation::LoadBalancers];
        self.origins_due |= origins.into_iter().any(is_new);
    }

    /// The calls to make now.
    pub(in crate::poller) fn calls_due(
        &self,
        context: &Context,
        regions: &Regions,
    ) -> Vec<Operation> {
        let now = context.now;
        let is_due = |call: &Operation| match call {
            Operation::DnsRecords | Operation::LoadBalancers => self.origins_due,
            Operation::SupportedRegions if !regions.are_due(now) => false,
            call => self.timers.get(call).is_none_or(|timer| timer.is_due(now)),
        };
        let is_on = |call: &Operation| is_on(*call, &context.evaluation);
        CALLS.into_iter().filter(is_on).filter(is_due).collect()
    }

    /// Makes DNS records and load balancers due, after each successful poll.
    pub(in crate::poller) fn request_origins(&mut self) {
        self.origins_due = true;
    }

    /// Makes sources and settings due, after a write to the zone or a cancelled task.
    pub(in crate::poller) fn request_everything(&mut self) {
        self.origins_due = true;
        let is_of_regions = |call: &Operation| *call == Operation::SupportedRegions;
        self.timers.retain(|call, _| is_of_regions(call));
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

    /// Records that calls have started.
    pub(in crate::poller) fn started(&mut self, calls: &[Operation], now: Instant) {
        self.origins_due = false;
        for call in calls {
            match call {
                Operation::DnsRecords | Operation::LoadBalancers | Operation::SupportedRegions => {}
                _ => self.timers.entry(*call).or_default().ask(now),
            }
        }
    }

    /// Stores the data that was read.
    pub(in crate::poller) fn learn(&mut self, enriched: Enriched, now: Instant) {
        self.was_enriched |= !enriched.sources.is_empty();
        for (call, answer) in enriched.sources {
            self.answered(call, &answer);
            self.sources.entry(call).or_default().take(answer, now);
        }
        for (call, answer) in enriched.settings {
            self.answered(call, &answer);
            self.settings.entry(call).or_default().take(answer, now);
        }
        match enriched.supported_regions {
            None | Some(Ok(Some(_))) => {}
            Some(Err(error)) if error.is_transient() => {}
            Some(_) => {
                let timer = self.timers.entry(Operation::SupportedRegions);
                timer.or_default().ask(now);
            }
        }
        if let Some(balanced) = enriched.balanced {
            self.balanced = balanced;
        }
        if let Some(pools) = enriched.pools_in_use {
            self.pools_in_use = pools;
        }
    }

    fn answered<T>(&mut self, call: Operation, answer: &Result<T, ApiError>) {
        if let Some(timer) = self.timers.get_mut(&call) {
            timer.answered(answer.as_ref().is_err_and(ApiError::is_transient));
        }
    }
}

#[cfg(test)]
mod tests;
