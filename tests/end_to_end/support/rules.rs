//! The shipped rules, and what they say.

use std::fmt::Write as _;

use super::{read, replaced};

/// What stands before a duration in the rules.
const BEFORE_DURATIONS: [&str; 3] = ["for: ", "[", "offset "];
/// No hurried duration is longer, for nobody waits longer for a test.
const LONGEST_SECONDS: u32 = 60;

/// The rules as they are shipped.
pub(crate) fn shipped() -> String {
    read("deploy/prometheus/rules.yaml")
}

/// The rules with pending times, windows and offsets in which a minute lasts a second, and what is
/// longer than an hour no longer than an hour.
pub(crate) fn hurried() -> String {
    // The age from which data is too old.
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

/// The number, the minutes of its unit, and what follows.
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
