//! Short texts from outside that become labels: bounded, not empty, cheap to clone.

use std::fmt;
use std::sync::Arc;

/// A text that cannot be a name, id, vendor or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// Longer than its kind allows.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The most bytes that are allowed.
        max: usize,
    },
    /// Holds a character that its kind does not allow.
    #[error("holds a character other than letters, digits, '-' and '_'")]
    BadCharacter,
}

/// Trims and checks a label text of at most `max` bytes.
pub(super) fn label(text: &str, max: usize) -> Result<Arc<str>, InvalidName> {
    let text = text.trim();
    if text.is_empty() {
        Err(InvalidName::Empty)
    } else if text.len() > max {
        Err(InvalidName::TooLong { max })
    } else {
        Ok(Arc::from(text))
    }
}

/// The name that the configuration gives to one set of credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

impl AccountName {
    const MAX_BYTES: usize = 100;

    /// Takes a name of 1 to 100 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        label(text, Self::MAX_BYTES).map(Self)
    }

    /// The name as configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_not_empty_and_bounded() {
        assert_eq!(AccountName::parse(" prod ").unwrap().as_str(), "prod");
        assert_eq!(AccountName::parse("  "), Err(InvalidName::Empty));
        assert_eq!(
            AccountName::parse(&"x".repeat(101)),
            Err(InvalidName::TooLong { max: 100 })
        );
    }
}
