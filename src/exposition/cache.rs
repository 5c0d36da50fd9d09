//! What is kept between expositions, so that the cost of each one depends on what has changed.
//!
//! A zone's lines are rendered when its state changes, and its detail is compressed when its
//! mappings change. The text of the detail, which is most of a large exposition, is not kept. The
//! other families of a single zone are too small to compress well, so a block of zones that are polled
//! at about the same time shares one fragment for each family.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::block::{Block, CachedZone};
use super::bodies::ReusableBuffer;
use super::deflate::Content;
use super::gzip::{Compressor, Fragment, Member};
use super::plain::PlainText;
use super::text::header;
use super::{Format, Settings, ages, detail, exporter_lines, openmetrics, zone_lines};
use crate::metric_families::Family;
use crate::snapshot::{Directory, ZoneSlot};

/// The number of zones whose small families are compressed together. A larger block compresses
/// better, but costs more when one of its zones changes.
const ZONES_PER_BLOCK: usize = 25;

/// The rendered state of all zones.
#[derive(Debug)]
pub(super) struct Cache {
    settings: Settings,
    directory: Arc<Directory>,
    blocks: Vec<Block>,
    headers: [Headers; 2],
    compressor: Compressor,
    /// The text that is rendered for each exposition. Kept as the buffer of the next one.
    live: Vec<u8>,
    /// Whether a compressed exposition was rendered.
    is_gzip_used: bool,
}

/// The compressed headers of families in one format.
#[derive(Debug)]
struct Headers {
    /// Of [`zone_lines::all`].
    lines: Vec<Fragment>,
    /// Of [`detail::all`].
    detail: Vec<Fragment>,
    /// Of [`ages::all`].
    clock_lines: Vec<Fragment>,
}

impl Headers {
    fn new(format: Format, compressor: &mut Compressor) -> Self {
        let mut compressed = |families: &mut dyn Iterator<Item = &'static Family>| {
            let headers = families.map(|family| header(format, family));
            headers
                .map(|header| compressor.fragment(header.as_bytes(), Content::Lines))
                .collect()
        };
        Self {
            lines: compressed(&mut zone_lines::all()),
            detail: compressed(&mut detail::all()),
            clock_lines: compressed(&mut ages::all()),
        }
    }
}

impl Cache {
    pub(super) fn new(settings: Settings) -> Self {
        let mut compressor = Compressor::new();
        let formats = [Format::Text, Format::OpenMetrics];
        Self {
            settings,
            directory: Arc::default(),
            blocks: Vec::new(),
            headers: formats.map(|format| Headers::new(format, &mut compressor)),
            compressor,
            live: Vec::new(),
            is_gzip_used: false,
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Updates the cache to the zones and states of `directory`.
    pub(super) fn refresh(&mut self, directory: Arc<Directory>) {
        if !Arc::ptr_eq(&self.directory, &directory) {
            rearrange(&mut self.blocks, &in_blocks(&directory.zones));
            self.directory = directory;
        }
        for block in &mut self.blocks {
            block.refresh();
        }
    }

    pub(super) fn is_gzip_used(&self) -> bool {
        self.is_gzip_used
    }

    /// Compresses what has changed, in the blocks from the one at `start` on, up to about `budget`
    /// bytes of text. Returns the block at which to go on, or `None` if all are done.
    pub(super) fn prepare(
        &mut self,
        start: usize,
        now: Timestamp,
        mut budget: usize,
    ) -> Option<usize> {
        let mut text = Vec::new();
        for (index, block) in self.blocks.iter_mut().enumerate().skip(start) {
            block.compress(now, &mut self.compressor, &mut text, &mut budget);
            if self.settings.detail {
                block.compress_detail(&mut self.compressor, &mut text, &mut budget);
            }
            if budget == 0 {
                return Some(index);
            }
        }
        None
    }

    /// The text as of `now`. `push_own` appends the metrics of the registry.
    pub(super) fn plain(
        &mut self,
        now: Timestamp,
        format: Format,
        push_own: impl FnOnce(&mut String),
    ) -> PlainText {
        let mut live = Vec::new();
        {
            let zones = self.zones().map(CachedZone::labels_and_ages);
            ages::push_families(&mut live, format, now, &zones);
        }
        self.push_live(&mut live, format, push_own);
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
        self.is_gzip_used = true;
        let mut live = std::mem::take(&mut self.live);
        live.clear();
        self.push_live(&mut live, format, push_own);
        let compressed = self.compressed(now, format, &live, spare);
        self.live = live;
        compressed
    }

    /// Renders the families without zones and the registry.
    fn push_live(&self, out: &mut Vec<u8>, format: Format, push_own: impl FnOnce(&mut String)) {
        let mut own = String::new();
        exporter_lines::push_families(&mut own, format, &self.directory, &self.settings.build);
        push_own(&mut own);
        if format == Format::OpenMetrics {
            own.push_str(openmetrics::EOF);
        }
        out.extend_from_slice(own.as_bytes());
    }

    fn compressed(
        &mut self,
        now: Timestamp,
        format: Format,
        live: &[u8],
        spare: ReusableBuffer,
    ) -> Vec<u8> {
        self.prepare(0, now, usize::MAX);
        let live = self.compressor.fragment(live, Content::Lines);

        let mut member = Member::new();
        let [text_headers, openmetrics_headers] = &self.headers;
        let headers = match format {
            Format::Text => text_headers,
            Format::OpenMetrics => openmetrics_headers,
        };
        let blocks = self.blocks.iter();
        for (index, header) in headers.lines.iter().enumerate() {
            let lines = blocks.clone().filter_map(|block| block.lines(index));
            member.push_family(header, lines);
        }
        for (index, header) in headers.detail.iter().enumerate() {
            let mut runs = blocks
                .clone()
                .filter_map(|block| block.detail(index))
                .peekable();
            if runs.peek().is_some() {
                member.push(header);
            }
            for (checksum, lines) in runs {
                member.push_all(lines, checksum);
            }
        }
        for (index, header) in headers.clock_lines.iter().enumerate() {
            let lines = blocks.clone().filter_map(|block| block.clock_lines(index));
            member.push_family(header, lines);
        }
        member.push(&live);
        member.finish(spare)
    }

    fn zones(&self) -> impl Iterator<Item = &CachedZone> + Clone {
        self.blocks.iter().flat_map(|block| &block.zones)
    }
}

/// The zones in the order of the exposition. Those of a block are polled at about the same time, so
/// that few blocks change between two scrapes; within a block the order is the given one.
fn in_blocks(slots: &[Arc<ZoneSlot>]) -> Vec<Arc<ZoneSlot>> {
    let mut order: Vec<_> = slots.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.phase.total_cmp(&b.phase));
    for block in order.chunks_mut(ZONES_PER_BLOCK) {
        block.sort_by_key(|(position, _)| *position);
    }
    order
        .into_iter()
        .map(|(_, slot)| Arc::clone(slot))
        .collect()
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
            let zones = block.zones.into_iter();
            loose.extend(zones.map(|zone| (zone.id().clone(), zone)));
        }
    }
    let mut unchanged = unchanged.into_iter();
    blocks.extend(slots.chunks(ZONES_PER_BLOCK).map(|chunk| {
        let block = unchanged.next().flatten();
        block.unwrap_or_else(|| {
            let zones = chunk.iter().map(|slot| {
                let slot = Arc::clone(slot);
                match loose.remove(&slot.id) {
                    Some(known) => known.with_slot(slot),
                    None => CachedZone::new(slot),
                }
            });
            Block::new(zones.collect())
        })
    }));
}

#[cfg(test)]
impl Cache {
    /// Whether every line is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.blocks.iter().all(Block::is_compressed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::tests::{SETTINGS, data, discovered, mapping, now, polled, slot};
    use super::*;
    use crate::findings::ZoneFindings;
    use crate::snapshot::ZoneState;

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
            block.mark(&mut cache.compressor, b"kept block\n", b"kept detail\n");
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
        let gzip = cache.gzip(now(), Format::Text, ReusableBuffer::default(), |_| {});
        GzDecoder::new(&*gzip).read_to_string(&mut text).unwrap();
        let count = |what: &str| text.lines().filter(|line| *line == what).count();
        (count("kept block"), count("kept detail") / detail::FAMILIES)
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

    fn prepare(cache: &mut Cache, budget: usize) -> usize {
        let (mut next, mut times) = (Some(0), 0);
        while let Some(start) = next {
            next = cache.prepare(start, now(), budget);
            times += 1;
        }
        times
    }

    #[test]
    fn everything_can_be_prepared_a_little_at_a_time() {
        let slots: Vec<_> = (0..ZONES).map(|n| slot(zone(n, "us-east-1"))).collect();
        let mut cache = Cache::new(SETTINGS);
        cache.refresh(listing(&slots));
        assert!(!cache.is_compressed());
        assert!(prepare(&mut cache, 1000) > 2);
        assert!(cache.is_compressed());
        slots[30].publish(zone(30, "eu-west-1"));
        cache.refresh(listing(&slots));
        assert!(!cache.is_compressed());
        assert_eq!(prepare(&mut cache, 1_000_000), 1);
        assert!(cache.is_compressed());
    }

    #[test]
    fn zones_that_are_polled_together_share_a_block() {
        // Their phases are in another order than their names.
        let phase = |n: u32| (f64::from(n) * 0.618).fract();
        let slots: Vec<_> = (0..60)
            .map(|n| {
                let state = zone(n as usize, "us-east-1");
                let mut slot = ZoneSlot::new(state.zone.id.clone(), state);
                slot.phase = phase(n);
                Arc::new(slot)
            })
            .collect();
        let mut cache = Cache::new(SETTINGS);
        cache.refresh(listing(&slots));
        for block in &mut cache.blocks {
            block.mark(&mut cache.compressor, b"kept block\n", b"kept detail\n");
        }
        let mut polled = 0;
        for slot in slots.iter().filter(|slot| slot.phase < 0.25) {
            let state = slot.load();
            slot.publish(ZoneState {
                polls: state.polls + 1,
                ..(*state).clone()
            });
            polled += 1;
        }
        assert!(polled > 10);
        assert_eq!(kept(&mut cache, &slots), (BLOCK_FRAGMENTS - 1, ZONES));
    }
}
