//! Writes numbers and addresses. A large exposition has millions of them, and the formatter of the
//! standard library takes longer than the rest of a line.

use std::io::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;

use super::text::unix_seconds;
use crate::domain::OriginIp;

pub(super) fn push_whole(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a decimal point and the digits of `fraction / one`, without trailing zeros. Appends
/// nothing for 0. `one` is a power of ten.
fn push_fraction(out: &mut Vec<u8>, fraction: u32, one: u32) {
    if fraction > 0 {
        let point = out.len();
        push_whole(out, (one + fraction).into());
        if let Some(point) = out.get_mut(point) {
            *point = b'.';
        }
        let zeros = out.iter().rev().take_while(|digit| **digit == b'0');
        out.truncate(out.len() - zeros.count());
    }
}

/// Appends a number of milliseconds as seconds.
pub(super) fn push_millis(out: &mut Vec<u8>, millis: u64) {
    push_whole(out, millis / 1000);
    push_fraction(out, (millis % 1000) as u32, 1000);
}

/// Appends a time in Unix seconds, as the nearest `f64`.
pub(super) fn push_unix_seconds(out: &mut Vec<u8>, time: Timestamp) {
    let seconds = u32::try_from(time.as_second());
    match (seconds, u32::try_from(time.subsec_nanosecond())) {
        // Between 1970 and 2106 an `f64` has the precision of a microsecond, so these digits are the
        // shortest that parse to the same number.
        (Ok(seconds), Ok(nanoseconds)) if nanoseconds.is_multiple_of(1000) => {
            push_whole(out, seconds.into());
            push_fraction(out, nanoseconds / 1000, 1_000_000);
        }
        _ => {
            // Writing to a `Vec` cannot fail.
            let _ = write!(out, "{}", unix_seconds(time));
        }
    }
}

pub(super) fn push_ip(out: &mut Vec<u8>, ip: OriginIp) {
    match ip.addr() {
        IpAddr::V4(v4) => {
            for octet in v4.octets() {
                push_whole(out, octet.into());
                out.push(b'.');
            }
            out.pop();
        }
        // Writing to a `Vec` cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

#[cfg(test)]
mod tests {
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
            prop_assert_eq!(shown, unix_seconds(time).to_string());
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
}
