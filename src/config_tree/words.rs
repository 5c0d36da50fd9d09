//! How messages show keys and values, and which values they hide.

use crate::truncate::{prefix, truncated};

/// The most characters of a value that an error shows.
const SHOWN_CHARS: usize = 80;
/// Words in a key that suggest a secret value.
const SECRET_WORDS: [&str; 7] = ["token", "key", "secret", "pass", "auth", "cred", "pem"];
/// The least similarity (Jaro-Winkler, 0 to 1) of a known key to an unknown one for which it is
/// suggested. It allows a typing error or two, but not another word.
const LIKENESS: f64 = 0.8;

/// The message for an unknown name, with the most similar known one.
pub(crate) fn unknown_key(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown key, did you mean \"{near}\"?"),
        None => format!("unknown key, expected one of {}", known.join(", ")),
    }
}

/// The known name that an unknown one is most similar to, if any is similar.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = likeness.max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.and_then(|(likeness, known)| (likeness >= LIKENESS).then_some(known))
}

/// Quotes a value for a message, truncated if it is long.
fn show(text: &str) -> String {
    format!("{:?}", truncated(text, SHOWN_CHARS))
}

/// Appends a key to a path. Keys are truncated, and their control characters escaped.
pub(super) fn join(path: &str, key: &str) -> String {
    let key = prefix(key, SHOWN_CHARS).escape_debug();
    if path.is_empty() {
        key.to_string()
    } else {
        format!("{path}.{key}")
    }
}

/// Whether an unknown key looks like a real one. If it has digits or is longer than any key, it may
/// be a secret written before a colon.
pub(super) fn is_keylike(key: &str) -> bool {
    key.len() <= 30 && !key.contains(|c: char| c.is_ascii_digit())
}

/// The value at this path in quotes, unless it may be a secret: if a key of the path suggests one, or
/// if it may be a URL with a user and password, or with a signature in its query.
pub(super) fn shown(path: &str, text: &str) -> Option<String> {
    let path = path.to_ascii_lowercase();
    let may_be_secret = SECRET_WORDS.iter().any(|word| path.contains(word));
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    // The address of an IPv6 host has colons of its own.
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    let is_port = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_password = after_address
        .split_once(':')
        .is_some_and(|(_, port)| !is_port(port));
    let may_hold_credentials = text.contains('@') || rest.contains('?') || has_password;
    (!may_be_secret && !may_hold_credentials).then(|| show(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_told_from_another_word() {
        let known = ["interval", "timeout", "retries", "retain"];
        for (name, suggested) in [
            ("intervall", Some("interval")),
            ("intreval", Some("interval")),
            ("time_out", Some("timeout")),
            ("retrys", Some("retries")),
            ("requests", None),
            ("hetzner", None),
        ] {
            let words = unknown_key(name, &known);
            let suggestion = suggested.map(|known| format!("did you mean \"{known}\"?"));
            match suggestion {
                Some(suggestion) => assert!(words.ends_with(&suggestion), "{name}: {words}"),
                None => assert!(
                    words.contains("expected one of interval, "),
                    "{name}: {words}"
                ),
            }
        }
    }

    #[test]
    fn what_is_shown_is_short_and_on_one_line() {
        assert_eq!(show("a\nb"), "\"a\\nb\"");
        assert_eq!(show(&"x".repeat(10_000)).chars().count(), SHOWN_CHARS + 3);
        assert_eq!(join("a", "b\nc"), "a.b\\nc");
    }

    #[test]
    fn a_url_with_a_password_is_not_shown() {
        for (url, is_shown) in [
            ("ftp://example.com:21/x", true),
            ("ftp://example.com/a:b", true),
            ("ftp://[2001:db8::1]:21/x", true),
            ("https://example.com:99999/", true),
            ("https://user:secret@example.com", false),
            ("https://user:secret", false),
            ("https://user:12345678", false),
            ("https://example.com/?signature=x", false),
        ] {
            assert_eq!(
                shown("cloudflare.base_url", url).is_some(),
                is_shown,
                "{url}"
            );
        }
    }
}
