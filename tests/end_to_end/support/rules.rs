//! The shipped rules, also in compressed time.

use std::fmt::Write as _;

use super::{read, replaced};

/// The text before durations in the rules.
const BEFORE_DURATIONS: [&str; 3] = ["for: ", "[", "offset "];
/// The maximum of the compressed durations, so that tests do not wait longer.
const LONGEST_SECONDS: u32 = 60;

/// The rules as shipped.
pub(crate) fn shipped() -> String {
    read("deploy/prometheus/rules.yaml")
}

/// The rules in compressed time: pending periods, ranges and offsets take one second for each
/// minute, and at most an hour counts.
pub(crate) fn hurried() -> String {
    // The age at which data is too old.
    let mut rules = replaced(&shipped(), " > 1800)", " > 30)");
    for before in BEFORE_DURATIONS {
        let mut count = 0;
        let mut parts = rules.split(before);
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            text += before;
            if let Some((number, unit, rest)) = duration(part) {
                count += 1;
                let seconds = (number * unit).min(LONGEST_SECONDS);
                write!(text, "{seconds}s{rest}").unwrap();
            } else {
                text += part;
            }
        }
        assert!(count > 0, "no duration after {before:?}");
        rules = text;
    }
    rules
}

/// Parses a duration: its number, its unit in minutes, and the remaining text.
fn duration(text: &str) -> Option<(u32, u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let minutes = match rest.chars().next()? {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => return None,
    };
    Some((digits.parse().ok()?, minutes, &rest[1..]))
}
