//! Where a value was set, and how it was written.

use std::fmt;
use std::sync::Arc;

use ::config::{Map, Value, ValueKind};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1; line 0 is the whole file.
    File {
        /// The file as the operator named it.
        name: Arc<str>,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// The whole environment.
    Environment,
    /// A command line flag.
    Flag(Arc<str>),
}

impl Place {
    /// A whole file.
    pub fn file(name: &str) -> Self {
        Self::File {
            name: Arc::from(name),
            line: 0,
        }
    }

    /// An environment variable.
    pub fn variable(name: &str) -> Self {
        Self::Variable(Arc::from(name))
    }

    /// The same file at this line; other places are unchanged.
    pub(super) fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { name, .. } => Self::File {
                name: Arc::clone(name),
                line,
            },
            other => other.clone(),
        }
    }

    /// The place of a value as text.
    pub(super) fn encode(&self) -> String {
        match self {
            Self::File { name, line } => format!("{line} {name}"),
            Self::Variable(name) => format!("- {name}"),
            Self::Flag(name) => format!("+ {name}"),
            Self::Environment => String::new(),
        }
    }

    pub(super) fn decode(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("-", name)) => Self::variable(name),
            Some(("+", name)) => Self::Flag(Arc::from(name)),
            Some((line, name)) => Self::file(name).at_line(line.parse().unwrap_or(0)),
            None => Self::Environment,
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

/// The source of a [`Value`], encoded in the single string that `config` keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// A quoted scalar is text. Others are of any type that their text fits.
    pub(super) quoted: bool,
    /// The line of the value's key.
    pub(super) key_line: usize,
    /// Where the value is.
    pub(super) place: Place,
}

impl Origin {
    /// A map that was created for a variable inside it has no origin.
    pub(super) fn of(value: &Value) -> Self {
        let mut parts = value.origin().unwrap_or_default().splitn(3, ' ');
        let mut number = || parts.next().and_then(|number| number.parse().ok());
        let (quoted, key_line) = (number() == Some(1), number().unwrap_or(0));
        Self {
            quoted,
            key_line,
            place: Place::decode(parts.next().unwrap_or_default()),
        }
    }

    pub(super) fn key_place(&self) -> Place {
        self.place.at_line(self.key_line)
    }

    fn value(&self, kind: ValueKind) -> Value {
        let Self {
            quoted,
            key_line,
            place,
        } = self;
        let text = format!("{} {key_line} {}", u8::from(*quoted), place.encode());
        Value::new(Some(&text), kind)
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
