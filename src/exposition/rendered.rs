//! A zone's state with its rendered lines.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::detail::{self, DetailTexts};
use super::text::zone_labels;
use super::zone_lines::ZoneLines;
use crate::snapshot::ZoneState;

/// A state of a zone and its lines. The lines of the detail are rendered on demand.
#[derive(Debug)]
pub(super) struct RenderedZone {
    pub(super) state: Arc<ZoneState>,
    /// The rendered labels that every line of the zone starts with.
    pub(super) labels: String,
    pub(super) lines: ZoneLines,
    /// The length of the lines of each family of [`detail`], measured on demand.
    detail_lens: [OnceLock<usize>; detail::FAMILIES],
    /// Kept from the first uncompressed text on.
    detail_texts: OnceLock<Option<Arc<DetailTexts>>>,
    is_cached: AtomicBool,
}

/// The rendered state in the cache. When it is dropped, only texts that are being sent may still
/// hold the state.
#[derive(Debug)]
pub(super) struct CachedText(Arc<RenderedZone>);

impl CachedText {
    pub(super) fn new(state: Arc<ZoneState>) -> Self {
        Self(Arc::new(RenderedZone::new(state)))
    }

    /// Replaces the state. Returns the old one, and whether the detail is the same.
    pub(super) fn replace(&mut self, state: Arc<ZoneState>) -> (Self, bool) {
        let old = &self.0;
        let mut new = RenderedZone::new(state);
        let same_detail = new.labels == old.labels
            && match (&new.state.data, &old.state.data) {
                (Some(new), Some(old)) => Arc::ptr_eq(&new.mappings, &old.mappings),
                (new, old) => new.is_none() && old.is_none(),
            };
        if same_detail {
            new.detail_lens.clone_from(&old.detail_lens);
            new.detail_texts.clone_from(&old.detail_texts);
        }
        (std::mem::replace(self, Self(Arc::new(new))), same_detail)
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
            detail_texts: OnceLock::new(),
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
        let texts = self
            .detail_texts
            .get_or_init(|| self.render_detail_texts().map(Arc::new));
        if let Some(texts) = texts {
            texts.push_lines(out, index, &self.labels);
        }
    }

    /// Passes the lines of each family of [`detail::all`] to `pass`, and keeps nothing but their
    /// length. `text` is a buffer.
    pub(super) fn each_detail<T>(
        &self,
        text: &mut Vec<u8>,
        mut pass: impl FnMut(&[u8]) -> T,
    ) -> [T; detail::FAMILIES] {
        let kept = self.detail_texts.get();
        let texts = match kept {
            Some(_) => None,
            None => self.render_detail_texts(),
        };
        let texts = texts.as_ref().or(kept.and_then(|kept| kept.as_deref()));
        std::array::from_fn(|index| {
            text.clear();
            if let Some(texts) = texts {
                texts.push_lines(text, index, &self.labels);
            }
            if let Some(len) = self.detail_lens.get(index) {
                // It may have been measured before.
                let _ = len.set(text.len());
            }
            pass(text)
        })
    }

    fn render_detail_texts(&self) -> Option<DetailTexts> {
        let data = self.state.data.as_ref();
        data.map(|data| DetailTexts::new(&data.mappings))
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
