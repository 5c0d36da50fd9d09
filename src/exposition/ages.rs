//! The families that change with time: ages of mappings, and the number of stale ones.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Format;
use super::text::{Samples, WholeMillis, joined_labels, push_family};
use super::zone_lines::by_place;
use crate::domain::Mapping;
use crate::metric_families::{self, Family};
use crate::snapshot::{StaleAfter, ZoneState};

/// What is needed to compute the ages of one zone at any time.
#[derive(Debug, Default)]
pub(super) struct Ages {
    places: Vec<PlaceTimes>,
    /// The times at which the mappings were modified, ascending, and the threshold. `None` if
    /// mappings are never stale or not known.
    stale: Option<(Box<[Timestamp]>, SignedDuration)>,
}

/// When the mappings of one vendor and region were modified.
#[derive(Debug)]
struct PlaceTimes {
    /// The rendered labels `zone`, `zone_id`, `vendor` and `region`.
    labels: Box<str>,
    first: Timestamp,
    last: Timestamp,
}

impl Ages {
    /// Extracts the times from a zone's state. `labels` are the rendered labels of the zone.
    pub(super) fn of(zone: &ZoneState, labels: &str) -> Self {
        let Some(data) = &zone.data else {
            return Self::default();
        };
        let mappings = data.mappings.as_slice();
        let places = by_place(mappings)
            .into_iter()
            .filter_map(|((vendor, region), mappings)| {
                let times = sorted_times(mappings);
                let place = [vendor.as_str(), region.as_str()];
                Some(PlaceTimes {
                    labels: joined_labels(&metric_families::OLDEST_MAPPING_AGE, labels, &place),
                    first: *times.first()?,
                    last: *times.last()?,
                })
            })
            .collect();
        let stale = match zone.stale_after {
            StaleAfter::Never => None,
            // A threshold that is out of range is never exceeded.
            StaleAfter::Age(threshold) => Some((
                sorted_times(mappings),
                SignedDuration::try_from(threshold).unwrap_or(SignedDuration::MAX),
            )),
        };
        Self { places, stale }
    }

    /// How many mappings are older than the threshold.
    fn stale_at(&self, now: Timestamp) -> Option<usize> {
        let (times, threshold) = self.stale.as_ref()?;
        Some(times.partition_point(|time| now.duration_since(*time) > *threshold))
    }
}

fn sorted_times<'a>(mappings: impl IntoIterator<Item = &'a Mapping>) -> Box<[Timestamp]> {
    let times = mappings
        .into_iter()
        .filter_map(|mapping| mapping.modified_on);
    let mut times: Box<[_]> = times.collect();
    times.sort_unstable();
    times
}

/// Appends the families of all zones, which are given with their rendered labels.
pub(super) fn push_families<'a, Z>(out: &mut String, format: Format, now: Timestamp, zones: &Z)
where
    Z: Iterator<Item = (&'a str, &'a Ages)> + Clone,
{
    let mut push_ages = |family: &'static Family, time: fn(&PlaceTimes) -> Timestamp| {
        push_family(out, format, family, |out| {
            let mut samples = Samples::new(out, family, "");
            for place in zones.clone().flat_map(|(_, ages)| &ages.places) {
                samples.add_labelled(&place.labels, age(now, time(place)));
            }
        });
    };
    push_ages(&metric_families::OLDEST_MAPPING_AGE, |place| place.first);
    push_ages(&metric_families::NEWEST_MAPPING_AGE, |place| place.last);
    push_family(out, format, &metric_families::STALE_MAPPINGS, |out| {
        let mut samples = Samples::new(out, &metric_families::STALE_MAPPINGS, "");
        for (labels, ages) in zones.clone() {
            if let Some(stale) = ages.stale_at(now) {
                samples.add_labelled(labels, stale);
            }
        }
    });
}

/// The time since `time`, to the millisecond. Never negative, even if the clock steps backwards or
/// Cloudflare's clock is ahead.
fn age(now: Timestamp, time: Timestamp) -> WholeMillis {
    let age = Duration::try_from(now.duration_since(time)).unwrap_or_default();
    WholeMillis(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}
