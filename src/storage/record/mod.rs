//! Encodes and decodes the values of the tables.
//!
//! Each record is a struct in postcard's encoding. Decoding uses the same constructors as parsing the
//! API's responses, so a damaged or forged value is an error and never becomes an invalid value.
//! Another layout needs another [`super::tables::FORMAT`].

mod change;
mod mappings;
mod zone;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(super) use change::{decode_change, encode_change};
pub(super) use mappings::{decode_mappings, encode_mappings};
pub(super) use zone::{decode_activities, decode_zone, encode_activity, encode_zone};

use crate::findings::ZoneFindings;

/// The most bytes of a text that no domain type bounds: a zone's status, plan and owner.
const MAX_TEXT_BYTES: usize = 1_000;
/// The most bytes of an error text.
const MAX_ERROR_BYTES: usize = 10_000;

/// A value that this program did not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("not a record: {0}")]
    Encoding(#[from] postcard::Error),
    #[error("{0}")]
    Value(&'static str),
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Fails only for sequences of unknown length, which no record has.
    postcard::to_stdvec(value).unwrap_or_default()
}

/// Decodes a value that uses all bytes.
fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Invalid> {
    let (value, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Invalid::Value("bytes follow the record"))
    }
}

/// Findings are stored as JSON because their fields may differ in another version.
pub(super) fn encode_findings(findings: &ZoneFindings) -> Vec<u8> {
    // Every field can be JSON, so this does not fail.
    serde_json::to_vec(findings).unwrap_or_default()
}

pub(super) fn decode_findings(bytes: &[u8]) -> Result<ZoneFindings, Invalid> {
    serde_json::from_slice(bytes).map_err(|_| Invalid::Value("not the findings of a zone"))
}

fn bounded(text: &str, max: usize) -> Result<&str, Invalid> {
    if text.len() > max {
        Err(Invalid::Value("a text is too long"))
    } else {
        Ok(text)
    }
}

/// At most `max` bytes of a text, cut at a character boundary.
fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}
