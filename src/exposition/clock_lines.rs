//! Compressed lines that change with the clock.
//!
//! Between two scrapes, most ages differ in their last digits only. If the time between them is a
//! whole number of seconds, these digits are replaced in the compressed form, where each one has a
//! place and a width of its own. That takes a small part of the time of writing and compressing the
//! lines again.

use jiff::Timestamp;

use super::ages::{AGES, Ages, PlaceTimes, Since, age, push_start};
use super::checksum::{DigitChanges, Shift};
use super::deflate::{Content, DIGIT_BITS};
use super::gzip::{Compressor, DigitCodes, Fragment};
use super::numbers::{push_millis, push_whole};
use crate::metric_families::{self, Family};

/// The lines of some zones in the families of [`all`](super::ages::all).
#[derive(Debug, Default)]
pub(super) struct ClockLines {
    ages: [Option<AgeLines>; AGES.len()],
    stale: Option<StaleLines>,
}

impl ClockLines {
    /// After a change of the ages.
    pub(super) fn forget_ages(&mut self) {
        self.ages = Default::default();
    }

    /// After a change of what may be stale.
    pub(super) fn forget_stale(&mut self) {
        self.stale = None;
    }

    /// Updates the lines of these zones, which are given with their labels. `text` is a buffer.
    pub(super) fn advance<'a, Z>(
        &mut self,
        zones: &Z,
        now: Timestamp,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
    ) where
        Z: Iterator<Item = (&'a str, &'a Ages)> + Clone,
    {
        for (lines, (family, time)) in self.ages.iter_mut().zip(AGES) {
            let digits = compressor.digits();
            if !lines
                .as_mut()
                .is_some_and(|lines| lines.advance(now, digits))
            {
                let places = zones.clone().flat_map(|(_, ages)| &ages.places);
                *lines = Some(AgeLines::new(family, time, places, now, compressor, text));
            }
        }
        if !self.stale.as_ref().is_some_and(|lines| lines.hold_at(now)) {
            self.stale = Some(StaleLines::new(zones.clone(), now, compressor, text));
        }
    }

    /// The lines of the family at `index` of [`all`](super::ages::all). `None` if they are not compressed yet.
    pub(super) fn of(&self, index: usize) -> Option<&Fragment> {
        match self.ages.get(index) {
            Some(lines) => lines.as_ref().map(|lines| &lines.fragment),
            None => self.stale.as_ref().map(|lines| &lines.fragment),
        }
    }
}

/// Lines with ages as of a moment.
#[derive(Debug)]
struct AgeLines {
    fragment: Fragment,
    as_of: Timestamp,
    /// `None` if their digits cannot be replaced.
    values: Option<Box<[Value]>>,
}

/// Where the age of a line is.
#[derive(Debug)]
struct Value {
    /// Its whole seconds.
    seconds: u32,
    /// The bit at which the last digit of the seconds begins.
    units: u32,
    /// Of what follows that digit.
    shift: Shift,
}

impl AgeLines {
    fn new<'a>(
        family: &Family,
        time: Since,
        places: impl Iterator<Item = &'a PlaceTimes>,
        now: Timestamp,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
    ) -> Self {
        text.clear();
        let mut numbers = Vec::new();
        let mut seconds = Vec::new();
        // An age that is not negative only because it is never shown so does not grow yet.
        let mut all_grow = true;
        for place in places {
            push_start(text, family, &place.labels);
            let start = text.len();
            let millis = age(now, time(place));
            push_millis(text, millis);
            numbers.push(start..text.len());
            text.push(b'\n');
            seconds.push(u32::try_from(millis / 1000).ok());
            all_grow &= time(place) <= now;
        }
        let (fragment, starts) = compressor.with_numbers(text, &numbers);
        let starts = starts.filter(|_| all_grow);
        let values = starts.and_then(|starts| {
            let numbers = numbers.iter().zip(starts).zip(seconds);
            let mut shift = Shift::NONE;
            let mut end = text.len();
            let values = numbers.rev().map(|((number, bit), seconds)| {
                let seconds = seconds?;
                let before = digits(seconds) - 1;
                let units = number.start + before;
                shift = shift.and(end - (units + 1));
                end = units + 1;
                let bit = bit + before * usize::from(DIGIT_BITS);
                Some(Value {
                    seconds,
                    units: u32::try_from(bit).ok()?,
                    shift,
                })
            });
            values.collect()
        });
        Self {
            fragment,
            as_of: now,
            values,
        }
    }

    /// Replaces the digits that have changed. Returns whether that was possible; if not, the lines
    /// are no longer usable.
    fn advance(&mut self, now: Timestamp, digits: &DigitCodes) -> bool {
        let step = now.duration_since(self.as_of);
        if step.is_zero() {
            return true;
        }
        let Some(values) = &mut self.values else {
            return false;
        };
        let seconds = u32::try_from(step.as_secs());
        let (Ok(seconds), 0) = (seconds, step.subsec_nanos()) else {
            return false;
        };
        let mut changes = DigitChanges::default();
        for value in values {
            let Some(new) = value.seconds.checked_add(seconds) else {
                return false;
            };
            let (mut old_rest, mut new_rest) = (value.seconds, new);
            let mut at = value.units as usize;
            let mut place = 0;
            while old_rest != new_rest {
                if place > 0 && (old_rest == 0 || new_rest == 0) {
                    // The number has more digits now.
                    return false;
                }
                let change = digits.change(old_rest % 10, new_rest % 10);
                self.fragment.replace_digit(at, change);
                changes.change(place, change.text, value.shift);
                old_rest /= 10;
                new_rest /= 10;
                at = at.saturating_sub(DIGIT_BITS.into());
                place += 1;
            }
            value.seconds = new;
        }
        self.fragment.digits_replaced(&changes);
        self.as_of = now;
        true
    }
}

/// The number of digits of a number.
fn digits(number: u32) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Lines with numbers of stale mappings.
#[derive(Debug)]
struct StaleLines {
    fragment: Fragment,
    as_of: Timestamp,
    /// When a number grows; `None` if none does.
    until: Option<Timestamp>,
}

impl StaleLines {
    fn new<'a>(
        zones: impl Iterator<Item = (&'a str, &'a Ages)>,
        now: Timestamp,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
    ) -> Self {
        text.clear();
        let mut until: Option<Timestamp> = None;
        for (labels, ages) in zones {
            if let Some((count, next)) = ages.stale_at(now) {
                push_start(text, &metric_families::STALE_MAPPINGS, labels);
                push_whole(text, count as u64);
                text.push(b'\n');
                until = until.into_iter().chain(next).min();
            }
        }
        Self {
            fragment: compressor.fragment(text, Content::Lines),
            as_of: now,
            until,
        }
    }

    /// Whether the numbers are those as of `now`.
    fn hold_at(&self, now: Timestamp) -> bool {
        self.as_of <= now && self.until.is_none_or(|until| now <= until)
    }
}
