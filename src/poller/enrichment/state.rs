//! What is known of a zone beside its mappings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fetch::{self, Enriched, RuleKind, Wanted};
use super::refresh::{RefreshTimer, Regions};
use super::usage::UsageWatch;
use crate::cloudflare::{ApiError, Pool};
use crate::domain::{OriginIp, PoolId, RecordName};
use crate::findings::{
    Candidates, Discovered, ExpectSettings, SourceState, TieredCache, Usage, VerifySettings,
};
use crate::poller::tasks::Urgency;

/// How long the last known tiered cache settings are shown, at least.
const KEEP_SETTINGS: Duration = Duration::from_hours(2);

/// The last good answer to something.
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

impl<T> Recent<T> {
    /// The answer to an earlier process. Until it is read again it counts as one that cannot be.
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

    /// The answer, unless reading it has been failing for `keep`.
    fn unless_failing(&self, now: Instant, keep: Duration) -> Option<&T> {
        let lost = self.failing_since.is_some_and(|since| since + keep <= now);
        let (value, _) = self.answer.as_ref().filter(|_| !lost)?;
        Some(value)
    }

    /// The answer, unless it is older than `keep`.
    fn unless_older(&self, now: Instant, keep: Duration) -> Option<&T> {
        let (value, _) = self.answer.as_ref().filter(|(_, at)| *at + keep > now)?;
        Some(value)
    }
}

/// What the sources of a zone's origins name, across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::poller) struct StoredSources {
    dns: Option<Candidates>,
    load_balancers: Option<Candidates>,
    rules: BTreeMap<RuleKind, Candidates>,
    /// Since when the addresses of mappings are not named.
    usage: Usage,
}

/// What is known of a zone beside its mappings.
#[derive(Debug, Default)]
pub(in crate::poller) struct EnrichmentState {
    dns: Recent<Candidates>,
    /// The names that load balancers answer for, as of their last good reading.
    pub(in crate::poller) balanced: Arc<BTreeSet<RecordName>>,
    load_balancers: Recent<Candidates>,
    /// The pools that load balancers use, as of their last good reading by this process.
    pub(in crate::poller) pools_in_use: BTreeSet<PoolId>,
    rules: BTreeMap<RuleKind, Recent<Candidates>>,
    rules_timer: RefreshTimer,
    tiered_cache: Recent<bool>,
    smart_tiered_cache: Recent<bool>,
    settings_timer: RefreshTimer,
    /// When the zone was last unable to tell the supported regions.
    regions_timer: RefreshTimer,
    /// Missing origins that are not shown, because nothing has confirmed them yet.
    pub(in crate::poller) unconfirmed: BTreeSet<OriginIp>,
    /// Origins that are being looked up.
    confirming: BTreeSet<OriginIp>,
    /// Since when the addresses of its mappings are not named.
    pub(in crate::poller) usage: UsageWatch,
    /// Its sources were read by this process, or could not be read.
    pub(in crate::poller) was_enriched: bool,
    /// It waits among the account's enrichments.
    pub(in crate::poller) queued: bool,
    /// Somebody has written to the zone, so what is read of it goes before what is read of others.
    pub(in crate::poller) urgency: Urgency,
    /// DNS records and load balancers are to be read.
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
                    is_current: source.failing_since.is_none(),
                },
            };
        Discovered {
            load_balancers: state(expect.from_load_balancers, &self.load_balancers),
            rules: self.rules(expect, now, retain),
            dns: state(expect.from_dns, &self.dns),
        }
    }

    /// Goes on with what an earlier process knew, which ended `pause` ago.
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
        self.usage.usage = sources.usage;
        self.usage.usage.resume(pause);
        self.tiered_cache = Recent::resume(tiered_cache.enabled, now);
        self.smart_tiered_cache = Recent::resume(tiered_cache.smart_enabled, now);
    }

    /// What is to be known after a restart.
    pub(in crate::poller) fn stored_sources(&self) -> StoredSources {
        StoredSources {
            dns: self.dns.stored(),
            load_balancers: self.load_balancers.stored(),
            rules: self
                .rules
                .iter()
                .filter_map(|(kind, rules)| Some((*kind, rules.stored()?)))
                .collect(),
            usage: self.usage.usage.clone(),
        }
    }

    /// What the rules name, as far as any kind of them could be read.
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
        let is_failing = |rules: &Recent<Candidates>| rules.failing_since.is_some();
        SourceState::Read {
            candidates: Arc::new(all),
            is_current: known.len() == RuleKind::ALL.len() && !self.rules.values().any(is_failing),
        }
    }

    pub(in crate::poller) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        TieredCache {
            enabled: self.tiered_cache.unless_older(now, keep).copied(),
            smart_enabled: self.smart_tiered_cache.unless_older(now, keep).copied(),
        }
    }

    /// Other sources and checks are in force: what is no longer wanted is forgotten, and what is
    /// newly wanted is read.
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

    /// What is to be read now.
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

    /// DNS records and load balancers are read after each good poll.
    pub(in crate::poller) fn request_origins(&mut self) {
        self.origins_due = true;
    }

    /// Somebody has written to the zone: its sources and settings are read.
    pub(in crate::poller) fn request_everything(&mut self) {
        self.urgency = Urgency::Urgent;
        self.origins_due = true;
        self.rules_timer.reset();
        self.settings_timer.reset();
    }

    /// Takes the pools of the account, which were read anew. Returns whether the zone's origins are
    /// others than before.
    pub(in crate::poller) fn take_pools(&mut self, pools: &[Pool]) -> bool {
        match &mut self.load_balancers.answer {
            Some((known, _)) if !self.pools_in_use.is_empty() => {
                let new = fetch::of_pools(pools, &self.pools_in_use);
                let changed = *known != new;
                *known = new;
                changed
            }
            _ => false,
        }
    }

    /// A reading begins.
    pub(in crate::poller) fn started(&mut self, wanted: Wanted, now: Instant) {
        self.origins_due = false;
        if wanted.rules {
            self.rules_timer.ask(now);
        }
        if wanted.tiered_cache {
            self.settings_timer.ask(now);
        }
    }

    /// Takes what was read.
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

    /// The unconfirmed origins are being looked up. They stay unconfirmed meanwhile, and a poll
    /// that ends before shows them as missing.
    pub(in crate::poller) fn confirm(&mut self) -> BTreeSet<OriginIp> {
        self.confirming = self.unconfirmed.clone();
        self.confirming.clone()
    }

    /// The look-ups have ended. Returns the origins that they were about.
    pub(in crate::poller) fn confirmed(&mut self) -> BTreeSet<OriginIp> {
        std::mem::take(&mut self.confirming)
    }

    /// What was under way was cancelled: it is to be done again.
    pub(in crate::poller) fn cancelled(&mut self) {
        self.confirming.clear();
        self.origins_due = true;
    }
}

#[cfg(test)]
mod tests;
