//! The mistakes in a document, described for the person who wrote it.

use std::fmt;

use super::{Location, Place};

/// One mistake. Contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it is. The path is empty if it concerns the whole document.
    pub at: Location,
    /// What is wrong, or what was expected.
    pub problem: String,
    /// The value, if it may be shown.
    pub found: Option<String>,
}

impl ConfigError {
    /// An error that concerns the whole document.
    pub fn whole(place: Place, problem: impl Into<String>) -> Self {
        let path = String::new();
        Location { place, path }.error(problem)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { place, path } = &self.at;
        write!(f, "{place}: ")?;
        // A flag is its own key.
        if !path.is_empty() && !matches!(place, Place::Flag(_)) {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.problem)?;
        match &self.found {
            Some(found) => write!(f, ", found {found}"),
            None => Ok(()),
        }
    }
}

/// Every mistake in a configuration, at least one; as text, one line per mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Sorts the mistakes by line; those without a line come last.
    pub(super) fn sorted(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| match error.at.place {
            Place::File { line, .. } => line,
            _ => usize::MAX,
        });
        Self(errors)
    }

    /// Iterates over the mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
