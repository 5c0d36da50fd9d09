//! Writes numbers and addresses. A large exposition has millions of them, and the standard
//! formatter takes longer than the rest of a line. Rare cases still use the formatter.

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;

use super::text::UnixSeconds;
use crate::domain::OriginIp;

/// Digits of the largest `u64`.
const MAX_DIGITS: usize = 20;

/// The numbers below 100 as two digits.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

/// Each octet followed by a dot, and its length including the dot.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut octet: u8 = 0;
    loop {
        let (hundreds, tens) = (b'0' + octet / 100, b'0' + octet / 10 % 10);
        let ones = b'0' + octet % 10;
        octets[octet as usize] = match octet {
            0..10 => ([ones, b'.', b'.', b'.'], 2),
            10..100 => ([tens, ones, b'.', b'.'], 3),
            100.. => ([hundreds, tens, ones, b'.'], 4),
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

/// Start and end of the run of zeros that is omitted from an address, by the segments that are
/// zero, the first one in the highest bit.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const OMITTED: [(u8, u8); 256] = {
    let mut omitted = [(0, 0); 256];
    let mut zeros: u8 = 0;
    loop {
        let mut start = 0;
        while start < 8 {
            let mut len = 0;
            while start + len < 8 && zeros << (start + len) & 0x80 != 0 {
                len += 1;
            }
            let (longest_start, longest_end) = omitted[zeros as usize];
            if len > 1 && len > longest_end - longest_start {
                omitted[zeros as usize] = (start, start + len);
            }
            start += 1;
        }
        if zeros == u8::MAX {
            break omitted;
        }
        zeros += 1;
    }
};

pub(super) fn push_whole(out: &mut Vec<u8>, value: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut rest = value;
    let mut start = MAX_DIGITS;
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for pair in pairs.iter_mut().rev() {
        *pair = pair_of(rest % 100);
        rest /= 100;
        start -= 2;
        if rest == 0 {
            break;
        }
    }
    if digits.get(start) == Some(&b'0') && start + 1 < MAX_DIGITS {
        start += 1;
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn pair_of(value: u64) -> [u8; 2] {
    let pair = usize::try_from(value)
        .ok()
        .and_then(|value| PAIRS.get(value));
    pair.copied().unwrap_or_default()
}

/// Appends a decimal point and `fraction`, which has `DIGITS` decimals, without trailing zeros.
/// Appends nothing for 0.
fn push_fraction<const DIGITS: usize>(out: &mut Vec<u8>, fraction: u32) {
    if fraction == 0 {
        return;
    }
    let mut rest = fraction;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += digit_of(u64::from(rest % 10));
        rest /= 10;
    }
    out.push(b'.');
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0');
    let used = DIGITS - zeros.count();
    out.extend_from_slice(digits.get(..used).unwrap_or_default());
}

#[expect(clippy::cast_possible_truncation, reason = "a digit is less than 10")]
fn digit_of(value: u64) -> u8 {
    value as u8
}

/// Appends a number of milliseconds as seconds.
pub(super) fn push_millis(out: &mut Vec<u8>, millis: u64) {
    push_whole(out, millis / 1000);
    push_fraction::<3>(out, (millis % 1000) as u32);
}

/// Appends a time in Unix seconds, as the nearest `f64`.
pub(super) fn push_unix_seconds(out: &mut Vec<u8>, time: Timestamp) {
    match UnixSeconds(time).whole_micros() {
        // From 2001 on.
        Some((seconds @ 1_000_000_000.., micros)) if micros > 0 => {
            push_recent(out, seconds, micros);
        }
        Some((seconds, micros)) => {
            push_whole(out, seconds.into());
            push_fraction::<6>(out, micros);
        }
        None => {
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, "{}", UnixSeconds(time));
        }
    }
}

/// Appends seconds with ten digits and microseconds other than 0. Faster than the general functions,
/// because the number of bytes that are copied is constant.
fn push_recent(out: &mut Vec<u8>, seconds: u32, micros: u32) {
    let mut text = [b'.'; 17];
    let (whole, rest) = text.split_at_mut(10);
    let (_, fraction) = rest.split_at_mut(1);
    for (digits, value) in [(whole, seconds), (fraction, micros)] {
        let mut rest = value;
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for pair in pairs.iter_mut().rev() {
            *pair = pair_of((rest % 100).into());
            rest /= 100;
        }
    }
    out.extend_from_slice(&text);
    let zeros = text.iter().rev().take_while(|digit| **digit == b'0');
    out.truncate(out.len() - zeros.count());
}

pub(super) fn push_ip(out: &mut Vec<u8>, ip: OriginIp) {
    match ip.addr() {
        IpAddr::V4(v4) => {
            let mut text = [0; 16];
            let mut used = 0;
            for octet in v4.octets() {
                let (digits, len) = octet_of(octet);
                if let Some(place) = text.get_mut(used..used + digits.len()) {
                    place.copy_from_slice(&digits);
                }
                used += usize::from(len);
            }
            // Copying a constant number of bytes is faster. The last dot goes too.
            out.extend_from_slice(&text);
            out.truncate(out.len() - (text.len() + 1 - used));
        }
        IpAddr::V6(v6) => push_ipv6(out, v6.segments()),
    }
}

#[expect(clippy::indexing_slicing, reason = "there is one for each octet")]
fn octet_of(octet: u8) -> ([u8; 4], u8) {
    OCTETS[usize::from(octet)]
}

/// Appends an address in the form of RFC 5952: the first of the longest runs of at least two zeros
/// is omitted. The address must not be an IPv4-mapped one.
fn push_ipv6(out: &mut Vec<u8>, segments: [u16; 8]) {
    let zeros = segments
        .iter()
        .fold(0_u8, |zeros, segment| zeros << 1 | u8::from(*segment == 0));
    let (start, end) = omitted_of(zeros);
    let mut text = [0; 40];
    let mut used = 0;
    let mut push = |bytes: [u8; 4], len: usize| {
        if let Some(place) = text.get_mut(used..used + bytes.len()) {
            place.copy_from_slice(&bytes);
        }
        used += len;
    };
    for (index, segment) in (0_u8..).zip(segments) {
        if index < start || index >= end {
            let (digits, len) = hex_digits(segment);
            push(digits, len);
            if index < 7 {
                push([b':'; 4], 1);
            }
        } else if index == start {
            // After a segment, there is a colon already.
            push([b':'; 4], if start == 0 { 2 } else { 1 });
        }
    }
    out.extend_from_slice(&text);
    out.truncate(out.len() - (text.len() - used));
}

#[expect(clippy::indexing_slicing, reason = "there is one for each byte")]
fn omitted_of(zeros: u8) -> (u8, u8) {
    OMITTED[usize::from(zeros)]
}

/// The digits of a segment, followed by anything, and their number.
fn hex_digits(segment: u16) -> ([u8; 4], usize) {
    let digits = [12, 8, 4, 0].map(|shift| match (segment >> shift & 0xf) as u8 {
        digit @ 0..10 => b'0' + digit,
        digit => b'a' - 10 + digit,
    });
    let zeros = (segment.leading_zeros() / 4).min(3);
    let digits = u32::from_be_bytes(digits) << (8 * zeros);
    (digits.to_be_bytes(), 4 - zeros as usize)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn pushed(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before".to_vec();
        push(&mut out);
        let out = String::from_utf8(out).unwrap();
        out.strip_prefix("before").unwrap().to_owned()
    }

    proptest! {
        #[test]
        fn all_are_written_as_the_formatter_writes_them(
            number in prop_oneof![any::<u64>(), 0..100_000_u64],
            seconds in -10_000_000_000_i64..10_000_000_000,
            nanoseconds in prop_oneof![0..1_000_000_000_i32, (0..1_000_000_i32).prop_map(|n| n * 1000)],
            ip in any::<IpAddr>(),
            segments in prop::array::uniform8(prop_oneof![3 => Just(0), 1 => any::<u16>()]),
        ) {
            prop_assert_eq!(pushed(|out| push_whole(out, number)), number.to_string());
            let time = Timestamp::new(seconds, nanoseconds).unwrap_or_default();
            let shown = pushed(|out| push_unix_seconds(out, time));
            prop_assert_eq!(shown, UnixSeconds(time).to_string());
            for ip in [ip, IpAddr::from(segments)] {
                let ip = OriginIp::from(ip);
                prop_assert_eq!(pushed(|out| push_ip(out, ip)), ip.to_string());
            }
        }

        #[test]
        fn a_duration_is_written_as_the_number_that_it_reads_back_as(
            milliseconds in 0..1_000_000_000_000_u64,
        ) {
            let shown = pushed(|out| push_millis(out, milliseconds));
            let number: f64 = shown.parse().unwrap();
            prop_assert_eq!(number.to_string(), shown);
            let expected = Duration::from_millis(milliseconds).as_secs_f64();
            prop_assert_eq!(number.to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn every_octet_is_written_as_the_formatter_writes_it() {
        for octet in 0..=255 {
            let ip = OriginIp::from(IpAddr::from(Ipv4Addr::new(octet, 0, 255, octet)));
            assert_eq!(pushed(|out| push_ip(out, ip)), ip.to_string());
        }
    }
}
