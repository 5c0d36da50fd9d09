//! Building blocks of serde types: values that keep their place for later validation, maps keyed by
//! name, parsed text, bounded numbers.

use std::fmt;
use std::marker::PhantomData;

use ::config::Map;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::ConfigError;
use super::origin::Place;
use super::words::{may_be_secret, may_hold_credentials, show};

/// Newtype names that tell the deserializer what to return: a value with its location, as a map
/// with one entry; text that is quoted or unambiguous; an unquoted scalar.
pub(super) const LOCATED: &str = "config_tree::Located";
pub(super) const SECRET: &str = "config_tree::Secret";
pub(super) const NUMBER: &str = "config_tree::Number";
/// Paths contain no control characters.
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
    /// An error at this location, without the value.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            place: self.place.clone(),
            path: self.path.clone(),
            problem: problem.into(),
            found: None,
        }
    }

    /// An error that names what was expected; `found` is shown unless it may be a secret.
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

/// A value and its location.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// Its location.
    pub at: Location,
    /// The value.
    pub value: T,
}

/// A map keyed by name, in document order.
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

/// Parses text into a value; the error of `parse` describes what was expected.
pub fn parsed<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(parse))
}

/// Like [`parsed`], but only for text that no parser reads as a number or boolean.
pub fn parsed_secret<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(SECRET, Text(parse))
}

/// Like [`parsed`], for an unquoted scalar; `parse` gets an empty string for anything else.
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
            // Some YAML parsers read a leading zero as octal, others do not.
            let unambiguous = text == "0" || !text.starts_with(['0', '+']);
            let number = text.parse().ok().filter(|_| unambiguous);
            let number = number.filter(|number| (MIN..=MAX).contains(number));
            let expected = || format!("a whole number from {MIN} to {MAX}");
            number.map(Self).ok_or_else(expected)
        })
    }
}

/// Defines newtypes that are parsed from text: by [`parsed`], or `by` another function here. `$parse`
/// returns the value, or what was expected.
macro_rules! parsed_types {
    (@reader) => { $crate::config_tree::parsed };
    (@reader $reader:ident) => { $crate::config_tree::$reader };
    ($(
        $(#[$attribute:meta])*
        $visibility:vis $name:ident($inner:ty) $(by $reader:ident)? = $parse:expr;
    )*) => {$(
        $(#[$attribute])*
        $visibility struct $name($visibility $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                parsed_types!(@reader $($reader)?)(from, $parse).map(Self)
            }
        }
    )*};
}
pub(crate) use parsed_types;
