//! Documents that people write (YAML, TOML, JSON) as one tree that remembers where each value
//! stands and how it was spelt.
//!
//! A tree of its own, since the parsers that make values lose what a configuration needs: that a
//! key stands there twice, that `0123` was written and not `123`, and the line of a mistake. Nothing
//! here prints a value unless [`Field`] may: a document can hold secrets, so the tree has no `Debug`.

mod error;
mod json;
mod toml;
mod walk;
mod words;
mod yaml;

use std::fmt;
use std::sync::Arc;

pub use error::{ConfigError, ConfigErrors};
pub use walk::{Collector, Field, Section};
pub(crate) use words::unknown_key;

/// Nesting beyond this is no configuration; the bound keeps recursion off the end of the stack.
const MAX_DEPTH: usize = 32;
/// Values in one document, those repeated through aliases included: 200,000 declared origins.
const MAX_NODES: usize = 1_000_000;
/// The largest document: the same 200,000 origins in 80 bytes each.
pub const MAX_BYTES: usize = 16 << 20;

/// How a document is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2; one document.
    Yaml,
    /// TOML 1.
    Toml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// Parses a document; an empty one is [`Value::Null`]. `place` is where it starts: the lines
    /// of a file are counted from there, and every value of a variable stands in that variable.
    ///
    /// Fails on the first error of syntax and on documents beyond the bounds of depth and size.
    /// A key that is there twice is no error yet: [`Section`] reports it with its path.
    pub fn parse(self, text: &str, place: &Place) -> Result<Node, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::whole(
                place.clone(),
                format!("is larger than {} MiB", MAX_BYTES >> 20),
            ));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self {
            Self::Yaml => yaml::parse(text, place),
            Self::Toml => toml::parse(text, place),
            Self::Json => json::parse(text, place),
        }
    }
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1; line 0 is the file as a whole.
    File {
        /// The file, as the operator named it.
        name: Arc<str>,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// The environment as a whole.
    Environment,
    /// A flag of the command line.
    Flag(Arc<str>),
}

impl Place {
    /// A file as a whole.
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

    /// The same file at this line; other places have no lines.
    fn at_line(&self, line: usize) -> Self {
        match self {
            Self::File { name, .. } => Self::File {
                name: Arc::clone(name),
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

/// A value of a document and where it stands.
#[derive(Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// What a document can hold.
#[derive(Clone)]
pub enum Value {
    /// Nothing: as if the key were not there.
    Null,
    /// A text, number or truth value.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node>),
    /// Keys and values in order; the same key may be there twice.
    Map(Vec<(String, Node)>),
}

/// A scalar as it was written.
#[derive(Clone)]
pub struct Scalar {
    /// Its text, without quotes.
    pub text: String,
    /// What its spelling says of its type.
    pub kind: ScalarKind,
}

/// What the spelling of a scalar says of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarKind {
    /// Unquoted in YAML, or the value of a variable: whatever type is expected, if the text fits.
    Plain,
    /// A quoted text.
    Text,
    /// A number (TOML, JSON).
    Number,
    /// A truth value (TOML, JSON).
    Boolean,
}

impl Node {
    /// An empty map.
    pub fn empty(place: Place) -> Self {
        Self {
            value: Value::Map(Vec::new()),
            place,
        }
    }

    /// A scalar.
    pub fn scalar(text: impl Into<String>, kind: ScalarKind, place: Place) -> Self {
        Self {
            value: Value::Scalar(Scalar {
                text: text.into(),
                kind,
            }),
            place,
        }
    }

    /// Puts `node` at a path of keys, in place of what is there, making maps on the way. Where
    /// something else than a map stands in the way it is left as it is, to be reported as such.
    pub fn set(&mut self, path: &[&str], node: Self) {
        let Some((&key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else {
            return;
        };
        if let Some((_, child)) = entries.iter_mut().find(|(name, _)| name == key) {
            child.set(rest, node);
        } else {
            let mut child = Self::empty(node.place.clone());
            child.set(rest, node);
            entries.push((key.to_owned(), child));
        }
    }
}
