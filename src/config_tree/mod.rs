//! Documents that people write (YAML, JSON as a part of it, TOML) as values that remember where they are and how
//! they were spelled, and serde types read from them with every mistake collected.
//!
//! The parsers that make values lose what a configuration needs: that a key is there twice, that
//! `0123` was written and not `123`, and the line of a mistake. So each document becomes
//! `config::Value`s whose scalars are the written text, and whose origin holds
//! the place and whether there were quotes. [`Reader`] deserializes them.

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
pub(crate) use types::parsed_types;
pub use types::{Entries, Located, Location, Number, parsed, parsed_number, parsed_secret};
pub(crate) use words::unknown_key;

/// Nesting beyond this is no configuration; the bound keeps recursion off the end of the stack.
const MAX_DEPTH: usize = 32;
/// Values in one document, those repeated through aliases included: 200,000 declared origins.
const MAX_NODES: usize = 1_000_000;
/// The largest document: the same 200,000 origins in 80 bytes each.
pub const MAX_BYTES: usize = 16 << 20;

/// How a document is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2, and so JSON; one document.
    Yaml,
    /// TOML 1.
    Toml,
}

impl Format {
    /// Parses a document; an empty one is an empty map. `place` is where it starts: lines are counted from
    /// there, and every value of a variable is in that variable.
    ///
    /// Fails on the first error of syntax and on documents beyond the bounds of depth and size. A
    /// key that is there twice is no error yet: [`Reader`] reports it with its path.
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
