//! Rendered text that is kept between expositions, so that the cost of each one depends on what has
//! changed.
//!
//! A zone's lines are rendered when its state changes, and its detail is compressed when its
//! mappings change. The text of the detail, which is most of a large exposition, is not kept. The
//! other families of a single zone are too small to compress well, so a block of neighbouring zones
//! shares one fragment for each family.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use flate2::Crc;
use jiff::Timestamp;

use super::ages::{self, Ages};
use super::bodies::ReusableBuffer;
use super::gzip::{Compressor, Fragment, Member, joint_crc};
use super::plain::PlainText;
use super::text::{header, zone_labels};
use super::zone_lines::{self, ZoneLines};
use super::{Format, Settings, detail, exporter_lines, openmetrics};
use crate::domain::ZoneId;
use crate::snapshot::{Directory, ZoneSlot, ZoneState};

/// The number of zones whose small families are compressed together. A larger block compresses
/// better, but costs more when one of its zones changes.
const ZONES_PER_BLOCK: usize = 25;

/// The rendered state of all zones.
#[derive(Debug)]
pub(super) struct Cache {
    settings: Settings,
    directory: Arc<Directory>,
    blocks: Vec<Block>,
    headers: Headers,
    compressor: Compressor,
    /// The text that is rendered for each exposition. Kept as the buffer of the next one.
    live: Vec<u8>,
}

/// The compressed headers of the families of [`zone_lines`], then of [`detail`], in each format.
#[derive(Debug)]
struct Headers {
    text: Vec<Fragment>,
    openmetrics: Vec<Fragment>,
}

/// Neighbouring zones.
#[derive(Debug)]
struct Block {
    zones: Vec<CachedZone>,
    /// The compressed lines of each family of [`zone_lines`], compressed on demand.
    fragments: [Option<Fragment>; zone_lines::FAMILIES],
    /// The combined checksum of the zones' fragments of each family of [`detail`]; `None` after one
    /// of them has changed.
    detail_crcs: [Option<Crc>; detail::FAMILIES],
}

#[derive(Debug)]
struct CachedZone {
    id: ZoneId,
    rendered: CachedText,
    ages: Ages,
    /// The compressed lines of each family of [`detail`], compressed on demand.
    detail: [Option<Fragment>; detail::FAMILIES],
}

/// A state of a zone and its lines. The lines of the detail are rendered on demand.
#[derive(Debug)]
pub(super) struct RenderedZone {
    pub(super) state: Arc<ZoneState>,
    labels: String,
    pub(super) lines: ZoneLines,
    /// The length of the lines of each family of [`detail`], measured on demand.
    detail_lens: [OnceLock<usize>; detail::FAMILIES],
    is_cached: AtomicBool,
}

/// The rendered state in the cache. When it is dropped, only texts that are being sent may still
/// hold the state.
#[derive(Debug)]
pub(super) struct CachedText(Arc<RenderedZone>);

fn compressed_headers(format: Format, compressor: &mut Compressor) -> Vec<Fragment> {
    let families = zone_lines::all().chain(detail::all());
    let headers = families.map(|family| compressor.fragment(header(format, family).as_bytes()));
    headers.collect()
}

impl Cache {
    pub(super) fn new(settings: Settings) -> Self {
        let mut compressor = Compressor::new();
        let headers = Headers {
            text: compressed_headers(Format::Text, &mut compressor),
            openmetrics: compressed_headers(Format::OpenMetrics, &mut compressor),
        };
        Self {
            settings,
            directory: Arc::default(),
            blocks: Vec::new(),
            headers,
            compressor,
            live: Vec::new(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Updates the cache to the zones and states of `directory`.
    pub(super) fn refresh(&mut self, directory: Arc<Directory>) {
        if !Arc::ptr_eq(&self.directory, &directory) {
            rearrange(&mut self.blocks, &directory.zones);
        }
        let slots = directory.zones.chunks(ZONES_PER_BLOCK);
        for (block, slots) in self.blocks.iter_mut().zip(slots) {
            block.refresh(slots);
        }
        self.directory = directory;
    }

    /// The text as of `now`. `push_own` appends the metrics of the registry.
    pub(super) fn plain(
        &mut self,
        now: Timestamp,
        format: Format,
        push_own: impl FnOnce(&mut String),
    ) -> PlainText {
        self.write_live(now, format, push_own);
        let live = std::mem::take(&mut self.live);
        let zones = self.zones().map(|zone| zone.rendered.share());
        PlainText::new(format, self.settings.detail, zones.collect(), live)
    }

    /// The same text as one gzip member.
    pub(super) fn gzip(
        &mut self,
        now: Timestamp,
        format: Format,
        spare: ReusableBuffer,
        push_own: impl FnOnce(&mut String),
    ) -> Vec<u8> {
        self.write_live(now, format, push_own);
        self.compressed(format, spare)
    }

    /// Renders the families that are not cached: ages, families without zones, and the registry.
    fn write_live(&mut self, now: Timestamp, format: Format, push_own: impl FnOnce(&mut String)) {
        let mut out = std::mem::take(&mut self.live);
        out.clear();
        {
            let zones = self.zones();
            let zones = zones.map(|zone| (zone.rendered.labels.as_str(), &zone.ages));
            ages::push_families(&mut out, format, now, &zones);
        }
        let mut own = String::new();
        exporter_lines::push_families(&mut own, format, &self.directory, &self.settings.build);
        push_own(&mut own);
        if format == Format::OpenMetrics {
            own.push_str(openmetrics::EOF);
        }
        out.extend_from_slice(own.as_bytes());
        if out.capacity() / 4 > out.len() {
            out.shrink_to_fit();
        }
        self.live = out;
    }

    fn compressed(&mut self, format: Format, spare: ReusableBuffer) -> Vec<u8> {
        let mut text = Vec::new();
        for block in &mut self.blocks {
            block.compress(&mut self.compressor, &mut text);
            if self.settings.detail {
                block.compress_detail(&mut self.compressor, &mut text);
            }
        }
        let live = self.compressor.fragment(&self.live);

        let mut member = Member::new();
        let headers = match format {
            Format::Text => &self.headers.text,
            Format::OpenMetrics => &self.headers.openmetrics,
        };
        let (headers, detail_headers) = headers.split_at(zone_lines::FAMILIES);
        for (index, header) in headers.iter().enumerate() {
            let blocks = self.blocks.iter();
            let lines = blocks.filter_map(|block| block.fragments.get(index)?.as_ref());
            let mut lines = lines.filter(|fragment| !fragment.is_empty()).peekable();
            if lines.peek().is_some() {
                member.push(header);
            }
            for fragment in lines {
                member.push(fragment);
            }
        }
        for (index, header) in detail_headers.iter().enumerate() {
            let blocks = self.blocks.iter();
            let runs = blocks.filter_map(|block| block.detail(index));
            let mut runs = runs.filter(|(crc, _)| crc.amount() > 0).peekable();
            if runs.peek().is_some() {
                member.push(header);
            }
            for (crc, lines) in runs {
                member.push_all(lines, crc);
            }
        }
        member.push(&live);
        member.finish(spare)
    }

    fn zones(&self) -> impl Iterator<Item = &CachedZone> + Clone {
        self.blocks.iter().flat_map(|block| &block.zones)
    }
}

/// Arranges the zones in the order of `slots`. A block whose zones are the same is kept. Elsewhere
/// the rendered zones are moved.
fn rearrange(blocks: &mut Vec<Block>, slots: &[Arc<ZoneSlot>]) {
    let mut chunks = slots.chunks(ZONES_PER_BLOCK);
    let mut loose = HashMap::new();
    let mut unchanged: Vec<Option<Block>> = Vec::new();
    for block in blocks.drain(..) {
        if chunks.next().is_some_and(|chunk| block.holds(chunk)) {
            unchanged.push(Some(block));
        } else {
            unchanged.push(None);
            loose.extend(block.zones.into_iter().map(|zone| (zone.id.clone(), zone)));
        }
    }
    let mut unchanged = unchanged.into_iter();
    blocks.extend(slots.chunks(ZONES_PER_BLOCK).map(|chunk| {
        let block = unchanged.next().flatten();
        block.unwrap_or_else(|| Block {
            zones: chunk
                .iter()
                .map(|slot| {
                    loose
                        .remove(&slot.id)
                        .unwrap_or_else(|| CachedZone::new(slot))
                })
                .collect(),
            fragments: Default::default(),
            detail_crcs: Default::default(),
        })
    }));
}

impl Block {
    fn holds(&self, slots: &[Arc<ZoneSlot>]) -> bool {
        let ids = self.zones.iter().map(|zone| &zone.id);
        ids.eq(slots.iter().map(|slot| &slot.id))
    }

    /// Updates the zones to the states in `slots`, which are the slots of the same zones.
    fn refresh(&mut self, slots: &[Arc<ZoneSlot>]) {
        for (zone, slot) in self.zones.iter_mut().zip(slots) {
            let state = slot.load();
            if Arc::ptr_eq(&zone.rendered.state, &state) {
                continue;
            }
            let before = zone.replace(state);
            for (index, fragment) in self.fragments.iter_mut().enumerate() {
                if before.lines.of(index) != zone.rendered.lines.of(index) {
                    *fragment = None;
                }
            }
        }
    }

    /// Compresses the families that have changed, except the detail. `text` is a buffer.
    fn compress(&mut self, compressor: &mut Compressor, text: &mut Vec<u8>) {
        for (index, fragment) in self.fragments.iter_mut().enumerate() {
            fragment.get_or_insert_with(|| {
                text.clear();
                for zone in &self.zones {
                    text.extend_from_slice(zone.rendered.lines.of(index).as_bytes());
                }
                compressor.fragment(text)
            });
        }
    }

    /// Compresses the detail that has changed. `text` is a buffer.
    fn compress_detail(&mut self, compressor: &mut Compressor, text: &mut Vec<u8>) {
        for (index, crc) in self.detail_crcs.iter_mut().enumerate() {
            let mut new = false;
            for zone in &mut self.zones {
                new |= zone.compress_detail(index, compressor, text);
            }
            if new || crc.is_none() {
                let lines = self.zones.iter().filter_map(|zone| zone.detail(index));
                *crc = Some(joint_crc(lines));
            }
        }
    }

    /// The compressed lines of the family at `index` of [`detail::all`] with their combined
    /// checksum. `None` if they are not compressed yet.
    fn detail(&self, index: usize) -> Option<(&Crc, impl Iterator<Item = &Fragment>)> {
        let crc = self.detail_crcs.get(index)?.as_ref()?;
        let lines = self.zones.iter();
        Some((crc, lines.filter_map(move |zone| zone.detail(index))))
    }
}

impl CachedZone {
    fn new(slot: &ZoneSlot) -> Self {
        let rendered = CachedText::new(slot.load());
        Self {
            id: slot.id.clone(),
            ages: Ages::of(&rendered.state, &rendered.labels),
            rendered,
            detail: Default::default(),
        }
    }

    /// Replaces the state and returns the old one.
    fn replace(&mut self, state: Arc<ZoneState>) -> CachedText {
        let old = &self.rendered;
        let mut new = RenderedZone::new(state);
        let same_mappings = new.labels == old.labels
            && match (&new.state.data, &old.state.data) {
                (Some(new), Some(old)) => Arc::ptr_eq(&new.mappings, &old.mappings),
                (new, old) => new.is_none() && old.is_none(),
            };
        if same_mappings {
            new.detail_lens.clone_from(&old.detail_lens);
        } else {
            self.detail = Default::default();
        }
        if !same_mappings || new.state.stale_after != old.state.stale_after {
            self.ages = Ages::of(&new.state, &new.labels);
        }
        std::mem::replace(&mut self.rendered, CachedText(Arc::new(new)))
    }

    /// Compresses the lines of the family at `index` of [`detail::all`] unless they are compressed
    /// already. Returns whether it did.
    fn compress_detail(
        &mut self,
        index: usize,
        compressor: &mut Compressor,
        text: &mut Vec<u8>,
    ) -> bool {
        if self.detail(index).is_some() {
            return false;
        }
        text.clear();
        self.rendered.push_detail(text, index);
        if let Some(fragment) = self.detail.get_mut(index) {
            *fragment = Some(compressor.fragment(text));
        }
        true
    }

    fn detail(&self, index: usize) -> Option<&Fragment> {
        self.detail.get(index)?.as_ref()
    }
}

impl CachedText {
    pub(super) fn new(state: Arc<ZoneState>) -> Self {
        Self(Arc::new(RenderedZone::new(state)))
    }

    /// The rendered state for a text that is sent.
    pub(super) fn share(&self) -> Arc<RenderedZone> {
        Arc::clone(&self.0)
    }
}

impl Deref for CachedText {
    type Target = RenderedZone;

    fn deref(&self) -> &RenderedZone {
        &self.0
    }
}

impl Drop for CachedText {
    fn drop(&mut self) {
        self.0.is_cached.store(false, Ordering::Relaxed);
    }
}

impl RenderedZone {
    fn new(state: Arc<ZoneState>) -> Self {
        let labels = zone_labels(&state.zone);
        Self {
            lines: ZoneLines::write(&state, &labels),
            state,
            labels,
            detail_lens: Default::default(),
            is_cached: AtomicBool::new(true),
        }
    }

    /// Whether the cache still holds it.
    pub(super) fn is_cached(&self) -> bool {
        self.is_cached.load(Ordering::Relaxed)
    }

    /// The memory that it occupies without its mappings and findings, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + size_of::<ZoneState>() + self.labels.len() + self.lines.len()
    }

    /// Appends the lines of the family at `index` of [`detail::all`].
    pub(super) fn push_detail(&self, out: &mut Vec<u8>, index: usize) {
        if let Some(data) = &self.state.data {
            detail::push_lines(out, index, &data.mappings, &self.labels);
        }
    }

    /// The length of the lines of the family at `index` of [`detail::all`], in bytes.
    pub(super) fn detail_len(&self, index: usize) -> usize {
        let measure = || {
            let mut text = Vec::new();
            self.push_detail(&mut text, index);
            text.len()
        };
        let len = self.detail_lens.get(index);
        len.map_or(0, |len| *len.get_or_init(measure))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::tests::{SETTINGS, data, discovered, mapping, polled, slot};
    use super::*;
    use crate::findings::ZoneFindings;

    /// Three blocks; the last one is not full.
    const ZONES: usize = 60;
    const BLOCK_FRAGMENTS: usize = 3 * zone_lines::FAMILIES;

    fn zone(n: usize, region: &str) -> ZoneState {
        let mappings = vec![mapping("192.0.2.1", "aws", region, None)];
        polled(
            &format!("{n}"),
            "a.example",
            data(mappings, ZoneFindings::default()),
        )
    }

    /// Every zone, and a cache in which each fragment is replaced by a marker that differs from any
    /// rendered fragment.
    fn marked() -> (Vec<Arc<ZoneSlot>>, Cache) {
        let slots: Vec<_> = (0..ZONES).map(|n| slot(zone(n, "us-east-1"))).collect();
        let mut cache = Cache::new(SETTINGS);
        cache.refresh(listing(&slots));
        for block in &mut cache.blocks {
            block.fragments =
                std::array::from_fn(|_| Some(cache.compressor.fragment(b"kept block\n")));
            for zone in &mut block.zones {
                zone.detail =
                    std::array::from_fn(|_| Some(cache.compressor.fragment(b"kept detail\n")));
            }
        }
        (slots, cache)
    }

    fn listing(slots: &[Arc<ZoneSlot>]) -> Arc<Directory> {
        Arc::new(Directory {
            zones: slots.to_vec(),
            ..Directory::default()
        })
    }

    /// The number of block fragments, and of zones with detail, that were kept.
    fn kept(cache: &mut Cache, slots: &[Arc<ZoneSlot>]) -> (usize, usize) {
        cache.refresh(listing(slots));
        let mut text = String::new();
        let gzip = cache.compressed(Format::Text, ReusableBuffer::default());
        GzDecoder::new(&*gzip).read_to_string(&mut text).unwrap();
        let count = |what: &str| text.lines().filter(|line| *line == what).count();
        (count("kept block"), count("kept detail") / detail::FAMILIES)
    }

    #[test]
    fn the_memory_of_a_larger_exposition_is_given_back() {
        let (_, mut cache) = marked();
        cache.live.reserve(1 << 20);
        cache.write_live(Timestamp::UNIX_EPOCH, Format::Text, |_| {});
        let (kept, used) = (cache.live.capacity(), cache.live.len());
        assert!(used > 0 && kept < 5 * used, "{kept} for {used} bytes");
    }

    #[test]
    fn what_did_not_change_is_not_compressed_again() {
        let (slots, mut cache) = marked();
        assert_eq!(kept(&mut cache, &slots), (BLOCK_FRAGMENTS, ZONES));
    }

    #[test]
    fn a_poll_without_news_costs_one_family_of_one_block() {
        let (slots, mut cache) = marked();
        let state = slots[30].load();
        slots[30].publish(ZoneState {
            polls: state.polls + 1,
            ..(*state).clone()
        });
        assert_eq!(kept(&mut cache, &slots), (BLOCK_FRAGMENTS - 1, ZONES));
    }

    #[test]
    fn other_mappings_cost_the_detail_of_their_zone() {
        let (slots, mut cache) = marked();
        slots[30].publish(zone(30, "eu-west-1"));
        // Only the family that counts by region has changed.
        assert_eq!(kept(&mut cache, &slots), (BLOCK_FRAGMENTS - 1, ZONES - 1));
    }

    #[test]
    fn a_new_zone_costs_its_own_detail_and_the_blocks_behind_it() {
        let (mut slots, mut cache) = marked();
        slots.insert(30, slot(discovered("new", "a.example")));
        assert_eq!(kept(&mut cache, &slots), (zone_lines::FAMILIES, ZONES));
    }

    #[test]
    fn a_zone_that_went_costs_the_blocks_behind_it() {
        let (mut slots, mut cache) = marked();
        slots.remove(55);
        assert_eq!(
            kept(&mut cache, &slots),
            (2 * zone_lines::FAMILIES, ZONES - 1)
        );
    }
}
