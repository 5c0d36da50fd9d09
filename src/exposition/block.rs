//! The compressed lines of zones that are polled at about the same time.

use std::sync::Arc;

use jiff::Timestamp;

use super::ages::Ages;
use super::checksum::Checksum;
use super::clock_lines::ClockLines;
use super::deflate::Content;
use super::gzip::{Compressor, Fragment, joint_checksum};
use super::rendered::CachedText;
use super::{detail, zone_lines};
use crate::domain::ZoneId;
use crate::snapshot::{ZoneSlot, ZoneState};

/// Zones that are polled at about the same time. Their detail is compressed zone by zone, their other families together.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) zones: Vec<CachedZone>,
    /// The compressed lines of each family of [`zone_lines`], compressed on demand.
    fragments: [Option<Fragment>; zone_lines::FAMILIES],
    clock_lines: ClockLines,
    /// The combined checksum of the zones' fragments of each family of [`detail`]; `None` after one
    /// of them has changed.
    detail_checksums: Option<[Checksum; detail::FAMILIES]>,
}

/// A zone with what is rendered of it.
#[derive(Debug)]
pub(super) struct CachedZone {
    slot: Arc<ZoneSlot>,
    pub(super) rendered: CachedText,
    ages: Ages,
    /// The compressed lines of each family of [`detail`], compressed on demand.
    detail: Option<[Fragment; detail::FAMILIES]>,
}

impl Block {
    pub(super) fn new(zones: Vec<CachedZone>) -> Self {
        Self {
            zones,
            fragments: Default::default(),
            clock_lines: ClockLines::default(),
            detail_checksums: None,
        }
    }

    /// Whether these are the slots of its zones.
    pub(super) fn holds(&self, slots: &[Arc<ZoneSlot>]) -> bool {
        let own = self.zones.iter().map(|zone| Arc::as_ptr(&zone.slot));
        own.eq(slots.iter().map(Arc::as_ptr))
    }

    /// Updates the zones to the states in their slots.
    pub(super) fn refresh(&mut self) {
        for zone in &mut self.zones {
            if zone.slot.holds(&zone.rendered.state) {
                continue;
            }
            let before = zone.replace(zone.slot.load(), &mut self.clock_lines);
            for (index, fragment) in self.fragments.iter_mut().enumerate() {
                if before.lines.of(index) != zone.rendered.lines.of(index) {
                    *fragment = None;
                }
            }
        }
    }

    /// Compresses what has changed, except the detail. Takes the length of the text from `budget`.
    /// `text` is a buffer.
    pub(super) fn compress(
        &mut self,
        now: Timestamp,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
        budget: &mut usize,
    ) {
        for (index, fragment) in self.fragments.iter_mut().enumerate() {
            fragment.get_or_insert_with(|| {
                text.clear();
                for zone in &self.zones {
                    text.extend_from_slice(zone.rendered.lines.of(index).as_bytes());
                }
                *budget = budget.saturating_sub(text.len());
                compressor.fragment(text, Content::Lines)
            });
        }
        let zones = self.zones.iter().map(CachedZone::labels_and_ages);
        self.clock_lines.advance(&zones, now, compressor, text);
    }

    /// Compresses the detail that has changed. Takes the length of the text from `budget`, and stops
    /// when nothing is left of it. `text` is a buffer.
    pub(super) fn compress_detail(
        &mut self,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
        budget: &mut usize,
    ) {
        for zone in self.zones.iter_mut().filter(|zone| zone.detail.is_none()) {
            self.detail_checksums = None;
            if *budget == 0 {
                return;
            }
            zone.detail = Some(zone.rendered.each_detail(text, |text| {
                *budget = budget.saturating_sub(text.len());
                compressor.fragment(text, Content::Detail)
            }));
        }
        let zones = &self.zones;
        self.detail_checksums.get_or_insert_with(|| {
            std::array::from_fn(|index| {
                joint_checksum(zones.iter().filter_map(|zone| zone.detail(index)))
            })
        });
    }

    /// The compressed lines of the family at `index` of [`zone_lines::all`]. `None` if there are
    /// none, or they are not compressed yet.
    pub(super) fn lines(&self, index: usize) -> Option<&Fragment> {
        let fragment = self.fragments.get(index)?.as_ref();
        fragment.filter(|fragment| !fragment.is_empty())
    }

    /// The same for the family at `index` of [`ages::all`](super::ages::all).
    pub(super) fn clock_lines(&self, index: usize) -> Option<&Fragment> {
        let fragment = self.clock_lines.of(index);
        fragment.filter(|fragment| !fragment.is_empty())
    }

    /// The same for the family at `index` of [`detail::all`], with the combined checksum.
    pub(super) fn detail(
        &self,
        index: usize,
    ) -> Option<(Checksum, impl Iterator<Item = &Fragment>)> {
        let checksum = *self.detail_checksums.as_ref()?.get(index)?;
        let lines = self.zones.iter();
        let lines = lines.filter_map(move |zone| zone.detail(index));
        (!checksum.is_empty()).then_some((checksum, lines))
    }
}

impl CachedZone {
    pub(super) fn new(slot: Arc<ZoneSlot>) -> Self {
        let rendered = CachedText::new(slot.load());
        Self {
            slot,
            ages: Ages::of(&rendered.state, &rendered.labels),
            rendered,
            detail: None,
        }
    }

    pub(super) fn id(&self) -> &ZoneId {
        &self.slot.id
    }

    /// The same zone with another slot.
    pub(super) fn with_slot(self, slot: Arc<ZoneSlot>) -> Self {
        Self { slot, ..self }
    }

    pub(super) fn labels_and_ages(&self) -> (&str, &Ages) {
        (&self.rendered.labels, &self.ages)
    }

    /// Replaces the state and returns the old one.
    fn replace(&mut self, state: Arc<ZoneState>, clock_lines: &mut ClockLines) -> CachedText {
        let (old, same_detail) = self.rendered.replace(state);
        let new = &self.rendered;
        if !same_detail {
            self.detail = None;
        }
        if !same_detail || new.state.stale_after != old.state.stale_after {
            let ages = Ages::of(&new.state, &new.labels);
            if ages.places != self.ages.places {
                clock_lines.forget_ages();
            }
            clock_lines.forget_stale();
            self.ages = ages;
        }
        old
    }

    fn detail(&self, index: usize) -> Option<&Fragment> {
        self.detail.as_ref()?.get(index)
    }
}

#[cfg(test)]
impl Block {
    /// Replaces each fragment by one of these texts.
    pub(super) fn mark(&mut self, compressor: &mut Compressor, lines: &[u8], detail: &[u8]) {
        self.fragments = std::array::from_fn(|_| Some(compressor.fragment(lines, Content::Lines)));
        for zone in &mut self.zones {
            zone.detail = Some(std::array::from_fn(|_| {
                compressor.fragment(detail, Content::Detail)
            }));
        }
    }

    /// Whether every line is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        let mut ages = 0..super::ages::FAMILIES;
        self.fragments.iter().all(Option::is_some)
            && ages.all(|index| self.clock_lines.of(index).is_some())
            && self.zones.iter().all(|zone| zone.detail.is_some())
    }
}
