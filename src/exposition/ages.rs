//! The families that change with time: ages of mappings, and the number of stale ones.

use jiff::{SignedDuration, Timestamp};

use super::Format;
use super::numbers::{push_millis, push_whole};
use super::text::{header, joined_labels};
use super::zone_lines::by_place;
use crate::domain::Mapping;
use crate::metric_families::{self, Family};
use crate::snapshot::{StaleAfter, ZoneState};

/// The data for computing the ages of one zone at any time.
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
pub(super) fn push_families<'a, Z>(out: &mut Vec<u8>, format: Format, now: Timestamp, zones: &Z)
where
    Z: Iterator<Item = (&'a str, &'a Ages)> + Clone,
{
    let mut push_ages = |family: &Family, time: fn(&PlaceTimes) -> Timestamp| {
        let places = zones.clone().flat_map(|(_, ages)| &ages.places);
        let samples = places.map(|place| (&*place.labels, age(now, time(place))));
        push_family(out, format, family, samples, push_millis);
    };
    push_ages(&metric_families::OLDEST_MAPPING_AGE, |place| place.first);
    push_ages(&metric_families::NEWEST_MAPPING_AGE, |place| place.last);
    let stale = zones
        .clone()
        .filter_map(|(labels, ages)| Some((labels, ages.stale_at(now)? as u64)));
    let family = &metric_families::STALE_MAPPINGS;
    push_family(out, format, family, stale, push_whole);
}

/// Appends a family of samples with these rendered labels and values, unless there are none.
fn push_family<'a>(
    out: &mut Vec<u8>,
    format: Format,
    family: &Family,
    samples: impl Iterator<Item = (&'a str, u64)>,
    push_value: fn(&mut Vec<u8>, u64),
) {
    let mut samples = samples.peekable();
    if samples.peek().is_some() {
        out.extend_from_slice(header(format, family).as_bytes());
    }
    let start = [family.name, "{"].concat();
    for (labels, value) in samples {
        out.extend_from_slice(start.as_bytes());
        out.extend_from_slice(labels.as_bytes());
        out.extend_from_slice(b"} ");
        push_value(out, value);
        out.push(b'\n');
    }
}

/// The time since `time` in milliseconds. Never negative, even if the clock steps backwards or
/// Cloudflare's clock is ahead.
fn age(now: Timestamp, time: Timestamp) -> u64 {
    let age = now.duration_since(time);
    let seconds = u64::try_from(age.as_secs()).unwrap_or_default();
    let millis = u64::try_from(age.subsec_millis()).unwrap_or_default();
    seconds * 1000 + millis
}
