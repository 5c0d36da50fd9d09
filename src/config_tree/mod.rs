//! Parses YAML (which includes JSON) and TOML into values that keep their place and spelling, and
//! deserializes these into serde types. Every mistake is collected.
//!
//! The usual parsers lose what a configuration needs: repeated keys, `0123` as opposed to `123`,
//! and the line of a mistake. So each document becomes `config::Value`s. Their scalars are the text
//! as written, and their origin holds the place and whether the text was quoted. [`Reader`]
//! deserializes them.

mod deserializer;
mod error;
mod origin;
mod toml;
mod types;
mod words;
mod yaml;

use ::config::{Map, Value, ValueKind};

pub use deserializer::Reader;
pub use error::{ConfigError, ConfigErrors};
pub use origin::Place;
pub(crate) use origin::{plain, scalar};
pub use types::{Entries, Located, Location, Number};
pub(crate) use types::{NUMBER, SECRET, TEXT, parsed, parsed_types};
pub(crate) use words::{nearest, unknown_key};

/// The deepest nesting. The limit keeps recursion from overflowing the stack.
const MAX_DEPTH: usize = 32;
/// The most values in a document, including those from aliases: 200,000 declared origins.
const MAX_NODES: usize = 1_000_000;
/// The largest document: the same 200,000 origins at 80 bytes each.
pub const MAX_BYTES: usize = 16 << 20;

/// The syntax of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, which includes JSON; a single document.
    Yaml,
    /// TOML 1.
    Toml,
}

impl Format {
    /// Parses a document; an empty one is an empty map. `place` is where it starts: lines are
    /// counted from there, and all values of a variable share its place.
    ///
    /// Fails on the first syntax error, and if the document exceeds the limits of depth and size. A
    /// repeated key is not an error yet: [`Reader`] reports it with its path.
    pub fn parse(self, text: &str, place: &Place) -> Result<Value, ConfigError> {
        if text.len() > MAX_BYTES {
            let problem = format!("is larger than {} MiB", MAX_BYTES >> 20);
            return Err(ConfigError::whole(place.clone(), problem));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut document = match self {
            Self::Yaml => yaml::parse(text, place)?,
            Self::Toml => toml::parse(text, place)?,
        };
        if document.kind == ValueKind::Nil {
            document.kind = Map::<String, Value>::new().into();
        }
        Ok(document)
    }
}
