//! The families that change with time: ages of mappings, and the number of stale ones.

use jiff::{SignedDuration, Timestamp};

use super::Format;
use super::numbers::{push_millis, push_whole};
use super::text::{header, joined_labels};
use super::zone_lines::by_place;
use crate::domain::Mapping;
use crate::metric_families::{self, Family};
use crate::snapshot::{StaleAfter, ZoneState};

/// The time since which an age counts.
pub(super) type Since = fn(&PlaceTimes) -> Timestamp;

/// The families of ages.
pub(super) const AGES: [(&Family, Since); 2] = [
    (&metric_families::OLDEST_MAPPING_AGE, |place| place.first),
    (&metric_families::NEWEST_MAPPING_AGE, |place| place.last),
];

/// The number of families.
pub(super) const FAMILIES: usize = AGES.len() + 1;

/// The families in the order of the exposition: those of ages, then the stale mappings.
pub(super) fn all() -> impl ExactSizeIterator<Item = &'static Family> {
    let families: [&Family; FAMILIES] = [AGES[0].0, AGES[1].0, &metric_families::STALE_MAPPINGS];
    families.into_iter()
}

/// The data for computing the ages of one zone at any time.
#[derive(Debug, Default)]
pub(super) struct Ages {
    pub(super) places: Box<[PlaceTimes]>,
    /// The times at which the mappings were modified, ascending, and the threshold. `None` if
    /// mappings are never stale or not known.
    stale: Option<(Box<[Timestamp]>, SignedDuration)>,
}

/// When the mappings of one vendor and region were modified.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlaceTimes {
    /// The rendered labels `zone`, `zone_id`, `vendor` and `region`.
    pub(super) labels: Box<str>,
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

    /// How many mappings are older than the threshold, and until when. `None` if mappings are never
    /// stale or not known.
    pub(super) fn stale_at(&self, now: Timestamp) -> Option<(usize, Option<Timestamp>)> {
        let (times, threshold) = self.stale.as_ref()?;
        let count = times.partition_point(|time| now.duration_since(*time) > *threshold);
        let next = times.get(count);
        let until = next.and_then(|next| next.checked_add(*threshold).ok());
        Some((count, until))
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
    for (family, time) in AGES {
        let places = zones.clone().flat_map(|(_, ages)| &ages.places);
        let samples = places.map(|place| (&*place.labels, age(now, time(place))));
        push_family(out, format, family, samples, push_millis);
    }
    let stale = zones.clone().filter_map(|(labels, ages)| {
        let (count, _) = ages.stale_at(now)?;
        Some((labels, count as u64))
    });
    push_family(
        out,
        format,
        &metric_families::STALE_MAPPINGS,
        stale,
        push_whole,
    );
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
    for (labels, value) in samples {
        push_start(out, family, labels);
        push_value(out, value);
        out.push(b'\n');
    }
}

/// Appends a line up to its value.
pub(super) fn push_start(out: &mut Vec<u8>, family: &Family, labels: &str) {
    for piece in [family.name, "{", labels, "} "] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The time since `time` in milliseconds. Never negative, even if the clock steps backwards or
/// Cloudflare's clock is ahead.
pub(super) fn age(now: Timestamp, time: Timestamp) -> u64 {
    let age = now.duration_since(time);
    let seconds = u64::try_from(age.as_secs()).unwrap_or_default();
    let millis = u64::try_from(age.subsec_millis()).unwrap_or_default();
    seconds * 1000 + millis
}
