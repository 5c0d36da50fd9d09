//! What is known of a zone beside its mappings, and of an account beside its zones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::follow_up::{FollowedUp, Wanted};
use crate::cloudflare::ApiError;
use crate::domain::OriginIp;
use crate::findings::{
    Candidates, Discovered, ExpectSettings, SupportedRegions, TieredCache, VerifySettings,
};

/// Settings and supported regions hardly ever change, and each costs a request a zone.
const RARELY: Duration = Duration::from_hours(1);
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
    pub(super) queued: bool,
    /// DNS records and load balancers are to be read again.
    origins_due: bool,
    /// Something that the findings depend on has changed.
    judge_again: bool,
    /// Something was learnt since the poll that is under way began.
    learnt: bool,
}

impl Secondary {
    pub(super) fn discovered(&self, now: Instant, retain: Duration) -> Discovered {
        Discovered {
            dns: self.dns.unless_failing(now, retain).cloned(),
            load_balancers: self.load_balancers.unless_failing(now, retain).cloned(),
        }
    }

    pub(super) fn tiered_cache(&self, now: Instant, retain: Duration) -> TieredCache {
        let keep = KEEP_SETTINGS.max(retain);
        TieredCache {
            enabled: self.tiered_cache.unless_older(now, keep).copied(),
            smart_enabled: self.smart_tiered_cache.unless_older(now, keep).copied(),
        }
    }

    pub(super) fn unconfirmed(&self) -> &BTreeSet<OriginIp> {
        &self.unconfirmed
    }

    /// Other expectations and checks are in force: what is not asked for any more is forgotten,
    /// the rest is read again.
    pub(super) fn reconfigure(&mut self, expect: &ExpectSettings, verify: VerifySettings) {
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
    pub(super) fn ask_for_judgement(&mut self) {
        self.judge_again = true;
    }

    /// Whether the findings are out of date, or hold back origins that nobody has confirmed.
    pub(super) fn needs_judgement(&self) -> bool {
        self.judge_again || !self.unconfirmed.is_empty()
    }

    /// What a follow-up is to read now.
    pub(super) fn wanted(
        &self,
        expect: &ExpectSettings,
        verify: VerifySettings,
        regions: &Regions,
        now: Instant,
    ) -> Wanted {
        Wanted {
            dns: expect.from_dns && self.origins_due,
            load_balancers: expect.from_load_balancers && self.origins_due,
            tiered_cache: verify.tiered_cache && due(self.settings_asked, now),
            supported_regions: verify.supported_regions
                && due(self.regions_asked, now)
                && !regions.asking
                && due(regions.read, now),
        }
    }

    /// A poll begins.
    pub(super) fn polling(&mut self) {
        self.learnt = false;
    }

    /// Takes note of a good poll that found these origins missing for the first time.
    pub(super) fn polled(&mut self, unconfirmed: BTreeSet<OriginIp>) {
        self.unconfirmed = unconfirmed;
        self.origins_due = true;
    }

    /// Whether the judgement of the poll that has just ended is out of date.
    pub(super) fn has_learnt(&mut self) -> bool {
        std::mem::take(&mut self.learnt)
    }

    /// A follow-up begins. The unconfirmed origins stay until it has settled them: a poll that
    /// ends before shows them as missing.
    pub(super) fn following_up(&mut self, wanted: Wanted, now: Instant) {
        self.judge_again = false;
        self.origins_due = false;
        if wanted.tiered_cache {
            self.settings_asked = Some(now);
        }
        if wanted.supported_regions {
            self.regions_asked = Some(now);
        }
    }

    /// Takes the answers of a follow-up.
    pub(super) fn learn(&mut self, done: &mut FollowedUp, now: Instant) {
        self.dns.take(done.dns.take(), now);
        self.load_balancers.take(done.load_balancers.take(), now);
        self.tiered_cache.take(done.tiered_cache.take(), now);
        self.smart_tiered_cache
            .take(done.smart_tiered_cache.take(), now);
        self.learnt = true;
    }

    /// Every origin that the last poll held back was confirmed, or is shown all the same.
    pub(super) fn settled(&mut self) {
        self.unconfirmed.clear();
    }
}

/// An account's supported regions.
#[derive(Debug, Default)]
pub(super) struct Regions {
    pub(super) known: Option<Arc<SupportedRegions>>,
    read: Option<Instant>,
    /// A follow-up is asking for them.
    pub(super) asking: bool,
}

impl Regions {
    /// Takes the list, and says whether it is another than before.
    pub(super) fn learn(&mut self, regions: SupportedRegions, now: Instant) -> bool {
        self.read = Some(now);
        let changed = self.known.as_deref() != Some(&regions);
        if changed {
            self.known = Some(Arc::new(regions));
        }
        changed
    }
}

fn due(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|at| at + RARELY <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::{Operation, Reason};

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);
    const EVERYTHING: VerifySettings = VerifySettings {
        supported_regions: true,
        tiered_cache: true,
    };

    fn failure<T>() -> Result<T, ApiError> {
        Err(ApiError {
            operation: Operation::DnsRecords,
            reason: Reason::Forbidden,
            detail: String::new(),
            status: Some(403),
            codes: Vec::new(),
        })
    }

    fn discovery() -> ExpectSettings {
        ExpectSettings {
            from_dns: true,
            from_load_balancers: true,
            ..ExpectSettings::default()
        }
    }

    #[test]
    fn what_dns_named_stays_until_reading_it_has_failed_for_the_retention() {
        let start = Instant::now();
        let mut secondary = Secondary::default();
        let known = |secondary: &Secondary, at, retain| {
            let discovered = secondary.discovered(at, retain);
            (
                discovered.dns.is_some(),
                discovered.load_balancers.is_some(),
            )
        };
        assert_eq!(known(&secondary, start, HOUR), (false, false));
        secondary.dns.take(Some(Ok(Candidates::default())), start);
        // It was not read since, so nothing speaks against it, however short the retention.
        assert!(known(&secondary, start + HOUR * 9, Duration::ZERO).0);
        secondary.dns.take(Some(failure()), start + HOUR);
        secondary.dns.take(Some(failure()), start + HOUR + MINUTE);
        assert!(!known(&secondary, start + HOUR, Duration::ZERO).0);
        assert!(known(&secondary, start + HOUR * 2 - MINUTE, HOUR).0);
        assert!(!known(&secondary, start + HOUR * 2, HOUR).0);
        secondary
            .dns
            .take(Some(Ok(Candidates::default())), start + HOUR * 3);
        assert!(known(&secondary, start + HOUR * 3, Duration::ZERO).0);
    }

    #[test]
    fn a_tiered_cache_setting_is_kept_for_two_hours_or_the_retention() {
        let start = Instant::now();
        let mut secondary = Secondary::default();
        secondary.tiered_cache.take(Some(Ok(true)), start);
        secondary.tiered_cache.take(Some(failure()), start + HOUR);
        secondary.smart_tiered_cache.take(Some(failure()), start);
        let shown = |after, retain| secondary.tiered_cache(start + after, retain).enabled;
        assert_eq!(shown(MINUTE * 119, Duration::ZERO), Some(true));
        assert_eq!(shown(HOUR * 2, HOUR), None);
        assert_eq!(shown(MINUTE * 179, HOUR * 3), Some(true));
        assert_eq!(secondary.tiered_cache(start, HOUR).smart_enabled, None);
    }

    #[test]
    fn settings_and_regions_are_asked_for_once_an_hour_and_origins_after_each_poll() {
        let start = Instant::now();
        let mut secondary = Secondary::default();
        let regions = Regions::default();
        let wanted = |secondary: &Secondary, at| {
            let wanted = secondary.wanted(&discovery(), EVERYTHING, &regions, at);
            (
                wanted.dns,
                wanted.load_balancers,
                wanted.tiered_cache,
                wanted.supported_regions,
            )
        };
        secondary.polled(BTreeSet::new());
        assert_eq!(wanted(&secondary, start), (true, true, true, true));
        let all = secondary.wanted(&discovery(), EVERYTHING, &regions, start);
        secondary.following_up(all, start);
        assert_eq!(wanted(&secondary, start), (false, false, false, false));
        secondary.polled(BTreeSet::new());
        let late = start + HOUR - MINUTE;
        assert_eq!(wanted(&secondary, late), (true, true, false, false));
        assert_eq!(wanted(&secondary, start + HOUR), (true, true, true, true));
    }

    #[test]
    fn one_zone_asks_for_the_regions_of_all() {
        let start = Instant::now();
        let secondary = Secondary::default();
        let asks = |regions: &Regions, at| {
            let wanted = secondary.wanted(&ExpectSettings::default(), EVERYTHING, regions, at);
            wanted.supported_regions
        };
        let mut regions = Regions::default();
        assert!(asks(&regions, start));
        regions.asking = true;
        assert!(!asks(&regions, start));
        regions.asking = false;
        assert!(regions.learn(SupportedRegions::default(), start));
        assert!(!regions.learn(SupportedRegions::default(), start));
        assert!(!asks(&regions, start + HOUR - MINUTE));
        assert!(asks(&regions, start + HOUR));
    }

    #[test]
    fn origins_that_a_poll_held_back_wait_for_a_follow_up_to_settle_them() {
        let mut secondary = Secondary::default();
        assert!(!secondary.needs_judgement());
        let ip = OriginIp::parse("192.0.2.1").unwrap();
        secondary.polled([ip].into());
        secondary.following_up(Wanted::default(), Instant::now());
        assert!(secondary.needs_judgement());
        assert!(secondary.unconfirmed().contains(&ip));
        secondary.settled();
        assert!(!secondary.needs_judgement());
    }

    #[test]
    fn what_a_follow_up_learns_during_a_poll_is_noticed_once() {
        let mut secondary = Secondary::default();
        secondary.learn(&mut FollowedUp::default(), Instant::now());
        secondary.polling();
        assert!(!secondary.has_learnt());
        secondary.learn(&mut FollowedUp::default(), Instant::now());
        assert!(secondary.has_learnt());
        assert!(!secondary.has_learnt());
    }
}
