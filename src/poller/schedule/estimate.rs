//! Estimates whether the schedule fits the rate limit. Pure arithmetic.

use std::collections::HashSet;
use std::time::Duration;

use crate::cloudflare::{MAPPINGS_PER_PAGE, URGENT_SHARE, ZONES_PER_PAGE};
use crate::domain::AccountName;
use crate::poller::Context;
use crate::snapshot::Directory;

/// Calls for the rules of a zone.
const RULES: usize = 3;
/// Calls for the Tiered Cache settings of a zone.
const SETTINGS: usize = 2;
/// The longest useful interval; also the result if listing the zones alone exceeds the budget.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// How often rules, settings and supported regions are read.
const HOURLY: Duration = Duration::from_hours(1);

/// The requests that an account's schedule needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Load {
    /// Requests per second that do not depend on the common interval.
    fixed: f64,
    /// Requests per round of the zones with the common interval.
    round: f64,
    /// Whether audit logs and the reads they trigger have their own part of the budget.
    has_reserve: bool,
}

impl Load {
    /// The demand of an account's zones, as far as they are known, and of `record_zones` other
    /// zones, whose records are read because hosts resolve through them. If the listing interval
    /// equals the common interval, it is assumed to follow it.
    pub(super) fn of(
        directory: &Directory,
        account: &AccountName,
        context: &Context,
        record_zones: usize,
    ) -> Self {
        let (settings, config) = (&context.settings, &context.evaluation);
        let expect = &config.expect;
        let states = directory.zones.iter().map(|slot| slot.load());
        let states: Vec<_> = states.filter(|state| state.account == *account).collect();
        let follows = settings.discovery_interval == settings.interval;
        let mut load = Self::listing(
            states.len(),
            (!follows).then_some(settings.discovery_interval),
        );
        load.has_reserve = config.audit_log.enabled;
        let beside = usize::from(expect.from_dns) + usize::from(expect.from_load_balancers);
        for state in &states {
            let mappings = state.mappings().len();
            let own = (state.interval != settings.interval).then_some(state.interval);
            load.add_zone(mappings, beside, own);
        }
        if expect.from_load_balancers {
            let owners = states.iter().filter_map(|state| state.zone.owner.as_ref());
            let owners: HashSet<_> = owners.collect();
            load.add(pages(owners.len(), 1), None);
        }
        load.add(pages(record_zones, 1), None);
        let hourly = RULES * usize::from(expect.from_rules)
            + SETTINGS * usize::from(config.verify.tiered_cache);
        load.add(pages(hourly * states.len(), 1), Some(HOURLY));
        // Verifying the token, and reading the regions once for all zones.
        let once = 1 + usize::from(config.verify.supported_regions);
        load.add(pages(once, 1), Some(HOURLY));
        load
    }

    /// Listing this many zones; `own_interval` is set if it differs from the common interval.
    fn listing(zones: usize, own_interval: Option<Duration>) -> Self {
        let mut load = Self::default();
        load.add(pages(zones.max(1), ZONES_PER_PAGE), own_interval);
        load
    }

    /// Adds a zone with `beside` calls besides its mappings; `own_interval` is set if it has one.
    /// An unread zone counts as one page.
    fn add_zone(&mut self, mappings: usize, beside: usize, own_interval: Option<Duration>) {
        self.add(pages(mappings.max(1), MAPPINGS_PER_PAGE), own_interval);
        self.add(pages(beside, 1), own_interval);
    }

    fn add(&mut self, requests: f64, own_interval: Option<Duration>) {
        match own_interval {
            Some(interval) => self.fixed += requests / interval.as_secs_f64(),
            None => self.round += requests,
        }
    }

    /// The shortest common interval that fits `budget` requests per `window`, if the configured
    /// `interval` is too short; `None` if it is long enough.
    pub(super) fn fitting_interval(
        &self,
        interval: Duration,
        budget: u32,
        window: Duration,
    ) -> Option<Duration> {
        let allowed = f64::from(budget) / window.as_secs_f64();
        let allowed = if self.has_reserve {
            allowed - allowed / f64::from(URGENT_SHARE)
        } else {
            allowed
        };
        if self.fixed + self.round / interval.as_secs_f64() <= allowed {
            return None;
        }
        let seconds = (self.round / (allowed - self.fixed)).ceil();
        let fits = seconds.is_finite() && seconds > 0.0 && seconds < LONGEST.as_secs_f64();
        Some(if fits {
            Duration::from_secs_f64(seconds)
        } else {
            LONGEST
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "page counts are far below 2^52")]
fn pages(rows: usize, per_page: u64) -> f64 {
    (rows as u64).div_ceil(per_page) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Zone, ZoneId};
    use crate::poller::EvaluationConfig;
    use crate::poller::tests::context;
    use crate::snapshot::{StaleAfter, ZoneSlot, ZoneState};

    const MINUTES_5: Duration = Duration::from_mins(5);

    fn name(text: &str) -> AccountName {
        AccountName::parse(text).unwrap()
    }

    /// Zones of `a` and `b` in two Cloudflare accounts; `a` polls zones of both.
    fn directory() -> Directory {
        let zone = |number: usize, account: &str, owner: &str| {
            let id = ZoneId::parse(&format!("zone{number}")).unwrap();
            let found = Zone {
                owner: Some(owner.into()),
                ..Zone::unknown(id.clone())
            };
            let state = ZoneState::new(found, name(account), MINUTES_5, StaleAfter::Never);
            Arc::new(ZoneSlot::new(id, state))
        };
        Directory {
            zones: vec![
                zone(1, "b", "one"),
                zone(2, "a", "one"),
                zone(3, "a", "one"),
                zone(4, "a", "two"),
            ],
            ..Directory::default()
        }
    }

    type Change = fn(&mut EvaluationConfig);

    /// Requests of an account in five minutes.
    fn requests(account: &str, change: Change, record_zones: usize) -> f64 {
        let mut context = context();
        context.settings.interval = MINUTES_5;
        context.settings.discovery_interval = MINUTES_5;
        change(&mut context.evaluation);
        let load = Load::of(&directory(), &name(account), &context, record_zones);
        load.fixed * MINUTES_5.as_secs_f64() + load.round
    }

    #[test]
    fn everything_that_is_read_counts() {
        // One page of the zone list, the mappings of three zones, and an hourly verification.
        let usual = 1.0 + 3.0 + 1.0 / 12.0;
        let of_a = |change: Change, records| requests("a", change, records) - usual;
        assert!(of_a(|_| {}, 0).abs() < 1e-9);
        assert!(
            (of_a(|_| {}, 7) - 7.0).abs() < 1e-9,
            "records of other zones"
        );
        let cases: [(&str, Change, f64); 5] = [
            ("records", |config| config.expect.from_dns = true, 3.0),
            (
                "load balancers, and the pools of both Cloudflare accounts",
                |config| config.expect.from_load_balancers = true,
                3.0 + 2.0,
            ),
            (
                "three kinds of rules an hour",
                |config| config.expect.from_rules = true,
                3.0 * 3.0 / 12.0,
            ),
            (
                "two settings an hour",
                |config| config.verify.tiered_cache = true,
                3.0 * 2.0 / 12.0,
            ),
            (
                "the regions, once for all zones",
                |config| config.verify.supported_regions = true,
                1.0 / 12.0,
            ),
        ];
        for (what, change, more) in cases {
            let seen = of_a(change, 0);
            assert!((seen - more).abs() < 1e-9, "{what}: {seen} and not {more}");
        }
    }

    #[test]
    fn audit_logs_leave_polls_four_fifths_of_the_budget() {
        let mut load = Load::listing(1, None);
        load.has_reserve = true;
        load.round = 60.0;
        // 60 of 100 requests fit besides 20 for audit logs, but 95 do not.
        assert_eq!(load.fitting_interval(MINUTES_5, 100, MINUTES_5), None);
        load.round = 95.0;
        let fitting = load.fitting_interval(MINUTES_5, 100, MINUTES_5);
        assert_eq!(fitting, Some(Duration::from_secs(357)));
    }

    fn load(zones: usize, mappings: usize) -> Load {
        let mut load = Load::listing(zones, Some(MINUTES_5));
        (0..zones).for_each(|_| load.add_zone(mappings, 0, None));
        load
    }

    #[test]
    fn a_schedule_within_the_budget_needs_no_other_interval() {
        // 500 zones and 10 pages of the zone list every five minutes.
        assert_eq!(
            load(500, 100).fitting_interval(MINUTES_5, 600, MINUTES_5),
            None
        );
    }

    #[test]
    fn a_schedule_beyond_the_budget_is_told_which_interval_fits() {
        let load = load(1000, 150);
        let fitting = load.fitting_interval(MINUTES_5, 600, MINUTES_5).unwrap();
        // 2,000 requests per round; 20 of 600 requests in five minutes list the zones.
        assert_eq!(fitting.as_secs(), 1035);
        assert_eq!(load.fitting_interval(fitting, 600, MINUTES_5), None);
    }

    #[test]
    fn a_listing_that_follows_the_interval_is_stretched_with_it() {
        let mut load = Load::listing(8, None);
        (0..8).for_each(|_| load.add_zone(1, 2, None));
        // 25 requests per round, 60 in five minutes.
        let fitting = load.fitting_interval(Duration::from_secs(5), 60, MINUTES_5);
        assert_eq!(fitting, Some(Duration::from_secs(125)));
    }

    #[test]
    fn a_budget_that_nothing_fits_has_a_bounded_answer() {
        let mut load = load(1, 1);
        load.add_zone(3500, 0, Some(Duration::from_millis(100)));
        assert_eq!(
            load.fitting_interval(MINUTES_5, 600, MINUTES_5),
            Some(LONGEST)
        );
    }
}
