//! Why a vendor's ranges could not be refreshed.

use std::io;
use std::time::Duration;

use reqwest::StatusCode;

use super::Format;
use crate::file_io::{ReadingError, Size};
use crate::http_client::{BodyError, describe};

/// Why a source was not read, or its file is not used. Addresses are left out because they may
/// contain secrets.
#[derive(Debug, thiserror::Error)]
pub enum RangesError {
    /// No connection, no complete response, or a connection that was cut.
    #[error("{0}")]
    Transport(String),
    /// The file was not read to its end.
    #[error("cannot read the file: {0}")]
    File(#[from] io::Error),
    /// The file is not in its vendor's format.
    #[error("the file is not in {}'s published format: {problem}", format.vendor())]
    Format {
        /// The vendor's format.
        format: Format,
        /// What is wrong, and where.
        problem: String,
    },
    /// The head or the body was not read in time.
    #[error("it was not read within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// A defect of this program.
    #[error("the refresh panicked; please report this")]
    Panicked,
    /// A response other than 200.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A redirect that is not followed: one too many, away from https, or without a usable address.
    #[error("the server redirects {0}")]
    Redirect(&'static str),
    /// More bytes than any real file has.
    #[error("it is larger than {}", Size(*.0))]
    TooLarge(usize),
    /// The local file was not read in time, or reading it panicked.
    #[error("it {0}")]
    Reading(#[from] ReadingError),
    /// The local path is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// The download page links to no range file.
    #[error(
        "the page links to no ServiceTags_Public_YYYYMMDD.json; \
         give the file's address or path as the vendor's source"
    )]
    NoLink,
    /// The file holds nothing.
    #[error("the file has no address prefix")]
    Empty,
    /// The file cannot be the successor of the one in use.
    #[error(
        "the file has shrunk from {before} to {now} prefixes, less than half; \
         if that is right, restart to accept it"
    )]
    Shrunk {
        /// The prefixes in use.
        before: usize,
        /// The prefixes of the file.
        now: usize,
    },
}

impl From<BodyError> for RangesError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::TooLarge(limit),
            BodyError::Transport(error) => Self::Transport(describe(error)),
        }
    }
}
