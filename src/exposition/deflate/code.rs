//! The Huffman codes (RFC 1951, section 3.2).

use super::bits::BitWriter;

/// The longest distance of a match.
pub(super) const MAX_DISTANCE: usize = 32 << 10;
/// The longest match.
pub(super) const MAX_MATCH: usize = 258;
const MIN_MATCH: usize = 3;

const END_OF_BLOCK: usize = 256;
/// The number of distance symbols in use.
const DISTANCES: usize = 30;

/// The length of each symbol of a code for ASCII, in bits. Based on the frequencies in expositions
/// with all kinds of addresses, times and names. Every digit has [`DIGIT_BITS`](super::DIGIT_BITS).
struct AsciiLengths {
    literals: [u8; 128],
    /// The end of a block and each length symbol.
    lengths: [u8; 30],
    distances: [u8; DISTANCES],
    /// The code length alphabet, in which the header gives the other lengths.
    code_lengths: [u8; 19],
}

/// For the small families of several zones.
#[rustfmt::skip]
const LINES: AsciiLengths = AsciiLengths {
    literals: [
        13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 11, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
        13, 13, 13, 13, 13, 13, 13, 13, 13, 7, 13, 7, 13, 13, 13, 13, 13, 13, 13, 13, 13, 11, 7, 6,
        13, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 13, 13, 13, 10, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
        13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
        9, 13, 5, 6, 5, 5, 5, 6, 8, 9, 7, 13, 9, 7, 7, 7, 6, 7, 13, 7, 7, 7, 7, 10, 8, 8, 11, 9, 12,
        13, 8, 13, 13,
    ],
    lengths: [
        12, 13, 13, 13, 13, 13, 13, 13, 9, 7, 10, 13, 13, 10, 12, 13, 10, 10, 9, 9, 9, 8, 8, 8, 8,
        8, 8, 8, 8, 8,
    ],
    distances: [
        11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 6, 2, 2, 3, 3, 4, 4, 6, 5, 6, 6, 7, 7, 8, 8,
        10, 11, 11,
    ],
    code_lengths: [7, 0, 6, 5, 5, 4, 4, 3, 4, 4, 4, 4, 5, 2, 0, 0, 3, 0, 7],
};

/// For the detail of one zone.
#[rustfmt::skip]
const DETAIL: AsciiLengths = AsciiLengths {
    literals: [
        13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 10, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
        13, 13, 13, 13, 13, 13, 13, 13, 13, 9, 13, 7, 13, 13, 13, 13, 13, 13, 13, 13, 13, 8, 8, 4,
        11, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 6, 13, 13, 8, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
        13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 7,
        13, 7, 7, 7, 7, 6, 6, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 10, 13, 9,
        13, 13,
    ],
    lengths: [
        11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 5, 11, 11, 10, 10, 8, 8,
        8, 5, 6, 8, 8, 8,
    ],
    distances: [
        11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 3, 1, 4, 4, 4, 4, 4, 5, 6, 8, 9, 11,
        11, 11, 11, 10,
    ],
    code_lengths: [6, 6, 0, 6, 5, 5, 4, 5, 3, 5, 4, 4, 0, 2, 0, 0, 2, 0, 6],
};

/// Bits of the output: a symbol, possibly followed by its extra bits.
#[derive(Debug, Clone, Copy, Default)]
struct Bits {
    bits: u32,
    count: u32,
}

/// A code for literals, lengths and distances.
#[derive(Debug)]
pub(super) struct Code {
    /// The header of a block with this code.
    header: Vec<Bits>,
    literals: [Bits; 256],
    end: Bits,
    /// By length, from [`MIN_MATCH`] on.
    lengths: [Bits; MAX_MATCH - MIN_MATCH + 1],
    distances: [Bits; DISTANCES],
}

impl Code {
    /// The fixed code, which covers every byte.
    pub(super) fn fixed() -> Self {
        let symbols = std::array::from_fn::<_, 288, _>(|symbol| match symbol {
            144..256 => 9,
            256..280 => 7,
            _ => 8,
        });
        // Not the last block; fixed codes.
        let header = vec![Bits {
            bits: 0b010,
            count: 3,
        }];
        Self::new(header, &symbols, &[5; DISTANCES])
    }

    /// The code for the small families of several zones.
    pub(super) fn lines() -> Self {
        Self::of_ascii(&LINES)
    }

    /// The code for the detail of one zone.
    pub(super) fn detail() -> Self {
        Self::of_ascii(&DETAIL)
    }

    fn of_ascii(lengths: &AsciiLengths) -> Self {
        // No other byte has a code.
        let others = [0; 256 - 128];
        let symbols = [&lengths.literals[..], &others, &lengths.lengths].concat();
        let distances = &lengths.distances;
        let header = header(&symbols, distances, &lengths.code_lengths);
        Self::new(header, &symbols, distances)
    }

    fn new(header: Vec<Bits>, symbols: &[u8], distances: &[u8; DISTANCES]) -> Self {
        let symbols = canonical(symbols);
        let symbol = |index: usize| symbols.get(index).copied().unwrap_or_default();
        let distances = canonical(distances);
        Self {
            header,
            literals: std::array::from_fn(symbol),
            end: symbol(END_OF_BLOCK),
            lengths: std::array::from_fn(|index| {
                let (index, extra) = length_symbol(index + MIN_MATCH);
                followed_by(symbol(index), extra)
            }),
            distances: std::array::from_fn(|index| {
                distances.get(index).copied().unwrap_or_default()
            }),
        }
    }

    pub(super) fn push_header(&self, out: &mut BitWriter<'_>) {
        for part in &self.header {
            out.push(part.bits, part.count);
        }
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "there is one for each byte")]
    pub(super) fn push_literal(&self, out: &mut BitWriter<'_>, byte: u8) {
        let Bits { bits, count } = self.literals[usize::from(byte)];
        out.push(bits, count);
    }

    /// The code of a byte.
    pub(super) fn literal(&self, byte: u8) -> u32 {
        self.literals
            .get(usize::from(byte))
            .map_or(0, |literal| literal.bits)
    }

    /// Appends a match of a length from 3 to [`MAX_MATCH`] and a distance from 1 to
    /// [`MAX_DISTANCE`].
    #[inline]
    pub(super) fn push_match(&self, out: &mut BitWriter<'_>, distance: usize, len: usize) {
        let length = self.lengths.get(len - MIN_MATCH).copied();
        let (symbol, extra) = distance_symbol(distance);
        let distance = self.distances.get(symbol).copied().unwrap_or_default();
        for part in [length.unwrap_or_default(), distance, extra] {
            out.push(part.bits, part.count);
        }
    }

    pub(super) fn push_end(&self, out: &mut BitWriter<'_>) {
        out.push(self.end.bits, self.end.count);
    }
}

/// Assigns the canonical code to symbols with these lengths (RFC 1951, section 3.2.2).
fn canonical(lengths: &[u8]) -> Vec<Bits> {
    let mut codes = vec![Bits::default(); lengths.len()];
    let mut next = 0_u32;
    for count in 1..=15_u8 {
        for (code, _) in codes
            .iter_mut()
            .zip(lengths)
            .filter(|(_, len)| **len == count)
        {
            // Codes are written from their most significant bit on.
            let bits = next.reverse_bits() >> (32 - u32::from(count));
            *code = Bits {
                bits,
                count: count.into(),
            };
            next += 1;
        }
        next <<= 1;
    }
    codes
}

fn followed_by(symbol: Bits, extra: Bits) -> Bits {
    Bits {
        bits: symbol.bits | extra.bits << symbol.count,
        count: symbol.count + extra.count,
    }
}

/// The symbol of a length and its extra bits (RFC 1951, section 3.2.5).
fn length_symbol(len: usize) -> (usize, Bits) {
    if len == MAX_MATCH {
        return (285, Bits::default());
    }
    let index = len - MIN_MATCH;
    if index < 8 {
        return (257 + index, Bits::default());
    }
    let count = index.ilog2() - 2;
    let symbol = 257 + 4 * count as usize + (index >> count);
    (symbol, low_bits(index, count))
}

/// The symbol of a distance and its extra bits.
#[inline]
fn distance_symbol(distance: usize) -> (usize, Bits) {
    let index = distance - 1;
    if index < 4 {
        return (index, Bits::default());
    }
    let count = index.ilog2() - 1;
    let symbol = 2 * count as usize + (index >> count);
    (symbol, low_bits(index, count))
}

#[expect(clippy::cast_possible_truncation, reason = "at most 13 bits are left")]
fn low_bits(value: usize, count: u32) -> Bits {
    let bits = (value & ((1 << count) - 1)) as u32;
    Bits { bits, count }
}

/// The header of a block with dynamic codes (RFC 1951, section 3.2.7).
fn header(symbols: &[u8], distances: &[u8; DISTANCES], code_lengths: &[u8; 19]) -> Vec<Bits> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    const REPEAT: usize = 16;
    const ZEROS: usize = 18;
    let bits = |bits: u32, count: u32| Bits { bits, count };
    let mut header = vec![
        // Not the last block; dynamic codes.
        bits(0b100, 3),
        // Every alphabet is given in full: literals and lengths, distances, code lengths.
        bits(286 - 257, 5),
        bits(30 - 1, 5),
        bits(19 - 4, 4),
    ];
    let lengths = ORDER.iter().filter_map(|symbol| code_lengths.get(*symbol));
    header.extend(lengths.map(|length| bits((*length).into(), 3)));
    let codes = canonical(code_lengths);
    let code = |symbol: usize| codes.get(symbol).copied().unwrap_or_default();
    let all: Vec<u8> = symbols.iter().chain(distances).copied().collect();
    for run in all.chunk_by(|a, b| a == b) {
        let length = usize::from(run.first().copied().unwrap_or_default());
        header.push(code(length));
        let mut rest = run.len() - 1;
        while length == 0 && rest >= 11 {
            let zeros = rest.min(138);
            header.push(followed_by(code(ZEROS), low_bits(zeros - 11, 7)));
            rest -= zeros;
        }
        while rest >= 3 {
            let repeated = rest.min(6);
            header.push(followed_by(code(REPEAT), low_bits(repeated - 3, 2)));
            rest -= repeated;
        }
        header.extend(std::iter::repeat_n(code(length), rest));
    }
    header
}
