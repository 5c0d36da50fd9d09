//! Joins separately compressed fragments into one gzip member (RFC 1952).
//!
//! A fragment is a run of deflate blocks that ends on a byte boundary (a sync flush) and does not
//! refer to earlier text, so fragments can be joined in any order. Their checksums are combined
//! without reading the text again. The result must be a single member: common clients ignore
//! everything after the first one.

use flate2::Crc;

use super::bodies::ReusableBuffer;
use super::deflate::LineDeflate;

/// No file name, no time, unknown system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A last, empty block (RFC 1951, section 3.2.3): final bit, fixed codes, end of block.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// Compressed text that can appear anywhere in a [`Member`].
#[derive(Debug)]
pub(super) struct Fragment {
    deflated: Box<[u8]>,
    crc: Crc,
}

impl Fragment {
    /// Whether the text is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.crc.amount() == 0
    }
}

/// Compresses fragments. Reuses its tables and buffers.
#[derive(Debug)]
pub(super) struct Compressor {
    deflate: LineDeflate,
    buffer: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self {
            deflate: LineDeflate::new(),
            buffer: Vec::new(),
        }
    }

    pub(super) fn fragment(&mut self, text: &[u8]) -> Fragment {
        self.buffer.clear();
        self.deflate.compress(text, &mut self.buffer);
        let mut crc = Crc::new();
        crc.update(text);
        Fragment {
            deflated: self.buffer.as_slice().into(),
            crc,
        }
    }
}

/// The combined checksum of the fragments' texts.
pub(super) fn joint_crc<'a>(fragments: impl IntoIterator<Item = &'a Fragment>) -> Crc {
    let mut crc = Crc::new();
    for fragment in fragments {
        crc.combine(&fragment.crc);
    }
    crc
}

/// Builds a gzip member from fragments.
#[derive(Debug)]
pub(super) struct Member<'a> {
    deflated: Vec<&'a [u8]>,
    crc: Crc,
}

impl<'a> Member<'a> {
    pub(super) fn new() -> Self {
        Self {
            deflated: Vec::new(),
            crc: Crc::new(),
        }
    }

    pub(super) fn push(&mut self, fragment: &'a Fragment) {
        self.deflated.push(&fragment.deflated);
        self.crc.combine(&fragment.crc);
    }

    /// Appends fragments whose [`joint_crc`] is known. Combining checksums takes longer than
    /// copying a small fragment.
    pub(super) fn push_all(&mut self, fragments: impl Iterator<Item = &'a Fragment>, crc: &Crc) {
        self.deflated
            .extend(fragments.map(|fragment| &*fragment.deflated));
        self.crc.combine(crc);
    }

    pub(super) fn finish(self, spare: ReusableBuffer) -> Vec<u8> {
        let size = self.crc.amount().to_le_bytes();
        let crc = self.crc.sum().to_le_bytes();
        let mut pieces = vec![&HEADER[..]];
        pieces.extend(self.deflated);
        pieces.extend([&LAST_BLOCK[..], &crc, &size]);
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
        let fragments: Vec<_> = texts.iter().map(|text| compressor.fragment(text)).collect();
        let mut member = Member::new();
        let (first, rest) = fragments.split_at(fragments.len() / 2);
        for fragment in first {
            member.push(fragment);
        }
        member.push_all(rest.iter(), &joint_crc(rest));
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
