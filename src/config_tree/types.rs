//! The building blocks of serde types: values that keep their place for what is checked after
//! reading, maps keyed by names, texts that are parsed, bounded numbers.

use std::fmt;
use std::marker::PhantomData;

use ::config::Map;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::ConfigError;
use super::origin::Place;
use super::words::{may_be_secret, may_hold_credentials, show};

/// Newtypes by whose name the deserializer knows what is asked for: a value with its location, as a
/// map of one entry; a text in quotes, or one that can be nothing else; a scalar without quotes.
pub(super) const LOCATED: &str = "config_tree::Located";
pub(super) const SECRET: &str = "config_tree::Secret";
pub(super) const NUMBER: &str = "config_tree::Number";
/// Paths hold no control characters.
const SEPARATOR: char = '\0';

/// Where a value is: its place and the path of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The place.
    pub place: Place,
    /// The path of its key.
    pub path: String,
}

impl Location {
    /// What is wrong here, without the value.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            place: self.place.clone(),
            path: self.path.clone(),
            problem: problem.into(),
            found: None,
        }
    }

    /// What was expected here instead of `found`, which is shown unless it may be a secret.
    pub fn expected(&self, what: impl fmt::Display, found: &str) -> ConfigError {
        let hidden = may_be_secret(&self.path) || may_hold_credentials(found);
        ConfigError {
            found: (!hidden).then(|| show(found)),
            ..self.error(format!("expected {what}"))
        }
    }

    pub(super) fn encode(&self) -> String {
        format!("{}{SEPARATOR}{}", self.path, self.place.encode())
    }

    fn decode(text: &str) -> Self {
        let (path, place) = text.split_once(SEPARATOR).unwrap_or((text, ""));
        Self {
            place: Place::decode(place),
            path: path.to_owned(),
        }
    }
}

/// A value and where it is.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// Where it is.
    pub at: Location,
    /// The value.
    pub value: T,
}

/// A map keyed by names, in the order of the document.
pub type Entries<T> = Map<String, Located<T>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entry<T> {
            type Value = Located<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its location")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let entry = map.next_entry::<String, T>()?;
                let (at, value) = entry.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let at = Location::decode(&at);
                Ok(Located { at, value })
            }
        }

        deserializer.deserialize_newtype_struct(LOCATED, Entry(PhantomData))
    }
}

/// Makes a value of a text; the error of `parse` says what was expected.
pub fn parsed<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(parse))
}

/// As [`parsed`], with a text that no reader takes for a number or a truth value.
pub fn parsed_secret<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(SECRET, Text(parse))
}

/// As [`parsed`], with a scalar that is not in quotes; of another `parse` gets an empty text.
pub fn parsed_number<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(NUMBER, Text(parse))
}

struct Text<F>(F);

impl<T, E: fmt::Display, F: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<R: Error>(self, text: &str) -> Result<T, R> {
        let Self(parse) = self;
        parse(text).map_err(|expected| R::custom(format_args!("expected {expected}")))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub struct Number<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed_number(deserializer, |text| {
            // A leading zero is an octal number to some readers of YAML, and none to others.
            let unambiguous = text == "0" || !text.starts_with(['0', '+']);
            let number = text.parse().ok().filter(|_| unambiguous);
            let number = number.filter(|number| (MIN..=MAX).contains(number));
            let expected = || format!("a whole number from {MIN} to {MAX}");
            number.map(Self).ok_or_else(expected)
        })
    }
}

/// Newtypes that are read from one text: how, and what was expected where that fails.
macro_rules! parsed_types {
    ($($(#[$attribute:meta])* $visibility:vis $name:ident($inner:ty) = $parse:expr;)*) => {$(
        $(#[$attribute])*
        $visibility struct $name($visibility $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::config_tree::parsed(from, $parse).map(Self)
            }
        }
    )*};
}
pub(crate) use parsed_types;
