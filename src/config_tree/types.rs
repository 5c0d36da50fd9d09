//! Building blocks of serde types: values that keep their place for later validation, maps keyed by
//! name, parsed text, bounded numbers.

use std::fmt;

use ::config::Map;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::ConfigError;
use super::origin::Place;
use super::words::shown;

/// Newtype names that tell the deserializer what to return: the location of a value; any text; text
/// that no parser reads as a number or boolean; an unquoted scalar, or an empty text for anything
/// else.
pub(super) const LOCATION: &str = "config_tree::Location";
pub(crate) const TEXT: &str = "config_tree::Text";
pub(crate) const SECRET: &str = "config_tree::Secret";
pub(crate) const NUMBER: &str = "config_tree::Number";
/// The struct whose fields are all read from the same value.
pub(super) const LOCATED: &str = "Located";

/// Where a value is: its place and the path of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The place.
    pub place: Place,
    /// The path of its key, such as `accounts[0].zones.include[1]`.
    pub path: String,
}

impl Location {
    /// An error at this location, without the value.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError {
            at: self.clone(),
            problem: problem.into(),
            found: None,
        }
    }

    /// An error that names what was expected; `found` is shown unless it may be a secret.
    pub fn expected(&self, what: impl fmt::Display, found: &str) -> ConfigError {
        ConfigError {
            found: shown(&self.path, found),
            ..self.error(format!("expected {what}"))
        }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (place, path) = parsed(LOCATION, from, |text| serde_json::from_str(text))?;
        Ok(Self { place, path })
    }
}

/// A value and its location.
#[derive(Debug, Clone, Deserialize)]
pub struct Located<T> {
    /// Its location.
    pub at: Location,
    /// The value.
    pub value: T,
}

/// A map keyed by name, in document order.
pub type Entries<T> = Map<String, Located<T>>;

/// Parses a text of this kind into a value; the error of `parse` describes what was expected.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    kind: &'static str,
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(kind, Text(parse))
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
        parsed(NUMBER, deserializer, |text| {
            // Some YAML parsers read a leading zero as octal, others do not.
            let unambiguous = text == "0" || !text.starts_with(['0', '+']);
            let number = text.parse().ok().filter(|_| unambiguous);
            let number = number.filter(|number| (MIN..=MAX).contains(number));
            let expected = || format!("a whole number from {MIN} to {MAX}");
            number.map(Self).ok_or_else(expected)
        })
    }
}

/// Defines newtypes that are parsed from text: any, or `of` another kind. `$parse` returns the
/// value, or what was expected.
macro_rules! parsed_types {
    (@kind) => { $crate::config_tree::TEXT };
    (@kind $kind:ident) => { $crate::config_tree::$kind };
    ($(
        $(#[$attribute:meta])*
        $visibility:vis $name:ident($inner:ty) $(of $kind:ident)? = $parse:expr;
    )*) => {$(
        $(#[$attribute])*
        $visibility struct $name($visibility $inner);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let kind = parsed_types!(@kind $($kind)?);
                $crate::config_tree::parsed(kind, from, $parse).map(Self)
            }
        }
    )*};
}
pub(crate) use parsed_types;
