//! What is wrong with a document, in words for the person who wrote it.

use std::fmt;

use super::Place;

/// One mistake. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it is.
    pub place: Place,
    /// The path of the key, such as `accounts[0].zones.include[1]`; empty for the whole document.
    pub path: String,
    /// What is wrong, or what was expected.
    pub problem: String,
    /// The value, where it may be shown.
    pub found: Option<String>,
}

impl ConfigError {
    /// An error of a whole document.
    pub fn whole(place: Place, problem: impl Into<String>) -> Self {
        Self {
            place,
            path: String::new(),
            problem: problem.into(),
            found: None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        match &self.found {
            Some(found) => write!(f, ", found {found}"),
            None => Ok(()),
        }
    }
}

/// Every mistake of a configuration; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The mistakes in the order of the file, then the others.
    pub(super) fn sorted(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| match error.place {
            Place::File { line, .. } => line,
            _ => usize::MAX,
        });
        Self(errors)
    }

    /// The mistakes, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// One line for each mistake.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
