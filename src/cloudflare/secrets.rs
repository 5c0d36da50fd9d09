//! Redacts every secret that this process uses.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};

use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};

/// The replacement for a secret.
const REDACTED: &str = "[redacted]";
/// The most replaced secrets to keep. A response to a request from before a rotation arrives within
/// minutes, so a few are enough.
const MAX_REPLACED: usize = 16;
/// The shortest secret to redact from bodies before they are parsed. Cloudflare's have 37
/// characters or more; a shorter one is a mistake, and could be part of any response.
const SHORTEST_IN_BODIES: usize = 16;

/// The secrets of all accounts, including replaced ones: a response to one account may contain the
/// secret of another. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    known: Arc<RwLock<Vec<Arc<Known>>>>,
}

/// A secret that stays registered while this is held, and for some time after.
#[derive(Debug)]
pub(super) struct Known {
    /// As it is, and with JSON escapes.
    spellings: Vec<SecretString>,
}

impl Secrets {
    /// Registers a secret. Forgets the oldest unused ones, so that at most [`MAX_REPLACED`] remain.
    pub(super) fn add(&self, secret: &SecretString) -> Arc<Known> {
        let spellings = spellings(secret.expose_secret());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.iter().find(|known| known.is_spelt(&spellings)) {
            return Arc::clone(same);
        }
        let new = Arc::new(Known { spellings });
        known.push(Arc::clone(&new));
        let is_replaced = |known: &Arc<Known>| Arc::strong_count(known) == 1;
        let replaced = known.iter().filter(|known| is_replaced(known)).count();
        let mut surplus = replaced.saturating_sub(MAX_REPLACED);
        known.retain(|known| {
            let goes = surplus > 0 && is_replaced(known);
            surplus -= usize::from(goes);
            !goes
        });
        new
    }

    /// External text without any secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        self.without(text.as_bytes(), 1)
            .unwrap_or_else(|| text.to_owned())
    }

    /// The body of a response without any secrets, so that nothing parsed from it contains one.
    pub(super) fn redact_body(&self, body: Vec<u8>) -> Vec<u8> {
        let body = plainly_spelt(&body).unwrap_or(body);
        self.without(&body, SHORTEST_IN_BODIES)
            .map_or(body, String::into_bytes)
    }

    /// The text without secrets of at least `shortest` characters; `None` if it contains none.
    fn without(&self, text: &[u8], shortest: usize) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let spellings = known.iter().flat_map(|known| &known.spellings);
        let mut held: Vec<&str> = spellings
            .map(SecretString::expose_secret)
            .filter(|spelling| spelling.len() >= shortest)
            .filter(|spelling| memmem::find(text, spelling.as_bytes()).is_some())
            .collect();
        if held.is_empty() {
            return None;
        }
        // One may be part of another, so replace longer ones first.
        held.sort_by_key(|spelling| Reverse(spelling.len()));
        let text = String::from_utf8_lossy(text).into_owned();
        Some(
            held.into_iter()
                .fold(text, |text, spelling| text.replace(spelling, REDACTED)),
        )
    }
}

impl Known {
    fn is_spelt(&self, spellings: &[SecretString]) -> bool {
        let own = self.spellings.iter().map(SecretString::expose_secret);
        own.eq(spellings.iter().map(SecretString::expose_secret))
    }
}

/// The JSON with the numeric escapes of visible ASCII, the characters of secrets, decoded (RFC
/// 8259, section 7); `None` if there are none.
fn plainly_spelt(json: &[u8]) -> Option<Vec<u8>> {
    memmem::find(json, br"\u")?;
    let mut plain = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        plain.push(byte);
        if byte != b'\\' {
            continue;
        }
        let number = after.strip_prefix(b"u").and_then(|digits| digits.get(..4));
        let number = number.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let number = number.and_then(|digits| str::from_utf8(digits).ok());
        let character = number.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match character.filter(u8::is_ascii_graphic) {
            Some(special @ (b'"' | b'\\')) => plain.push(special),
            Some(character) => {
                plain.pop();
                plain.push(character);
            }
            // For any other escape, also copy the character after the backslash.
            None => {
                if let Some((&next, after)) = after.split_first() {
                    plain.push(next);
                    rest = after;
                }
                continue;
            }
        }
        rest = after.get(5..).unwrap_or_default();
    }
    Some(plain)
}

/// The secret as it is, and in the two spellings that JSON allows without numeric escapes.
fn spellings(secret: &str) -> Vec<SecretString> {
    let escaped = secret.replace('\\', r"\\").replace('"', "\\\"");
    let mut spellings = vec![escaped.replace('/', r"\/"), escaped, secret.to_owned()];
    spellings.dedup();
    spellings.into_iter().map(SecretString::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn add(secrets: &Secrets, secret: &str) -> Arc<Known> {
        secrets.add(&SecretString::from(secret))
    }

    #[test]
    fn every_secret_goes_from_a_text_in_each_of_its_spellings() {
        let secrets = Secrets::default();
        let _first = add(&secrets, "one/\"1\"");
        let _second = add(&secrets, "two");
        assert_eq!(
            secrets.redact(r#"one/"1", one/\"1\", one\/\"1\" and two"#),
            "[redacted], [redacted], [redacted] and [redacted]"
        );
        assert_eq!(secrets.redact("neither"), "neither");
        assert!(!format!("{secrets:?}").contains("two"));
    }

    #[test]
    fn a_secret_that_begins_with_another_goes_whole() {
        let secrets = Secrets::default();
        let _short = add(&secrets, "abc");
        let _long = add(&secrets, "abcdef");
        assert_eq!(secrets.redact("abcdef abc"), "[redacted] [redacted]");
    }

    #[test]
    fn a_body_loses_no_word_to_a_secret_that_is_none() {
        let secrets = Secrets::default();
        let _short = add(&secrets, "result");
        let _long = add(&secrets, "a-secret-of-sixteen-and-more");
        let body = br#"{"result":"a-secret-of-sixteen-and-more"}"#.to_vec();
        let clean = secrets.redact_body(body);
        assert_eq!(clean, br#"{"result":"[redacted]"}"#);
    }

    #[test]
    fn a_body_may_spell_a_secret_by_numbers() {
        let secrets = Secrets::default();
        let _secret = add(&secrets, r#"a-"secret\-of-sixteen"#);
        let body = br#"["\u0061-\u0022secret\u005C-of\u002dsixteen","\n\u00e4\u0000\\u0061"]"#;
        let clean = secrets.redact_body(body.to_vec());
        let clean = String::from_utf8(clean).unwrap();
        assert_eq!(clean, r#"["[redacted]","\n\u00e4\u0000\\u0061"]"#);
    }

    proptest! {
        #[test]
        fn json_says_the_same_in_any_spelling(texts: Vec<String>, numbers: Vec<bool>) {
            let mut json = String::from("[");
            let mut numbers = numbers.iter().cycle();
            for text in &texts {
                json.push_str(if json.len() == 1 { "\"" } else { ",\"" });
                for unit in text.encode_utf16() {
                    let plain = unit < 128 && numbers.next() == Some(&false);
                    match char::from_u32(unit.into()).filter(|_| plain) {
                        Some(c @ ('"' | '\\')) => json.extend(['\\', c]),
                        Some(c) if !c.is_control() => json.push(c),
                        _ => json.extend(format!("\\u{unit:04x}").chars()),
                    }
                }
                json.push('"');
            }
            json.push(']');
            let plain = plainly_spelt(json.as_bytes()).unwrap_or(json.into_bytes());
            prop_assert_eq!(serde_json::from_slice::<Vec<String>>(&plain).unwrap(), texts);
        }
    }

    #[test]
    fn secrets_that_were_replaced_stay_known_up_to_a_bound_and_those_in_use_always() {
        let secrets = Secrets::default();
        let _in_use = add(&secrets, "in-use");
        for number in 0..1000 {
            drop(add(&secrets, &format!("rotated-{number:03}")));
        }
        assert_eq!(secrets.redact("in-use"), "[redacted]");
        assert_eq!(secrets.redact("rotated-999"), "[redacted]");
        assert_eq!(secrets.redact("rotated-000"), "rotated-000");
        let known = secrets.known.read().unwrap().len();
        assert!(known <= MAX_REPLACED + 2, "{known}");
    }

    #[test]
    fn a_secret_that_comes_again_is_known_once() {
        let secrets = Secrets::default();
        let first = add(&secrets, "same");
        assert!(Arc::ptr_eq(&first, &add(&secrets, "same")));
        drop((first, add(&secrets, "other")));
        assert_eq!(secrets.known.read().unwrap().len(), 2);
    }
}
