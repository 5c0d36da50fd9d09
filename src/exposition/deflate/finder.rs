//! Finds earlier occurrences of the text that follows a quote or a line start.

use super::code::{MAX_DISTANCE, MAX_MATCH};

/// The number of bytes that are hashed to find a long match: a vendor and most of a region, but
/// nothing of the value that follows.
const LONG: usize = 32;

/// The number of bytes that are hashed to find a short match.
const SHORT: usize = 8;

/// Entries of each table. A zone has fewer vendors and regions. With many zones, the latest entries
/// are kept.
const SLOTS: usize = 1 << 11;

/// The latest positions of anchors, by the hash of the bytes that follow.
#[derive(Debug)]
pub(super) struct Finder {
    long: Box<[u32; SLOTS]>,
    short: Box<[u32; SLOTS]>,
    /// The position of the current text's first byte, counted over all texts from 1. Smaller
    /// entries belong to earlier texts.
    base: u32,
    /// The position after the current text.
    end: u32,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self {
            long: Box::new([0; SLOTS]),
            short: Box::new([0; SLOTS]),
            base: 1,
            end: 1,
        }
    }

    /// Forgets earlier texts. `len` is the length of the next one.
    pub(super) fn start(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.base = self.end;
        self.end = self.base.checked_add(len).unwrap_or_else(|| {
            self.long.fill(0);
            self.short.fill(0);
            self.base = 1;
            len.saturating_add(1)
        });
    }

    /// The distance and length of a match for the text at `pos`, which is an anchor.
    #[inline]
    pub(super) fn find(&mut self, text: &[u8], pos: usize) -> Option<(usize, usize)> {
        let rest = text.get(pos..)?;
        let here = self.base + u32::try_from(pos).ok()?;
        let short = rest.first_chunk::<SHORT>()?;
        let earlier = std::mem::replace(entry(&mut self.short, short), here);
        let short = self.distance(earlier, here);
        let long = rest.first_chunk::<LONG>().and_then(|long| {
            let earlier = std::mem::replace(entry(&mut self.long, long), here);
            self.distance(earlier, here)
        });
        // The long table finds longer matches, and often the same ones as the short table.
        [long, short].into_iter().flatten().find_map(|distance| {
            let len = common_len(text.get(pos - distance..)?, rest);
            (len >= SHORT).then_some((distance, len))
        })
    }

    fn distance(&self, earlier: u32, here: u32) -> Option<usize> {
        let distance = (here - earlier) as usize;
        (earlier >= self.base && distance <= MAX_DISTANCE).then_some(distance)
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "the remainder is less than the length"
)]
fn entry<'a, const N: usize>(table: &'a mut [u32; SLOTS], bytes: &[u8; N]) -> &'a mut u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, _) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(0_u64, |hash, word| {
        (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR)
    });
    &mut table[(hash >> 40) as usize % SLOTS]
}

/// The length of the common prefix, at most [`MAX_MATCH`].
#[inline]
fn common_len(a: &[u8], b: &[u8]) -> usize {
    let (a, b) = (
        a.get(..MAX_MATCH).unwrap_or(a),
        b.get(..MAX_MATCH).unwrap_or(b),
    );
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let mut len = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return len + (differing.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let a_rest = a.get(len..).unwrap_or_default();
    let b_rest = b.get(len..).unwrap_or_default();
    let rest = a_rest.iter().zip(b_rest);
    len + rest.take_while(|(a, b)| a == b).count()
}
