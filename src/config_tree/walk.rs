//! Reading a tree: every mistake is collected, with the path of its key, and reading goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use secrecy::SecretString;

use super::words::{is_keylike, join, may_be_secret, may_hold_credentials, show, unknown_key};
use super::{ConfigError, ConfigErrors, Node, Place, Scalar, ScalarKind, Value};

/// The longest secret; Cloudflare's tokens and keys have about 40 characters.
const MAX_SECRET_BYTES: usize = 4096;
/// The longest name of the DNS (RFC 1035, section 2.3.4).
const MAX_ZONE_KEY_BYTES: usize = 255;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Collector(RefCell<Vec<ConfigError>>);

impl Collector {
    /// Adds one.
    pub fn push(&self, error: ConfigError) {
        self.0.borrow_mut().push(error);
    }

    /// The root of a document.
    pub fn root<'a>(&'a self, node: &'a Node) -> Field<'a> {
        Field {
            node,
            path: String::new(),
            errors: self,
        }
    }

    /// Whether nothing was wrong; else the mistakes in the order of the file, then the others.
    pub fn check(self) -> Result<(), ConfigErrors> {
        let mut errors = self.0.into_inner();
        errors.sort_by_key(|error| match error.place {
            Place::File { line, .. } => line,
            _ => usize::MAX,
        });
        ConfigErrors::check(errors)
    }
}

/// A value at its path. Whatever does not fit is reported, and comes out as `None`.
#[derive(Clone)]
pub struct Field<'a> {
    node: &'a Node,
    path: String,
    errors: &'a Collector,
}

impl<'a> Field<'a> {
    /// Where the value stands.
    pub fn place(&self) -> &'a Place {
        &self.node.place
    }

    /// Reports a problem without showing the value.
    pub fn reject(&self, problem: impl Into<String>) {
        self.report(problem.into(), None);
    }

    /// Reports that something else was expected, and shows the value unless it may be a secret.
    pub fn expected(&self, what: impl AsRef<str>) {
        let found = match &self.node.value {
            Value::Null => Some("nothing".to_owned()),
            Value::List(_) => Some("a list".to_owned()),
            Value::Map(_) => Some("a map".to_owned()),
            Value::Scalar(scalar) => (!may_be_secret(&self.path)
                && !may_hold_credentials(&scalar.text))
            .then(|| show(&scalar.text)),
        };
        self.report(format!("expected {}", what.as_ref()), found);
    }

    /// A text. A number or truth value without quotes is taken as it was written.
    pub fn text(&self) -> Option<&'a str> {
        let text = self.scalar().map(|scalar| scalar.text.as_str());
        if text.is_none() {
            self.expected("a text");
        }
        text
    }

    /// A text of which `parse` makes a value; its error says what was expected.
    pub fn parse<T, E: AsRef<str>>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        parse(self.text()?)
            .map_err(|expected| self.expected(expected))
            .ok()
    }

    /// A secret: a text that a header can carry. It is never shown.
    pub fn secret(&self) -> Option<SecretString> {
        let text = match self.scalar() {
            Some(scalar) if is_text(scalar) => scalar.text.trim(),
            _ => {
                self.reject("expected a text in quotes");
                return None;
            }
        };
        if text.is_empty() || text.len() > MAX_SECRET_BYTES {
            self.reject(format!("expected 1 to {MAX_SECRET_BYTES} characters"));
            None
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.reject("expected letters, digits and signs, without white space");
            None
        } else {
            Some(SecretString::from(text))
        }
    }

    /// `true` or `false`; in a variable also `1`, `0`, `yes` and `no`.
    pub fn boolean(&self) -> Option<bool> {
        let truth = self.scalar().and_then(|scalar| {
            let text = scalar.text.to_ascii_lowercase();
            match (scalar.kind, self.place()) {
                (ScalarKind::Plain, Place::Variable(_)) => parse_boolean(&text),
                (ScalarKind::Plain | ScalarKind::Boolean, _) => text.parse().ok(),
                _ => None,
            }
        });
        if truth.is_none() {
            self.expected("true or false");
        }
        truth
    }

    /// A whole number within bounds.
    pub fn integer(&self, bounds: &RangeInclusive<u32>) -> Option<u32> {
        let number = self.number().and_then(|text| {
            // A leading zero is an octal number to some readers of YAML, and none to others.
            let plain = text == "0" || !text.starts_with(['0', '+']);
            text.parse().ok().filter(|_| plain)
        });
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            self.expected(format!(
                "a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            ));
        }
        number
    }

    /// A number above 0 and at most 1.
    pub fn fraction(&self) -> Option<f64> {
        let share = self
            .number()
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|share| *share > 0.0 && *share <= 1.0);
        if share.is_none() {
            self.expected("a number above 0 and at most 1");
        }
        share
    }

    /// Whether this is a list without values.
    pub fn is_empty_list(&self) -> bool {
        matches!(&self.node.value, Value::List(items) if items.is_empty())
    }

    /// The values of a list.
    pub fn items(&self) -> Vec<Self> {
        let Value::List(items) = &self.node.value else {
            self.expected_composite("a list");
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(index, node)| Field {
                node,
                path: format!("{}[{index}]", self.path),
                errors: self.errors,
            })
            .collect()
    }

    /// The entries of a map with keys of any kind, each key once.
    pub fn entries(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(entries) = &self.node.value else {
            self.expected_composite("a map");
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut fields = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let field = Field {
                node,
                path: join(&self.path, key),
                errors: self.errors,
            };
            if seen.insert(key.as_str()) {
                fields.push((key.as_str(), field));
            } else {
                field.reject("this key is there twice");
            }
        }
        fields
    }

    /// The entries of a map keyed by names of zones, each name once in whatever case.
    pub fn zones(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(entries) = &self.node.value else {
            self.expected_composite("a map of zone names or ids");
            return Vec::new();
        };
        let mut seen = BTreeSet::new();
        let mut zones = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let field = Field {
                node,
                path: join(&self.path, key),
                errors: self.errors,
            };
            let name = key.trim();
            if name.is_empty() || name.len() > MAX_ZONE_KEY_BYTES {
                field.reject(format!(
                    "expected a zone name or id of 1 to {MAX_ZONE_KEY_BYTES} bytes"
                ));
            } else if !seen.insert(name.to_ascii_lowercase()) {
                field.reject("this zone is there twice (names are equal in any case)");
            } else {
                zones.push((name, field));
            }
        }
        zones
    }

    /// A map with known keys. Those that `read` does not ask for are reported as unknown.
    pub fn section<T>(&self, read: impl FnOnce(&mut Section<'a>) -> T) -> Option<T> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                self.expected_composite("a map");
                return None;
            }
        };
        let mut section = Section {
            entries,
            path: self.path.clone(),
            errors: self.errors,
            asked: Vec::new(),
        };
        let value = read(&mut section);
        section.report_strangers();
        Some(value)
    }

    fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn number(&self) -> Option<&'a str> {
        self.scalar()
            .filter(|scalar| matches!(scalar.kind, ScalarKind::Plain | ScalarKind::Number))
            .map(|scalar| scalar.text.as_str())
    }

    /// A scalar where a list or map belongs may be a secret in the wrong place: it is not shown.
    fn expected_composite(&self, what: &str) {
        match self.scalar() {
            Some(_) => self.report(format!("expected {what}"), Some("a text".to_owned())),
            None => self.expected(what),
        }
    }

    fn report(&self, problem: String, found: Option<String>) {
        self.errors.push(ConfigError {
            place: self.node.place.clone(),
            path: self.path.clone(),
            problem,
            found,
        });
    }
}

/// A map that is being read.
pub struct Section<'a> {
    entries: &'a [(String, Node)],
    path: String,
    errors: &'a Collector,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The value of a key, unless it is left out or empty.
    pub fn get(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        let (_, node) = self.entries.iter().find(|(name, _)| name == key)?;
        if matches!(node.value, Value::Null) {
            return None;
        }
        Some(Field {
            node,
            path: join(&self.path, key),
            errors: self.errors,
        })
    }

    /// A map in this one; an empty one where it is left out, or is no map.
    pub fn section<T>(&mut self, key: &'static str, read: impl Fn(&mut Section<'a>) -> T) -> T {
        self.get(key)
            .and_then(|field| field.section(&read))
            .unwrap_or_else(|| {
                read(&mut Section {
                    entries: &[],
                    path: join(&self.path, key),
                    errors: self.errors,
                    asked: Vec::new(),
                })
            })
    }

    /// Reports what nobody asked for, and what is there twice.
    fn report_strangers(&self) {
        let mut seen = BTreeSet::new();
        for (key, node) in self.entries {
            let known = self.asked.contains(&key.as_str());
            let problem = if !known {
                unknown_key(key, &self.asked)
            } else if !seen.insert(key.as_str()) {
                "this key is there twice".to_owned()
            } else {
                continue;
            };
            self.errors.push(ConfigError {
                place: node.place.clone(),
                path: join(&self.path, if known || is_keylike(key) { key } else { "…" }),
                problem,
                found: None,
            });
        }
    }
}

/// `true`, `1`, `yes`, `false`, `0` or `no`.
fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// Whether a scalar can only be meant as a text: a bare number or truth value is not, for another
/// reader of the same file would not see a text in it.
fn is_text(scalar: &Scalar) -> bool {
    match scalar.kind {
        ScalarKind::Text => true,
        ScalarKind::Plain => {
            scalar.text.parse::<f64>().is_err() && parse_boolean(&scalar.text).is_none()
        }
        ScalarKind::Number | ScalarKind::Boolean => false,
    }
}
