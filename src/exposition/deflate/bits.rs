//! Writes bits, starting with the least significant one of each byte (RFC 1951, section 3.1.1).

/// Appends bits to bytes.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that are not written yet, fewer than 32.
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            pending: 0,
            count: 0,
        }
    }

    /// Appends the lowest `count` bits, at most 32. The others must be 0.
    #[inline]
    pub(super) fn push(&mut self, bits: u32, count: u32) {
        self.pending |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            let [a, b, c, d, ..] = self.pending.to_le_bytes();
            self.out.extend_from_slice(&[a, b, c, d]);
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// The number of bits in all, those that were in the buffer before included.
    pub(super) fn position(&self) -> usize {
        8 * self.out.len() + self.count as usize
    }

    /// Ends on a byte boundary, with an empty stored block (RFC 1951, section 3.2.4).
    pub(super) fn align(mut self) {
        self.push(0, 3);
        let bytes = self.pending.to_le_bytes();
        let used = self.count.div_ceil(8) as usize;
        self.out.extend(bytes.iter().take(used));
        self.out.extend_from_slice(&[0, 0, 0xff, 0xff]);
    }
}
