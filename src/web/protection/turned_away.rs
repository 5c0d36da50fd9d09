//! Remembers credentials that have waited for a check.

/// The bits of a filter: 512 KiB.
const BITS: usize = 1 << 22;
const WORD: usize = 64;
/// The bits set per entry.
const HASHES: usize = 3;
/// The most entries in a filter. When both are full, a fifth of the bits is set, and one in a
/// hundred other values is mistaken for an entry.
const GENERATION: usize = 1 << 18;

/// Remembers at least the last [`GENERATION`] entries in constant memory, with two Bloom filters:
/// when the newer one is full, the older one is cleared.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    newer: Filter,
    older: Filter,
}

/// Uses no memory while empty.
#[derive(Debug, Default)]
struct Filter {
    words: Vec<u64>,
    entries: usize,
}

impl TurnedAway {
    /// Adds a keyed hash. Returns whether it was there before, with rare false positives.
    pub(super) fn insert(&mut self, tag: &[u8]) -> bool {
        let known = self.newer.contains(tag) || self.older.contains(tag);
        if self.newer.entries >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(tag);
        known
    }
}

impl Filter {
    fn contains(&self, tag: &[u8]) -> bool {
        self.entries > 0
            && bits(tag).all(|bit| {
                let word = self.words.get(bit / WORD);
                word.is_some_and(|word| word & (1 << (bit % WORD)) != 0)
            })
    }

    fn insert(&mut self, tag: &[u8]) {
        self.words.resize(BITS / WORD, 0);
        for bit in bits(tag) {
            if let Some(word) = self.words.get_mut(bit / WORD) {
                *word |= 1 << (bit % WORD);
            }
        }
        self.entries += 1;
    }
}

/// The bits of an entry. Parts of a keyed hash serve as independent hashes.
fn bits(tag: &[u8]) -> impl Iterator<Item = usize> {
    let (parts, _) = tag.as_chunks();
    let parts = parts.iter().take(HASHES);
    parts.map(|part| usize::try_from(u32::from_be_bytes(*part)).unwrap_or(0) % BITS)
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    use super::*;

    fn tag(number: usize) -> Vec<u8> {
        let digest = digest(&SHA256, &number.to_be_bytes());
        digest.as_ref().to_vec()
    }

    #[test]
    fn an_entry_is_remembered_while_a_generation_of_others_comes() {
        let mut seen = TurnedAway::default();
        assert!(!seen.insert(&tag(0)));
        let mut mistaken = 0;
        for number in 1..=GENERATION {
            mistaken += usize::from(seen.insert(&tag(number)));
        }
        assert!(seen.insert(&tag(0)));
        assert!(mistaken < GENERATION / 100, "{mistaken}");
    }

    #[test]
    fn old_entries_are_forgotten() {
        let mut seen = TurnedAway::default();
        let forgotten = tag(0);
        seen.insert(&forgotten);
        for number in 1..=2 * GENERATION {
            seen.insert(&tag(number));
        }
        assert!(!seen.older.contains(&forgotten) && !seen.newer.contains(&forgotten));
    }
}
