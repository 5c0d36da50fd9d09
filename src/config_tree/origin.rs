//! Where a value was set, and how it was written.

use std::fmt;

use ::config::{Map, Value, ValueKind};
use serde::{Deserialize, Serialize};

/// Where a value was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A line of a file, from 1; line 0 is the whole file.
    File {
        /// The file as the operator named it.
        name: String,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The whole environment.
    #[default]
    Environment,
    /// A command line flag.
    Flag(String),
}

impl Place {
    /// A whole file.
    pub fn file(name: &str) -> Self {
        Self::File {
            name: name.to_owned(),
            line: 0,
        }
    }

    /// An environment variable.
    pub fn variable(name: &str) -> Self {
        Self::Variable(name.to_owned())
    }

    /// The same file at this line; other places are unchanged.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { name, .. } => Self::File {
                name: name.clone(),
                line,
            },
            other => other.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: 0 } => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Environment => f.write_str("environment"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// The source of a [`Value`], as JSON in the single string that `config` keeps. A map that was
/// created for a variable inside it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// A quoted scalar is text. Others are of any type that their text fits.
    pub(super) quoted: bool,
    /// The line of the value's key.
    pub(super) key_line: usize,
    /// Where the value is.
    pub(super) place: Place,
}

impl Origin {
    pub(super) fn of(value: &Value) -> Self {
        let origin = value.origin().map(serde_json::from_str);
        origin.and_then(Result::ok).unwrap_or_default()
    }

    pub(super) fn key_place(&self) -> Place {
        self.place.at_line(self.key_line)
    }

    fn value(&self, kind: ValueKind) -> Value {
        Value::new(serde_json::to_string(self).ok().as_ref(), kind)
    }
}

/// An unquoted value.
pub(crate) fn plain(kind: impl Into<ValueKind>, place: Place) -> Value {
    scalar(kind, false, place)
}

/// A value, quoted or not.
pub(crate) fn scalar(kind: impl Into<ValueKind>, quoted: bool, place: Place) -> Value {
    let origin = Origin {
        quoted,
        key_line: 0,
        place,
    };
    origin.value(kind.into())
}

/// Adds a key to a map. A list or map begins at the line of its key. A repeated key is kept under a
/// unique name with an invalid value, so that the reader reports it with the other mistakes.
pub(super) fn insert(map: &mut Map<String, Value>, key: String, key_line: usize, value: Value) {
    let mut origin = Origin::of(&value);
    origin.key_line = key_line;
    if !matches!(value.kind, ValueKind::String(_)) {
        origin.place = origin.place.at_line(key_line);
    }
    if map.contains_key(&key) {
        let key = format!("{key}{REPETITION}{}", map.len());
        map.insert(key, origin.value(REPEATED));
    } else {
        map.insert(key, origin.value(value.kind));
    }
}

/// Marks a repeated key. Only this value is a boolean, because real ones are kept as text.
pub(super) const REPEATED: ValueKind = ValueKind::Boolean(true);
/// Separates a repeated key from the suffix that makes it unique.
pub(super) const REPETITION: char = '\0';
