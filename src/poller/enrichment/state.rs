//! What is known of a zone beside its mappings.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloudflare::ApiError;
use crate::domain::OriginIp;
use crate::findings::{Candidates, Discovered, ExpectSettings, TieredCache, VerifySettings};
use crate::poller::enrichment::fetch::{Enriched, Wanted};
use crate::poller::enrichment::refresh::{Cooldown, RefreshTimer, Regions};

/// How long a tiered cache setting that cannot be read any more is still shown, at the least.
const KEEP_SETTINGS: Duration = Duration::from_hours(2);

/// The last good answer to something.
#[derive(Debug)]
struct Recent<T> {
    answer: Option<(T, Instant)>,
    /// Of the failures since then, the first.
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

    /// The answer, unless asking has been failing for so long.
    fn unless_failing(&self, now: Instant, keep: Duration) -> Option<&T> {
        let lost = self.failing_since.is_some_and(|since| since + keep <= now);
        let (value, _) = self.answer.as_ref().filter(|_| !lost)?;
        Some(value)
    }

    /// The answer, unless it is older than that.
    fn unless_older(&self, now: Instant, keep: Duration) -> Option<&T> {
        let (value, _) = self.answer.as_ref().filter(|(_, at)| *at + keep > now)?;
        Some(value)
    }
}

/// What is known of a zone beside its mappings.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four notes that are taken and settled independently"
)]
#[derive(Debug, Default)]
pub(in crate::poller) struct EnrichmentState {
    dns: Recent<Candidates>,
    load_balancers: Recent<Candidates>,
    tiered_cache: Recent<bool>,
    smart_tiered_cache: Recent<bool>,
    /// Of the tiered cache settings.
    settings: RefreshTimer,
    /// Of the supported regions, by way of this zone.
    regions: RefreshTimer,
    /// Missing origins that the last poll found and nobody has confirmed yet.
    unconfirmed: BTreeSet<OriginIp>,
    /// It stands in its account's queue.
    pub(in crate::poller) queued: bool,
    /// DNS records and load balancers are to be read again.
    origins_due: bool,
    /// Something that the findings depend on has changed.
    judge_again: bool,
    /// Something was learnt since the poll that is under way began.
    learnt: bool,
}

impl EnrichmentState {
    pub(in crate::poller) fn discovered(&self, now: Instant, retain: Duration) -> Discovered {
        Discovered {
            dns: self.dns.unless_failing(now, retain).cloned(),
            load_balancers: self.load_balancers.unless_failing(now, retain).cloned(),
        }
    }

    pub(in crate::poller) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        TieredCache {
            enabled: self.tiered_cache.unless_older(now, keep).copied(),
            smart_enabled: self.smart_tiered_cache.unless_older(now, keep).copied(),
        }
    }

    pub(in crate::poller) fn unconfirmed(&self) -> &BTreeSet<OriginIp> {
        &self.unconfirmed
    }

    /// Other expectations and checks are in force: what is not asked for any more is forgotten,
    /// the rest is read again.
    pub(in crate::poller) fn reconfigure(
        &mut self,
        expect: &ExpectSettings,
        verify: VerifySettings,
    ) {
        if !expect.from_dns {
            self.dns = Recent::default();
        }
        if !expect.from_load_balancers {
            self.load_balancers = Recent::default();
        }
        if !verify.tiered_cache {
            self.tiered_cache = Recent::default();
            self.smart_tiered_cache = Recent::default();
        }
        self.origins_due = true;
        self.judge_again = true;
    }

    /// The findings are out of date.
    pub(in crate::poller) fn ask_for_judgement(&mut self) {
        self.judge_again = true;
    }

    /// Whether the findings are out of date, or hold back origins that nobody has confirmed.
    pub(in crate::poller) fn needs_judgement(&self) -> bool {
        self.judge_again || !self.unconfirmed.is_empty()
    }

    /// What a follow-up is to read now.
    pub(in crate::poller) fn wanted(
        &self,
        expect: &ExpectSettings,
        verify: VerifySettings,
        regions: &Regions,
        settings: &Cooldown,
        now: Instant,
    ) -> Wanted {
        Wanted {
            dns: expect.from_dns && self.origins_due,
            load_balancers: expect.from_load_balancers && self.origins_due,
            tiered_cache: verify.tiered_cache && self.settings.is_due(settings, now),
            supported_regions: verify.supported_regions
                && self.regions.is_due(&regions.trouble, now)
                && regions.may_be_asked(now),
        }
    }

    /// A poll begins.
    pub(in crate::poller) fn polling(&mut self) {
        self.learnt = false;
    }

    /// Takes note of a good poll that found these origins missing for the first time.
    pub(in crate::poller) fn polled(&mut self, unconfirmed: BTreeSet<OriginIp>) {
        self.unconfirmed = unconfirmed;
        self.origins_due = true;
    }

    /// Whether the judgement of the poll that has just ended is out of date.
    pub(in crate::poller) fn has_learnt(&mut self) -> bool {
        std::mem::take(&mut self.learnt)
    }

    /// A follow-up begins. The unconfirmed origins stay until it has settled them: a poll that
    /// ends before shows them as missing.
    pub(in crate::poller) fn following_up(&mut self, wanted: Wanted, now: Instant) {
        self.judge_again = false;
        self.origins_due = false;
        if wanted.tiered_cache {
            self.settings.ask(now);
        }
        if wanted.supported_regions {
            self.regions.ask(now);
        }
    }

    /// Takes the answers of a follow-up.
    pub(in crate::poller) fn learn(&mut self, done: &mut Enriched, now: Instant) {
        if done.tiered_cache.is_some() {
            self.settings.answered(done.has_settings_trouble());
        }
        if done.supported_regions.is_some() {
            self.regions.answered(done.has_regions_trouble());
        }
        self.dns.take(done.dns.take(), now);
        self.load_balancers.take(done.load_balancers.take(), now);
        self.tiered_cache.take(done.tiered_cache.take(), now);
        self.smart_tiered_cache
            .take(done.smart_tiered_cache.take(), now);
        self.learnt = true;
    }

    /// Every origin that the last poll held back was confirmed, or is shown all the same.
    pub(in crate::poller) fn settled(&mut self) {
        self.unconfirmed.clear();
    }
}

#[cfg(test)]
mod tests;
