//! Zone names as people write them, and globs over them.

use std::borrow::Cow;
use std::fmt;

use idna::AsciiDenyList;

use super::ZoneName;

/// The longest glob: a DNS name, with room for Unicode.
const MAX_BYTES: usize = 510;

impl ZoneName {
    /// The form in which names are compared: ASCII (IDNA), lower case, without the root dot.
    pub fn normal(&self) -> String {
        normal(self.as_str())
    }

    /// Whether this zone has the given name, in any spelling.
    pub fn matches(&self, name: &str) -> bool {
        let (own, name) = (without_root(self.as_str()), without_root(name));
        if own.is_ascii() && name.is_ascii() {
            own.eq_ignore_ascii_case(name)
        } else {
            normal(own) == normal(name)
        }
    }

    /// The normal form of a configured name or identifier.
    pub fn normal_of(name: &str) -> String {
        normal(name)
    }
}

fn without_root(name: &str) -> &str {
    let name = name.trim();
    name.strip_suffix('.').unwrap_or(name)
}

/// A name that is not valid IDNA is only lower-cased.
fn normal(name: &str) -> String {
    let name = without_root(name);
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::EMPTY)
        .map_or_else(|_| name.to_lowercase(), Cow::into_owned)
}

/// The Unicode form of a name, or of part of one.
fn unicode(name: &str) -> Cow<'_, str> {
    let plain = name.is_ascii() && !name.to_ascii_lowercase().contains("xn--");
    match idna::domain_to_unicode(name) {
        (unicode, Ok(())) if !plain => Cow::Owned(unicode),
        _ => Cow::Owned(name.to_lowercase()),
    }
}

/// Like [`unicode`], for text that may end in a wildcard.
fn unicode_part(part: &str) -> String {
    let literal = part.trim_end_matches(['*', '?']);
    let wildcard = part.strip_prefix(literal).unwrap_or_default();
    unicode(literal).into_owned() + wildcard
}

/// A name, or a glob over names: `*` matches any number of characters, including dots, and `?`
/// matches one. Names match in any spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneGlob {
    text: Box<str>,
    pattern: Box<[char]>,
}

impl ZoneGlob {
    /// Parses a glob; the error describes what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(format!("a name or glob of 1 to {MAX_BYTES} bytes"));
        }
        if text.contains(|c: char| c.is_whitespace() || "[]{}\\!/".contains(c)) {
            return Err("a name or glob, in which only \"*\" and \"?\" are special".to_owned());
        }
        let labels = without_root(text).split('.').map(|label| {
            // An ASCII part of a label is matched as it is: only a whole label can be decoded.
            if label.is_ascii() && label.contains(['*', '?']) {
                label.to_ascii_lowercase()
            } else {
                let parts = label.split_inclusive(['*', '?']);
                parts.map(unicode_part).collect()
            }
        });
        let pattern = labels.collect::<Vec<String>>().join(".");
        Ok(Self {
            text: text.into(),
            pattern: pattern.chars().collect(),
        })
    }

    /// Whether the glob matches a name.
    pub fn matches(&self, name: &ZoneName) -> bool {
        let normal = name.normal();
        let is_match = |name: &str| matches(&self.pattern, &name.chars().collect::<Vec<_>>());
        is_match(&normal) || (normal.contains("xn--") && is_match(&unicode(&normal)))
    }
}

/// As it was written.
impl fmt::Display for ZoneGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// On a mismatch, the last `*` takes one more character; earlier ones need no backtracking.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&character) = name.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&expected) if expected == '?' || expected == character => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((wildcard, taken)) = star else {
                    return false;
                };
                star = Some((wildcard, taken + 1));
                (at, read) = (wildcard + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ZoneName {
        ZoneName::parse(text).unwrap()
    }

    fn glob(text: &str) -> ZoneGlob {
        ZoneGlob::parse(text).unwrap()
    }

    /// One name in Unicode (composed and decomposed), upper case, ASCII, and with the root dot.
    const SPELLINGS: [&str; 6] = [
        "bücher.example",
        "BÜCHER.example",
        "bu\u{308}cher.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.EXAMPLE",
        "bücher.example.",
    ];

    #[test]
    fn a_name_has_one_normal_form() {
        for one in SPELLINGS {
            for other in SPELLINGS {
                assert!(name(one).matches(other), "{one} {other}");
                assert!(glob(one).matches(&name(other)), "{one} {other}");
            }
            assert_eq!(name(one).normal(), "xn--bcher-kva.example");
            assert!(!name(one).matches("bucher.example"));
        }
        assert!(name("Example.com").matches("example.COM."));
        assert!(!name("example.com").matches("www.example.com"));
    }

    #[test]
    fn globs_match_names_in_any_spelling() {
        for (pattern, names, others) in [
            (
                "*.example.com",
                &["a.example.com", "A.B.Example.com."][..],
                &["example.com"][..],
            ),
            (
                "*.bücher.example",
                &["a.xn--bcher-kva.example"],
                &["xn--bcher-kva.example"],
            ),
            (
                "*.xn--bcher-kva.example",
                &["a.BÜCHER.example"],
                &["a.bucher.example"],
            ),
            (
                "bü*",
                &["xn--bcher-kva.example", "bücher.example"],
                &["bucher.example"],
            ),
            ("xn--bcher*", &["bücher.example"], &["bcher.example"]),
            ("a?c.test", &["abc.test", "aüc.test"], &["ac.test"]),
        ] {
            for text in names {
                assert!(glob(pattern).matches(&name(text)), "{pattern} {text}");
            }
            for text in others {
                assert!(!glob(pattern).matches(&name(text)), "{pattern} {text}");
            }
        }
        for bad in ["", " ", "[", "{a,b}", "a/b", "a b", &"a".repeat(511)] {
            assert!(ZoneGlob::parse(bad).is_err(), "{bad}");
        }
    }

    /// The rules of a glob, implemented independently.
    fn by_the_rules(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([b'*', glob @ ..], _) => (0..=name.len()).any(|end| by_the_rules(glob, &name[end..])),
            ([b'?', glob @ ..], [_, name @ ..]) => by_the_rules(glob, name),
            ([one, glob @ ..], [other, name @ ..]) => {
                one.eq_ignore_ascii_case(other) && by_the_rules(glob, name)
            }
            ([], name) => name.is_empty(),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_rules_say(
            pattern in "[abA.*?-]{0,5}[abA*?-]", text in "[abAB.-]{0,8}[ab]", tail in "[ab.]{0,3}",
        ) {
            // Include names that are built to match.
            let made = pattern.replace('*', &tail).replace('?', "b");
            for text in [text, made] {
                if let (Ok(name), false) = (ZoneName::parse(&text), text.ends_with('.')) {
                    let expected = by_the_rules(pattern.as_bytes(), text.as_bytes());
                    prop_assert_eq!(glob(&pattern).matches(&name), expected, "{} {}", pattern, text);
                }
            }
        }

        #[test]
        fn no_glob_or_name_ends_the_process(pattern in "\\PC{0,40}", text in "\\PC{1,20}") {
            if let (Ok(glob), Ok(name)) = (ZoneGlob::parse(&pattern), ZoneName::parse(&text)) {
                glob.matches(&name);
            }
        }
    }
}
