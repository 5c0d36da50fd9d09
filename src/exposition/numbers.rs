//! Numbers and addresses, written many times as fast as by the standard formatter: a large
//! exposition has millions of them. What is rare is left to the formatter.

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;

use super::text::UnixSeconds;
use crate::domain::OriginIp;

/// Digits of the largest `u64`.
const MAX_DIGITS: usize = 20;

/// Appends a whole number.
pub(super) fn push_whole(out: &mut Vec<u8>, value: u64) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut rest = value;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += digit_of(rest % 10);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(MAX_DIGITS - used..).unwrap_or_default());
}

/// Appends a point and the decimals of `fraction`, which has `DIGITS` of them, without trailing
/// zeros. Appends nothing for 0.
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

/// Appends a number of milliseconds in seconds.
#[expect(clippy::cast_possible_truncation, reason = "less than 1000")]
pub(super) fn push_millis(out: &mut Vec<u8>, millis: u64) {
    push_whole(out, millis / 1000);
    push_fraction::<3>(out, (millis % 1000) as u32);
}

/// Appends a time in Unix seconds, as the nearest `f64`.
pub(super) fn push_unix_seconds(out: &mut Vec<u8>, time: Timestamp) {
    match UnixSeconds(time).whole_micros() {
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

/// Appends an address.
pub(super) fn push_ip(out: &mut Vec<u8>, ip: OriginIp) {
    match ip.addr() {
        IpAddr::V4(v4) => {
            let mut text = [0; 15];
            let mut used = 0;
            let mut push = |byte: u8| {
                if let Some(place) = text.get_mut(used) {
                    *place = byte;
                    used += 1;
                }
            };
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    push(b'.');
                }
                if octet >= 100 {
                    push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    push(b'0' + octet / 10 % 10);
                }
                push(b'0' + octet % 10);
            }
            out.extend_from_slice(text.get(..used).unwrap_or_default());
        }
        IpAddr::V6(_) => {
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, "{ip}");
        }
    }
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
        ) {
            prop_assert_eq!(pushed(|out| push_whole(out, number)), number.to_string());
            let time = Timestamp::new(seconds, nanoseconds).unwrap_or_default();
            let shown = pushed(|out| push_unix_seconds(out, time));
            prop_assert_eq!(shown, UnixSeconds(time).to_string());
            let ip = OriginIp::from(ip);
            prop_assert_eq!(pushed(|out| push_ip(out, ip)), ip.to_string());
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
