//! Where the storage is.

use std::path::PathBuf;

/// Where the storage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder. It is created if it does not exist.
    pub path: PathBuf,
}
