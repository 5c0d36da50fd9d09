//! Redacts every secret that this process uses.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};

use memchr::{memchr, memmem};
use secrecy::{ExposeSecret as _, SecretString};

/// The replacement for a secret.
const REDACTED: &str = "[redacted]";
/// The shortest secret to redact from bodies before they are parsed. Cloudflare's have 37
/// characters or more; a shorter one is a mistake, and could be part of any response.
const SHORTEST_IN_BODIES: usize = 16;

/// The secrets of all accounts: a response to one account may contain the secret of another. Clones
/// share them.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    known: Arc<RwLock<Vec<Arc<Known>>>>,
}

/// A secret that stays registered while this is held, and until the next one is registered. A
/// request holds it until its response is read, also if the secret is replaced meanwhile.
#[derive(Debug)]
pub(super) struct Known(pub(super) SecretString);

impl Secrets {
    /// Registers a secret, and forgets those that are no longer used.
    pub(super) fn add(&self, secret: &SecretString) -> Arc<Known> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Arc<Known>| known.0.expose_secret() == secret.expose_secret();
        if let Some(same) = known.iter().find(is_same) {
            return Arc::clone(same);
        }
        let new = Arc::new(Known(secret.clone()));
        known.retain(|known| Arc::strong_count(known) > 1);
        known.push(Arc::clone(&new));
        new
    }

    /// External text without any secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        self.without(text.as_bytes(), 1)
            .unwrap_or_else(|| text.to_owned())
    }

    /// The body of a response without any secrets, so that nothing parsed from it contains one.
    pub(super) fn redact_body(&self, body: Vec<u8>) -> Vec<u8> {
        let body = match memmem::find(&body, br"\u") {
            Some(_) => without_numeric_escapes(&body),
            None => body,
        };
        self.without(&body, SHORTEST_IN_BODIES)
            .map_or(body, String::into_bytes)
    }

    /// The text without secrets of at least `shortest` characters; `None` if it contains none.
    fn without(&self, text: &[u8], shortest: usize) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let secrets = known.iter().map(|known| known.0.expose_secret());
        let mut held: Vec<String> = secrets
            .filter(|secret| secret.len() >= shortest)
            .flat_map(spellings)
            .filter(|spelling| memmem::find(text, spelling.as_bytes()).is_some())
            .collect();
        if held.is_empty() {
            return None;
        }
        // One may be part of another, so replace longer ones first.
        held.sort_by_key(|spelling| Reverse(spelling.len()));
        let text = String::from_utf8_lossy(text).into_owned();
        let redact = |text: String, spelling: &String| text.replace(spelling, REDACTED);
        Some(held.iter().fold(text, redact))
    }
}

/// The secret as it is, and in the two spellings that JSON allows without numeric escapes.
fn spellings(secret: &str) -> [String; 3] {
    let escaped = secret.replace('\\', r"\\").replace('"', "\\\"");
    let with_slashes = escaped.replace('/', r"\/");
    [secret.to_owned(), escaped, with_slashes]
}

/// The JSON with the numeric escapes of visible ASCII, the characters of secrets, decoded (RFC
/// 8259, section 7).
fn without_numeric_escapes(json: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        plain.extend(before);
        let character = visible_ascii(escape);
        match character {
            Some(special @ (b'"' | b'\\')) => plain.extend([b'\\', special]),
            Some(character) => plain.push(character),
            None => plain.extend(escape.iter().take(2)),
        }
        let length = if character.is_some() { 6 } else { 2 };
        rest = escape.get(length..).unwrap_or_default();
    }
    plain.extend(rest);
    plain
}

/// The character of a numeric escape at the beginning of the text, if it is visible ASCII.
fn visible_ascii(escape: &[u8]) -> Option<u8> {
    let digits = escape.strip_prefix(br"\u00")?.get(..2)?;
    let digits = str::from_utf8(digits).ok()?;
    let character = u8::from_str_radix(digits, 16).ok()?;
    character.is_ascii_graphic().then_some(character)
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
        fn json_means_the_same_in_any_spelling(texts: Vec<String>, numbers: Vec<bool>) {
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
            let plain = without_numeric_escapes(json.as_bytes());
            prop_assert_eq!(serde_json::from_slice::<Vec<String>>(&plain).unwrap(), texts);
        }
    }

    #[test]
    fn a_secret_is_known_while_it_is_in_use_and_until_the_next_one_comes() {
        let secrets = Secrets::default();
        let _in_use = add(&secrets, "in-use");
        for number in 0..10 {
            drop(add(&secrets, &format!("rotated-{number}")));
        }
        assert_eq!(secrets.redact("in-use rotated-9"), "[redacted] [redacted]");
        assert_eq!(secrets.redact("rotated-8"), "rotated-8");
        assert_eq!(secrets.known.read().unwrap().len(), 2);
    }

    #[test]
    fn a_secret_that_comes_again_is_known_once() {
        let secrets = Secrets::default();
        let first = add(&secrets, "same");
        assert!(Arc::ptr_eq(&first, &add(&secrets, "same")));
        assert_eq!(secrets.known.read().unwrap().len(), 1);
    }
}
