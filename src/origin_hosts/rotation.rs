//! Whether a host has more addresses than mappings can follow, or may turn out to have more.

use super::host::{Address, IpKind};
use crate::domain::OriginIp;

/// The most addresses of a load balancer or of S3 that AWS puts into one answer. An answer with
/// exactly this many may be incomplete.
const FULL_ANSWER: usize = 8;
/// A full answer counts as complete after this many answers in a row that bring no new address. One
/// of them may come from a cache.
const QUIET_ANSWERS: u8 = 2;
/// A host is settling from this many answers with new addresses in a row. Replacing its addresses
/// takes only two.
const SETTLING_ANSWERS: u8 = 3;

/// What a host's answers so far show about the number of its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rotation {
    /// The limit that the number of addresses exceeds; `None` if it does not.
    pub(super) above: Option<u32>,
    /// Good answers in a row with new addresses.
    pub(super) novelties: u8,
    /// How many quiet answers it takes until the last full answer counts as complete.
    pub(super) doubts: u8,
    /// Whether the host may turn out to be rotating: answers keep bringing new addresses, or the last
    /// full answer may have been incomplete. This ends once answers bring no new addresses, or once
    /// the number of answers that did exceeds the limit.
    pub(super) is_settling: bool,
}

impl Rotation {
    /// Whether the host has more addresses than mappings can follow.
    pub(super) fn is_rotating(&self) -> bool {
        self.above.is_some()
    }

    /// Takes an answer. `known` are the addresses before it.
    pub(super) fn note(&mut self, known: &[Address], answer: &[OriginIp]) {
        let is_known = |ip: &OriginIp| known.iter().any(|address| address.ip == *ip);
        if answer.iter().all(is_known) {
            self.interrupt();
            self.doubts = self.doubts.saturating_sub(1);
            return;
        }
        let number = |kind| answer.iter().filter(|ip| IpKind::of(**ip) == kind).count();
        if [IpKind::V4, IpKind::V6].map(number).contains(&FULL_ANSWER) {
            self.doubts = QUIET_ANSWERS;
        }
        self.novelties = self.novelties.saturating_add(1);
    }

    /// Takes a lookup that brought no new address.
    pub(super) fn interrupt(&mut self) {
        self.novelties = 0;
    }

    /// Decides by the number of addresses that count, and by whether there are more than are
    /// remembered. A host stops rotating when the number has fallen to a quarter below the limit,
    /// so that a host at the limit does not flap. A changed limit applies without this margin.
    pub(super) fn judge(&mut self, count: usize, is_truncated: bool, above: usize) {
        let this_limit = u32::try_from(above).unwrap_or(u32::MAX);
        let limit = if self.above == Some(this_limit) {
            above - above / 4
        } else {
            above
        };
        let is_rotating = count > limit || is_truncated;
        self.above = is_rotating.then_some(this_limit);
        self.is_settling = !is_rotating
            && usize::from(self.novelties) <= above
            && (self.novelties >= SETTLING_ANSWERS || self.doubts > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOVE: usize = 16;

    fn ips(range: std::ops::Range<u8>) -> Vec<OriginIp> {
        range
            .map(|last| OriginIp::from(std::net::IpAddr::from([192, 0, 2, last])))
            .collect()
    }

    /// Applies the answers in order; all addresses count. Returns whether the host is settling
    /// after each of them, and whether it is rotating after the last.
    fn after(answers: &[std::ops::Range<u8>]) -> (Vec<bool>, bool) {
        let mut rotation = Rotation::default();
        let mut known: Vec<Address> = Vec::new();
        let mut settling = Vec::new();
        for answer in answers {
            let answer = ips(answer.clone());
            rotation.note(&known, &answer);
            for ip in answer {
                if known.iter().all(|address| address.ip != ip) {
                    known.push(Address {
                        ip,
                        first_seen: 0,
                        last_seen: 0,
                    });
                }
            }
            rotation.judge(known.len(), false, ABOVE);
            settling.push(rotation.is_settling);
        }
        (settling, rotation.is_rotating())
    }

    #[test]
    fn a_host_settles_while_its_answers_look_like_parts_of_more() {
        for (answers, settling, rotating) in [
            // Addresses that stay, and addresses that are replaced.
            (vec![0..3, 0..3], vec![false, false], false),
            (vec![0..3, 3..6, 3..6], vec![false, false, false], false),
            // A full answer may be complete; later ones show it.
            (vec![0..8, 0..8, 0..8], vec![true, true, false], false),
            (
                vec![0..8, 8..16, 0..8, 8..16],
                vec![true, true, true, false],
                false,
            ),
            (vec![0..8, 8..16, 16..24], vec![true, true, false], true),
            // The second one comes from a cache.
            (
                vec![0..8, 0..8, 8..16, 16..24],
                vec![true, true, true, false],
                true,
            ),
            (vec![0..7, 0..7], vec![false, false], false),
            (vec![0..9, 0..9], vec![false, false], false),
            // A full answer of a host that was known before.
            (vec![0..3, 0..3, 3..11], vec![false, false, true], false),
            // Small answers out of many addresses.
            (
                vec![0..4, 4..8, 8..12, 12..16, 16..20],
                vec![false, false, true, true, false],
                true,
            ),
            (
                vec![0..2, 2..4, 4..6, 0..2],
                vec![false, false, true, false],
                false,
            ),
        ] {
            assert_eq!(after(&answers), (settling, rotating), "{answers:?}");
        }
    }

    #[test]
    fn settling_ends_after_as_many_answers_as_addresses_can_be_followed_and_not_with_a_failure() {
        let mut rotation = Rotation::default();
        rotation.note(&[], &ips(0..8));
        rotation.judge(8, false, ABOVE);
        assert!(rotation.is_settling);
        rotation.interrupt();
        rotation.judge(8, false, ABOVE);
        assert!(rotation.is_settling, "a failure shows nothing");
        rotation = Rotation::default();

        // With a short window hardly any address counts.
        let settling = (0..30).map(|answer| {
            rotation.note(&[], &ips(answer..answer + 1));
            rotation.judge(1, false, ABOVE);
            rotation.is_settling
        });
        let settling: Vec<_> = settling.collect();
        let until = settling.iter().rposition(|is_settling| *is_settling);
        assert_eq!(until, Some(ABOVE - 1));
    }

    #[test]
    fn a_host_at_the_limit_does_not_flap() {
        let mut rotation = Rotation::default();
        let states = [16, 17, 16, 13, 12, 13, 16, 17].map(|count| {
            rotation.judge(count, false, ABOVE);
            rotation.is_rotating()
        });
        assert_eq!(states, [false, true, true, true, false, false, false, true]);
        rotation.judge(17, false, 20);
        assert!(!rotation.is_rotating(), "the limit is another");
        // A small limit has no margin.
        for (count, is_rotating) in [(3, true), (2, false)] {
            rotation.judge(count, false, 2);
            assert_eq!(rotation.is_rotating(), is_rotating, "{count}");
        }
    }
}
