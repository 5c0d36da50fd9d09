//! Where the storage is.

use std::path::PathBuf;

/// Where the storage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A folder; it is created where it does not exist.
    pub path: PathBuf,
}
