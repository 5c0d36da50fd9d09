//! Checksums of texts that are joined (CRC-32, RFC 1952, section 8).
//!
//! `flate2` can combine two checksums too, but derives the shift from the length each time. Here a
//! text's shift is computed once, and thousands of texts are joined in each exposition.

use flate2::Crc;

/// The polynomial, with the coefficient of the highest power in the lowest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// `x` to the power of 8 · 2ⁿ for each n: the shift of 2ⁿ bytes.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const SHIFTS: [u32; usize::BITS as usize] = {
    let mut shifts = [ONE >> 8; usize::BITS as usize];
    let mut n = 1;
    while n < shifts.len() {
        shifts[n] = times(shifts[n - 1], shifts[n - 1]);
        n += 1;
    }
    shifts
};

/// The digits of the largest `u32`.
const DIGITS: usize = 10;

/// The checksums of each of the four bits by which two digits can differ, followed by as many bytes
/// as the digit has digits behind it.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const DIGIT_BITS: [[u32; 4]; DIGITS] = {
    let mut sums = [[0; 4]; DIGITS];
    let mut bit = 0;
    while bit < 4 {
        sums[0][bit] = times(1 << bit, ONE >> 8);
        let mut digit = 1;
        while digit < DIGITS {
            sums[digit][bit] = times(sums[digit - 1][bit], ONE >> 8);
            digit += 1;
        }
        bit += 1;
    }
    sums
};

/// The checksum of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum {
    sum: u32,
    /// What the checksum of an earlier text is multiplied by when this text follows.
    shift: u32,
    /// The length modulo 2³², as the trailer of a gzip member has it.
    len: u32,
}

impl Checksum {
    /// The checksum of the empty text.
    pub(super) const EMPTY: Self = Self {
        sum: 0,
        shift: ONE,
        len: 0,
    };

    pub(super) fn of(text: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(text);
        Self {
            sum: crc.sum(),
            shift: shift_of(text.len()),
            len: crc.amount(),
        }
    }

    /// The checksum of this text followed by another one.
    #[must_use]
    pub(super) fn then(self, next: Self) -> Self {
        Self {
            sum: times(self.sum, next.shift) ^ next.sum,
            shift: times(self.shift, next.shift),
            len: self.len.wrapping_add(next.len),
        }
    }

    /// The checksum of the text after these changes.
    #[must_use]
    pub(super) fn after(self, changes: &DigitChanges) -> Self {
        let sums = changes.sums.iter().zip(&DIGIT_BITS);
        let pairs = sums.flat_map(|(shifts, bits)| shifts.iter().zip(bits));
        let change = pairs.fold(0, |change, (shift, bit)| change ^ times(*shift, *bit));
        Self {
            sum: self.sum ^ change,
            ..self
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The checksum and the length, as they end a gzip member.
    pub(super) fn trailer(self) -> [[u8; 4]; 2] {
        [self.sum.to_le_bytes(), self.len.to_le_bytes()]
    }
}

/// Changes of digits in a text, whose length stays the same.
///
/// A checksum is linear: it changes by the sum of what each changed bit contributes. Equal bits of
/// different numbers are added before they are multiplied, so a change costs a few instructions.
#[derive(Debug, Default)]
pub(super) struct DigitChanges {
    /// By the place of the digit in its number, units first, and by bit: the sum of the shifts of
    /// the numbers.
    sums: [[u32; 4]; DIGITS],
}

impl DigitChanges {
    /// Replaces a digit by one that differs in these bits. `place` is 0 for the units, and `shift`
    /// is the one of the bytes that follow the units.
    #[inline]
    pub(super) fn change(&mut self, place: usize, bits: u8, shift: Shift) {
        if let Some(sums) = self.sums.get_mut(place) {
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum ^= shift.0 & u32::from(bits >> bit & 1).wrapping_neg();
            }
        }
    }
}

/// The factor by which the bytes after a place in a text change what comes before them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift(u32);

impl Shift {
    /// Nothing follows.
    pub(super) const NONE: Self = Self(ONE);

    /// As many bytes more follow.
    #[must_use]
    pub(super) fn and(self, len: usize) -> Self {
        Self(times(self.0, shift_of(len)))
    }
}

/// The factor by which `len` bytes that follow a text change its checksum.
fn shift_of(len: usize) -> u32 {
    let shifts = SHIFTS.iter().enumerate();
    let shifts = shifts.filter(|(n, _)| len >> n & 1 == 1);
    shifts.fold(ONE, |product, (_, shift)| times(product, *shift))
}

/// The product of two polynomials modulo [`POLYNOMIAL`].
const fn times(a: u32, b: u32) -> u32 {
    let (mut product, mut a, mut b) = (0, a, b);
    while a != 0 {
        // All bits are set if the highest one of `a` is.
        product ^= b & (a >> 31).wrapping_neg();
        a <<= 1;
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_texts_have_the_checksum_of_the_whole(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        ) {
            let parts = texts.iter().map(|text| Checksum::of(text));
            let joined = parts.fold(Checksum::EMPTY, Checksum::then);
            let whole = Checksum::of(&texts.concat());
            prop_assert_eq!(joined.trailer(), whole.trailer());
            prop_assert_eq!(joined.shift, whole.shift);
        }

        #[test]
        fn changed_digits_change_the_checksum_as_the_text(
            numbers in prop::collection::vec((100_000_u32..1_000_000, 100_000_u32..1_000_000), 1..8),
        ) {
            let text = |numbers: &mut dyn Iterator<Item = u32>| {
                let lines = numbers.map(|number| format!("age {number}.25\n"));
                lines.collect::<Vec<_>>().concat()
            };
            let before = text(&mut numbers.iter().map(|(before, _)| *before));
            let after = text(&mut numbers.iter().map(|(_, after)| *after));
            let mut changes = DigitChanges::default();
            let mut shift = Shift::NONE.and(".25\n".len());
            for (before, after) in numbers.iter().rev() {
                let digits = before.to_string().into_bytes().into_iter().rev();
                let digits = digits.zip(after.to_string().into_bytes().into_iter().rev());
                for (place, (before, after)) in digits.enumerate() {
                    changes.change(place, before ^ after, shift);
                }
                shift = shift.and("age 123456.25\n".len());
            }
            prop_assert_eq!(
                Checksum::of(before.as_bytes()).after(&changes).trailer(),
                Checksum::of(after.as_bytes()).trailer()
            );
        }
    }
}
