//! The uncompressed text, rendered piece by piece while it is sent. Most of it is the detail of
//! mappings, which is as fast to render as to copy.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::rendered::RenderedZone;
use super::text::header;
use super::{Format, detail, zone_lines};

/// The minimum length of a piece, except for the last one. Small enough for a piece to stay in the
/// processor's cache until it is sent, and large enough that the client is seldom woken for little.
/// A piece ends with the lines of a zone.
const PIECE_BYTES: usize = 512 << 10;

/// The text of one exposition, as of one moment. Holds the data from which it is rendered.
#[derive(Debug)]
pub struct PlainText {
    zones: Vec<Arc<RenderedZone>>,
    families: Vec<FamilyText>,
    /// The families that are not about a single zone or that change with time.
    live: Vec<u8>,
    len: usize,
}

/// A family that has samples.
#[derive(Debug)]
struct FamilyText {
    header: String,
    lines: Lines,
}

/// The lines of a family in each zone.
#[derive(Debug, Clone, Copy)]
enum Lines {
    /// By index of [`zone_lines::all`].
    Zone(usize),
    /// By index of [`detail::all`].
    Detail(usize),
}

impl Lines {
    fn len(self, zone: &RenderedZone) -> usize {
        match self {
            Self::Zone(index) => zone.lines.of(index).len(),
            Self::Detail(index) => zone.detail_len(index),
        }
    }
}

impl PlainText {
    pub(super) fn new(
        format: Format,
        detail: bool,
        zones: Vec<Arc<RenderedZone>>,
        live: Vec<u8>,
    ) -> Self {
        let small = zone_lines::all().enumerate();
        let small = small.map(|(index, family)| (family, Lines::Zone(index)));
        let large = detail::all().enumerate().filter(|_| detail);
        let large = large.map(|(index, family)| (family, Lines::Detail(index)));
        let mut len = live.len();
        let mut families = Vec::new();
        for (family, lines) in small.chain(large) {
            let lines_len: usize = zones.iter().map(|zone| lines.len(zone)).sum();
            if lines_len > 0 {
                let header = header(format, family);
                len += header.len() + lines_len;
                families.push(FamilyText { header, lines });
            }
        }
        Self {
            zones,
            families,
            live,
            len,
        }
    }

    /// The length of the text, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The memory that only the text keeps allocated, in bytes. It grows while the text is sent, as
    /// zones are polled. The mappings are not counted: most polls find the same ones and share them.
    pub fn retained(&self) -> usize {
        let zones = self.zones.iter().filter(|zone| !zone.is_cached());
        let replaced: usize = zones.map(|zone| zone.memory()).sum();
        self.live.capacity() + self.zones.len() * size_of::<Arc<RenderedZone>>() + replaced
    }

    /// Appends the whole text to `out`.
    pub(super) fn collect(&self, mut out: Vec<u8>) -> Vec<u8> {
        let mut cursor = Cursor::default();
        while cursor.push_piece(self, &mut out) {}
        out
    }
}

/// How far a text has been rendered.
#[derive(Debug, Default)]
struct Cursor {
    family: usize,
    /// The next zone of the family. The header precedes the first zone.
    zone: usize,
    /// The number of bytes of the last families that have been rendered.
    live: usize,
}

impl Cursor {
    /// Appends the next piece. Returns whether there was one.
    fn push_piece(&mut self, text: &PlainText, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        while let Some(family) = text.families.get(self.family) {
            if self.zone == 0 {
                out.extend_from_slice(family.header.as_bytes());
            }
            for zone in text.zones.iter().skip(self.zone) {
                match family.lines {
                    Lines::Zone(index) => out.extend_from_slice(zone.lines.of(index).as_bytes()),
                    Lines::Detail(index) => zone.push_detail(out, index),
                }
                self.zone += 1;
                if out.len() - start >= PIECE_BYTES {
                    return true;
                }
            }
            self.family += 1;
            self.zone = 0;
        }
        let rest = text.live.get(self.live..).unwrap_or_default();
        let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
        out.extend_from_slice(piece);
        self.live += piece.len();
        out.len() > start
    }
}

/// The pieces of a text. Reuses the memory of dropped pieces.
#[derive(Debug)]
pub struct Pieces {
    text: Arc<PlainText>,
    cursor: Cursor,
    /// The number of bytes not yet rendered.
    rest: usize,
    spare: Arc<Mutex<Vec<u8>>>,
}

impl Pieces {
    /// All pieces of the text.
    pub fn new(text: Arc<PlainText>) -> Self {
        Self {
            cursor: Cursor::default(),
            rest: text.len,
            spare: Arc::default(),
            text,
        }
    }

    /// The length of the remaining pieces, in bytes.
    pub fn rest(&self) -> usize {
        self.rest
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.rest == 0 {
            return None;
        }
        let spare = self.spare.lock();
        let mut bytes = std::mem::take(&mut *spare.unwrap_or_else(PoisonError::into_inner));
        bytes.clear();
        self.cursor.push_piece(&self.text, &mut bytes);
        self.rest = self.rest.saturating_sub(bytes.len());
        Some(Bytes::from_owner(Piece {
            bytes,
            spare: Arc::clone(&self.spare),
        }))
    }
}

/// A piece. Its memory is reused for a later one.
struct Piece {
    bytes: Vec<u8>,
    spare: Arc<Mutex<Vec<u8>>>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        *spare = std::mem::take(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rendered::CachedText;
    use super::super::tests::{data, mapping, polled};
    use super::*;
    use crate::findings::ZoneFindings;

    /// A text of several pieces, one of which is larger than usual.
    fn text(format: Format) -> Arc<PlainText> {
        let zones = (0..40_u8).map(|zone| {
            let count = if zone == 7 { 2000 } else { 60 };
            let mappings = (0..count).map(|n| {
                let time = (n % 3 > 0).then_some("2026-03-01T11:00:00.25Z");
                mapping(&format!("2001:db8::{zone}:{n}"), "aws", "us-east-1", time)
            });
            let mappings = data(mappings.collect(), ZoneFindings::default());
            let state = polled(&zone.to_string(), "a.example", mappings);
            CachedText::new(Arc::new(state)).share()
        });
        let live = vec![b'x'; 3 * PIECE_BYTES + 1];
        Arc::new(PlainText::new(format, true, zones.collect(), live))
    }

    #[test]
    fn the_pieces_are_the_text_and_as_long_as_announced() {
        for format in [Format::Text, Format::OpenMetrics] {
            let text = text(format);
            let whole = text.collect(Vec::new());
            assert_eq!(whole.len(), text.len());
            let mut pieces = Pieces::new(Arc::clone(&text));
            let mut joined = Vec::new();
            let mut count = 0;
            while let Some(piece) = pieces.next() {
                joined.extend_from_slice(&piece);
                count += 1;
                assert_eq!(joined.len() + pieces.rest(), text.len());
            }
            assert!(joined == whole && count > 5, "{count} pieces");
        }
    }

    #[test]
    fn a_piece_takes_the_memory_of_one_that_was_sent() {
        let mut pieces = Pieces::new(text(Format::Text));
        let (first, second) = (pieces.next().unwrap(), pieces.next().unwrap());
        let memory = first.as_ptr();
        drop(first);
        assert_eq!(pieces.next().unwrap().as_ptr(), memory);
        drop(second);
    }

    #[test]
    fn the_states_are_held_until_they_have_been_sent_is_published_meanwhile() {
        let text = text(Format::Text);
        let states: Vec<_> = text
            .zones
            .iter()
            .map(|zone| Arc::downgrade(&zone.state))
            .collect();
        let mut pieces = Pieces::new(text);
        pieces.next();
        assert!(states.iter().all(|state| state.strong_count() == 1));
        drop(pieces);
        assert!(states.iter().all(|state| state.strong_count() == 0));
    }
}
