//! The Huffman codes (RFC 1951, section 3.2).

use super::DIGIT_BITS;
use super::bits::BitWriter;

/// The longest distance of a match.
pub(super) const MAX_DISTANCE: usize = 32 << 10;
/// The longest match.
pub(super) const MAX_MATCH: usize = 258;
const MIN_MATCH: usize = 3;

const END_OF_BLOCK: usize = 256;
/// The number of distance symbols in use.
const DISTANCES: usize = 30;

/// The code length of each character in the ASCII code, in bits. Based on the frequencies in an
/// exposition, with some more weight for rare lower-case letters, which may be common in the names
/// of other zones.
#[rustfmt::skip]
const ASCII_LITERALS: [u8; 128] = [
    13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 10, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
    13, 13, 13, 13, 13, 13, 13, 13, 7, 12, 7, 12, 12, 12, 12, 12, 12, 12, 12, 12, 9, 6, 4, 12, 4,
    3, 4, 5, 5, 4, 4, 4, 4, 5, 6, 12, 12, 9, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
    12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 11, 11, 11, 11, 8, 11, 6, 7, 7,
    6, 6, 7, 8, 8, 7, 9, 9, 8, 8, 7, 7, 7, 9, 7, 6, 7, 7, 9, 7, 8, 9, 8, 10, 11, 7, 11, 13,
];
/// The same for the end of a block and each length symbol.
#[rustfmt::skip]
const ASCII_LENGTHS: [u8; 30] = [
    10, 11, 11, 11, 11, 11, 11, 11, 7, 8, 11, 11, 11, 10, 8, 11, 11, 7, 8, 10, 10, 11, 11, 11, 10,
    5, 7, 11, 11, 11,
];
/// The same for each distance symbol.
#[rustfmt::skip]
const ASCII_DISTANCES: [u8; DISTANCES] = [
    11, 11, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 6, 3, 1, 4, 4, 4, 5, 4, 5, 6, 7, 8, 9, 9,
    9, 10, 10,
];

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

    /// The code for ASCII.
    pub(super) fn ascii() -> Self {
        Self::of_ascii(ASCII_LITERALS)
    }

    /// The code for ASCII in which all digits are equally long, [`DIGIT_BITS`].
    pub(super) fn numbers() -> Self {
        let mut literals = ASCII_LITERALS;
        for (byte, bits) in (0_u8..).zip(&mut literals) {
            match byte {
                b'0'..=b'9' => *bits = DIGIT_BITS,
                // Makes room for the digits.
                b'.' => *bits += 1,
                _ => {}
            }
        }
        Self::of_ascii(literals)
    }

    fn of_ascii(literals: [u8; ASCII_LITERALS.len()]) -> Self {
        // No other byte has a code.
        let others = [0; 256 - ASCII_LITERALS.len()];
        let symbols = [&literals[..], &others, &ASCII_LENGTHS].concat();
        Self::new(
            header(&symbols, &ASCII_DISTANCES),
            &symbols,
            &ASCII_DISTANCES,
        )
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
fn header(symbols: &[u8], distances: &[u8; DISTANCES]) -> Vec<Bits> {
    /// The code lengths of the code length alphabet, by symbol. All symbols are used, so the code
    /// is always complete.
    const LENGTHS: [u8; 19] = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5];
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
    let lengths = ORDER.iter().filter_map(|symbol| LENGTHS.get(*symbol));
    header.extend(lengths.map(|length| bits((*length).into(), 3)));
    let codes = canonical(&LENGTHS);
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
