//! Joins separately compressed fragments into one gzip member (RFC 1952).
//!
//! A fragment is a run of deflate blocks that ends on a byte boundary (a sync flush) and does not
//! refer to earlier text, so fragments can be joined in any order. Their checksums are combined
//! without reading the text again. The result must be a single member: common clients ignore
//! everything after the first one.

use std::ops::Range;

use super::bodies::ReusableBuffer;
use super::checksum::{Checksum, DigitChanges};
use super::deflate::{Content, LineDeflate};

/// No file name, no time, unknown system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A last, empty block (RFC 1951, section 3.2.3): final bit, fixed codes, end of block.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// Compressed text that can appear anywhere in a [`Member`].
#[derive(Debug)]
pub(super) struct Fragment {
    deflated: Box<[u8]>,
    checksum: Checksum,
}

impl Fragment {
    /// Whether the text is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.checksum.is_empty()
    }

    /// Replaces a digit whose code begins at this bit. The checksum is changed by
    /// [`Self::digits_replaced`].
    pub(super) fn replace_digit(&mut self, at: usize, change: DigitChange) {
        let [low, high] = (u16::from(change.code) << (at % 8)).to_le_bytes();
        if let Some([first, second]) = self.deflated.get_mut(at / 8..at / 8 + 2) {
            *first ^= low;
            *second ^= high;
        }
    }

    pub(super) fn digits_replaced(&mut self, changes: &DigitChanges) {
        self.checksum = self.checksum.after(changes);
    }
}

/// By which bits two digits differ.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DigitChange {
    /// In the text.
    pub(super) text: u8,
    /// In the compressed text.
    pub(super) code: u8,
}

/// The changes from each digit to each other one.
#[derive(Debug, Clone, Copy)]
pub(super) struct DigitCodes([[DigitChange; 10]; 10]);

impl DigitCodes {
    #[inline]
    pub(super) fn change(&self, from: u32, to: u32) -> DigitChange {
        let from = self.0.get(from as usize);
        let change = from.and_then(|from| from.get(to as usize));
        change.copied().unwrap_or_default()
    }
}

/// Compresses fragments. Reuses its tables and buffers.
#[derive(Debug)]
pub(super) struct Compressor {
    deflate: LineDeflate,
    digits: DigitCodes,
    buffer: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        let deflate = LineDeflate::new();
        let digits = deflate.digits();
        let change = |(text, code): (u8, u8), (new_text, new_code): (u8, u8)| DigitChange {
            text: text ^ new_text,
            code: code ^ new_code,
        };
        Self {
            digits: DigitCodes(digits.map(|from| digits.map(|to| change(from, to)))),
            deflate,
            buffer: Vec::new(),
        }
    }

    pub(super) fn fragment(&mut self, text: &[u8], content: Content) -> Fragment {
        self.buffer.clear();
        self.deflate.compress(text, content, &mut self.buffer);
        self.finished(text)
    }

    /// A fragment in which the digits of these parts of the text can be replaced, and the bit at
    /// which each part begins. There are none if digits cannot be replaced.
    pub(super) fn with_numbers(
        &mut self,
        text: &[u8],
        numbers: &[Range<usize>],
    ) -> (Fragment, Option<Vec<usize>>) {
        self.buffer.clear();
        let starts = self
            .deflate
            .compress_numbers(text, numbers, &mut self.buffer);
        if starts.is_none() {
            return (self.fragment(text, Content::Lines), None);
        }
        (self.finished(text), starts)
    }

    /// The codes of digits for which a fragment has room.
    pub(super) fn digits(&self) -> &DigitCodes {
        &self.digits
    }

    fn finished(&self, text: &[u8]) -> Fragment {
        Fragment {
            deflated: self.buffer.as_slice().into(),
            checksum: Checksum::of(text),
        }
    }
}

/// The combined checksum of the fragments' texts.
pub(super) fn joint_checksum<'a>(fragments: impl IntoIterator<Item = &'a Fragment>) -> Checksum {
    let checksums = fragments.into_iter().map(|fragment| fragment.checksum);
    checksums.fold(Checksum::EMPTY, Checksum::then)
}

/// Builds a gzip member from fragments.
#[derive(Debug)]
pub(super) struct Member<'a> {
    deflated: Vec<&'a [u8]>,
    checksum: Checksum,
}

impl<'a> Member<'a> {
    pub(super) fn new() -> Self {
        Self {
            deflated: Vec::new(),
            checksum: Checksum::EMPTY,
        }
    }

    pub(super) fn push(&mut self, fragment: &'a Fragment) {
        self.deflated.push(&fragment.deflated);
        self.checksum = self.checksum.then(fragment.checksum);
    }

    /// Appends a family, unless it has no lines.
    pub(super) fn push_family(
        &mut self,
        header: &'a Fragment,
        lines: impl Iterator<Item = &'a Fragment>,
    ) {
        let mut lines = lines.peekable();
        if lines.peek().is_some() {
            self.push(header);
        }
        for fragment in lines {
            self.push(fragment);
        }
    }

    /// Appends fragments whose [`joint_checksum`] is known.
    pub(super) fn push_all(
        &mut self,
        fragments: impl Iterator<Item = &'a Fragment>,
        checksum: Checksum,
    ) {
        self.deflated
            .extend(fragments.map(|fragment| &*fragment.deflated));
        self.checksum = self.checksum.then(checksum);
    }

    pub(super) fn finish(self, spare: ReusableBuffer) -> Vec<u8> {
        let [sum, size] = self.checksum.trailer();
        let mut pieces = vec![&HEADER[..]];
        pieces.extend(self.deflated);
        pieces.extend([&LAST_BLOCK[..], &sum, &size]);
        let len = pieces.iter().map(|piece| piece.len()).sum();
        let mut out = spare.with_room(len);
        for piece in pieces {
            out.extend_from_slice(piece);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::bufread::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn compressed(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut compressor = Compressor::new();
        let fragment = |text: &Vec<u8>| compressor.fragment(text, Content::Lines);
        let fragments: Vec<_> = texts.iter().map(fragment).collect();
        let mut member = Member::new();
        let (first, rest) = fragments.split_at(fragments.len() / 2);
        for fragment in first {
            member.push(fragment);
        }
        member.push_all(rest.iter(), joint_checksum(rest));
        member.finish(ReusableBuffer::default())
    }

    fn first_member(gzip: &[u8]) -> (Vec<u8>, usize) {
        let mut rest = gzip;
        let mut text = Vec::new();
        GzDecoder::new(&mut rest).read_to_end(&mut text).unwrap();
        (text, rest.len())
    }

    proptest! {
        #[test]
        fn fragments_in_any_number_are_one_member_with_the_whole_text(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..8),
        ) {
            let (text, rest) = first_member(&compressed(&texts));
            prop_assert_eq!(text, texts.concat());
            prop_assert_eq!(rest, 0, "nothing follows the first member");
        }
    }

    #[test]
    fn a_text_far_larger_than_the_buffer_is_whole() {
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(500_000)
            .collect();
        let (text, rest) = first_member(&compressed(std::slice::from_ref(&noise)));
        assert!(text == noise && rest == 0);
    }

    #[test]
    fn an_empty_member_is_valid() {
        assert_eq!(first_member(&compressed(&[])), (Vec::new(), 0));
    }
}
