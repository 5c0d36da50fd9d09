//! Whether the rate limit allows what the schedule asks for: pure arithmetic.

use std::time::Duration;

use crate::domain::AccountName;
use crate::findings::ExpectSettings;
use crate::poller::Settings;
use crate::snapshot::Directory;

/// Cloudflare lists at most this many mappings a page.
const MAPPINGS_PER_PAGE: usize = 100;
/// Cloudflare lists at most this many zones a page.
const ZONES_PER_PAGE: usize = 50;
/// Above this nobody would poll; a budget that is used up by listing zones alone has no answer.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// What one account's schedule asks of the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Requests a second of zones with an interval of their own, and of listing the zones.
    fixed: f64,
    /// Requests in one round of the zones with the common interval.
    round: f64,
}

impl Load {
    /// What polling the zones of one account needs, by what is known of them. A listing interval
    /// that is the common interval is taken to follow it.
    pub fn of(
        directory: &Directory,
        account: &AccountName,
        settings: &Settings,
        expect: &ExpectSettings,
    ) -> Self {
        let states = directory.zones.iter().map(|slot| slot.load());
        let states: Vec<_> = states.filter(|state| state.account == *account).collect();
        let follows = settings.discovery_interval == settings.interval;
        let mut load = Self::listing(
            states.len(),
            (!follows).then_some(settings.discovery_interval),
        );
        let beside = usize::from(expect.from_dns) + usize::from(expect.from_load_balancers);
        for state in states {
            let mappings = state.data.as_ref().map_or(0, |data| data.mappings.len());
            let own = (state.interval != settings.interval).then_some(state.interval);
            load.add_zone(mappings, beside, own);
        }
        load
    }

    /// Listing so many zones; `own_interval` where it is not the common one.
    pub fn listing(zones: usize, own_interval: Option<Duration>) -> Self {
        let mut load = Self::default();
        load.add(pages(zones, ZONES_PER_PAGE), own_interval);
        load
    }

    /// Adds a zone with so many calls beside its mappings; `own_interval` where it has one. A zone
    /// that was not read yet counts as one page.
    pub fn add_zone(&mut self, mappings: usize, beside: usize, own_interval: Option<Duration>) {
        self.add(pages(mappings, MAPPINGS_PER_PAGE), own_interval);
        if beside > 0 {
            self.add(pages(beside, 1), own_interval);
        }
    }

    fn add(&mut self, requests: f64, own_interval: Option<Duration>) {
        match own_interval {
            Some(interval) => self.fixed += requests / interval.as_secs_f64(),
            None => self.round += requests,
        }
    }

    /// The shortest common interval for which `budget` requests a `window` suffice, where the
    /// configured `interval` is too short; `None` where it is long enough.
    pub fn fitting_interval(
        &self,
        interval: Duration,
        budget: u32,
        window: Duration,
    ) -> Option<Duration> {
        let allowed = f64::from(budget) / window.as_secs_f64();
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
fn pages(rows: usize, per_page: usize) -> f64 {
    rows.div_ceil(per_page).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES_5: Duration = Duration::from_mins(5);

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
        // 2,000 requests a round; of 600 requests in five minutes 20 list the zones.
        assert_eq!(fitting.as_secs(), 1035);
        assert_eq!(load.fitting_interval(fitting, 600, MINUTES_5), None);
    }

    #[test]
    fn a_listing_that_follows_the_interval_is_stretched_with_it() {
        let mut load = Load::listing(8, None);
        (0..8).for_each(|_| load.add_zone(1, 2, None));
        // 25 requests a round, 60 in five minutes.
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
