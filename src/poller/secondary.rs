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
/// A reading of these that failed, and may succeed by itself, is made again after this; the wait
/// doubles with each further failure, up to [`RARELY`]. It is also the time without any such
/// failure in the account that a reading before its hour waits for: while the API is down, a few
/// zones find that out for all.
const SOONER: Duration = Duration::from_mins(10);
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

/// When something that hardly ever changes is read of a zone.
#[derive(Debug, Default)]
struct Turn {
    asked: Option<Instant>,
    /// In a row, of those that may pass.
    failures: u32,
}

impl Turn {
    fn is_due(&self, trouble: &Trouble, now: Instant) -> bool {
        let sooner = self.failures.checked_sub(1).map(|earlier| {
            let factor = 1_u32.checked_shl(earlier).unwrap_or(u32::MAX);
            SOONER.saturating_mul(factor)
        });
        self.asked.is_none_or(|at| {
            let again = sooner.is_some_and(|wait| at + wait.min(RARELY) <= now);
            at + RARELY <= now || (again && trouble.is_over(now))
        })
    }

    fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    fn answered(&mut self, trouble: bool) {
        self.failures = if trouble {
            self.failures.saturating_add(1)
        } else {
            0
        };
    }
}

/// When a reading that is made rarely last failed, for any zone of an account, in a way that may
/// pass.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Instant>);

impl Trouble {
    pub(super) fn note(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    fn is_over(&self, now: Instant) -> bool {
        self.0.is_none_or(|at| at + SOONER <= now)
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
    /// Of the tiered cache settings.
    settings: Turn,
    /// Of the supported regions, by way of this zone.
    regions: Turn,
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
        settings: &Trouble,
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
            self.settings.ask(now);
        }
        if wanted.supported_regions {
            self.regions.ask(now);
        }
    }

    /// Takes the answers of a follow-up.
    pub(super) fn learn(&mut self, done: &mut FollowedUp, now: Instant) {
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
    pub(super) trouble: Trouble,
}

impl Regions {
    /// Any zone would do to read them, so after a failure that may pass they all wait.
    fn may_be_asked(&self, now: Instant) -> bool {
        let due = self.read.is_none_or(|at| at + RARELY <= now);
        due && !self.asking && self.trouble.is_over(now)
    }

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
        failure_of(Reason::Forbidden)
    }

    fn failure_of<T>(reason: Reason) -> Result<T, ApiError> {
        Err(ApiError {
            operation: Operation::DnsRecords,
            reason,
            detail: String::new(),
            status: None,
            codes: Vec::new(),
        })
    }

    fn wanted(secondary: &Secondary, regions: &Regions, settings: &Trouble, at: Instant) -> Wanted {
        secondary.wanted(&discovery(), EVERYTHING, regions, settings, at)
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
        let shown = |secondary: &Secondary, at| {
            let wanted = wanted(secondary, &regions, &Trouble::default(), at);
            (
                wanted.dns,
                wanted.load_balancers,
                wanted.tiered_cache,
                wanted.supported_regions,
            )
        };
        secondary.polled(BTreeSet::new());
        assert_eq!(shown(&secondary, start), (true, true, true, true));
        let all = wanted(&secondary, &regions, &Trouble::default(), start);
        secondary.following_up(all, start);
        assert_eq!(shown(&secondary, start), (false, false, false, false));
        secondary.polled(BTreeSet::new());
        let late = start + HOUR - MINUTE;
        assert_eq!(shown(&secondary, late), (true, true, false, false));
        assert_eq!(shown(&secondary, start + HOUR), (true, true, true, true));
    }

    /// Reads the settings and the regions, with these outcomes.
    fn follow_up(
        secondary: &mut Secondary,
        trouble: &mut Trouble,
        outcome: Result<bool, ApiError>,
        now: Instant,
    ) {
        let asked = Wanted {
            tiered_cache: true,
            supported_regions: true,
            ..Wanted::default()
        };
        secondary.following_up(asked, now);
        let mut done = FollowedUp {
            supported_regions: Some(outcome.clone().map(|_| None)),
            tiered_cache: Some(Ok(true)),
            smart_tiered_cache: Some(outcome),
            ..FollowedUp::default()
        };
        if done.has_settings_trouble() {
            trouble.note(now);
        }
        secondary.learn(&mut done, now);
    }

    #[test]
    fn a_failure_that_may_pass_is_made_up_for_before_the_hour_with_waits_that_double() {
        let start = Instant::now();
        let (mut secondary, mut trouble) = (Secondary::default(), Trouble::default());
        let asks = |secondary: &Secondary, trouble: &Trouble, at| {
            let wanted = wanted(secondary, &Regions::default(), trouble, at);
            assert_eq!(wanted.tiered_cache, wanted.supported_regions);
            wanted.tiered_cache
        };
        let passing = || failure_of(Reason::Timeout);
        let mut at = start;
        for (outcome, wait) in [
            (passing(), 10),
            (passing(), 20),
            (passing(), 40),
            (passing(), 60),
            (passing(), 60),
            (Ok(true), 60),
            (passing(), 10),
            // It will not mend by itself.
            (failure(), 60),
            (passing(), 10),
        ] {
            follow_up(&mut secondary, &mut trouble, outcome, at);
            let early = at + MINUTE * (wait - 1);
            assert!(!asks(&secondary, &trouble, early), "{wait}");
            at += MINUTE * wait;
            assert!(asks(&secondary, &trouble, at), "{wait}");
        }
    }

    #[test]
    fn while_readings_of_other_zones_fail_none_is_made_before_its_hour() {
        let start = Instant::now();
        let (mut secondary, mut trouble) = (Secondary::default(), Trouble::default());
        follow_up(
            &mut secondary,
            &mut trouble,
            failure_of(Reason::ServerError),
            start,
        );
        let mut regions = Regions::default();
        let asks = |regions: &Regions, trouble: &Trouble, at| {
            let wanted = wanted(&secondary, regions, trouble, at);
            (wanted.tiered_cache, wanted.supported_regions)
        };
        let again = start + SOONER;
        assert_eq!(asks(&regions, &trouble, again), (true, true));
        trouble.note(again - MINUTE);
        regions.trouble.note(again - MINUTE);
        assert_eq!(asks(&regions, &trouble, again), (false, false));
        assert_eq!(asks(&regions, &trouble, again + SOONER), (true, true));
        trouble.note(start + HOUR);
        regions.trouble.note(start + HOUR);
        // Nor are the regions, which any zone may ask for, at the hour.
        assert_eq!(asks(&regions, &trouble, start + HOUR), (true, false));
    }

    #[test]
    fn one_zone_asks_for_the_regions_of_all() {
        let start = Instant::now();
        let secondary = Secondary::default();
        let asks = |regions: &Regions, at| {
            wanted(&secondary, regions, &Trouble::default(), at).supported_regions
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
