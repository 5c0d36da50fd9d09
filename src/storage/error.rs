//! Why the storage cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the storage was not opened. The first two end the program at its start; the others are
/// retried.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path exists and is not a folder.
    #[error("--storage.path: {} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// Another process holds the lock.
    #[error(
        "--storage.path: {} is in use by another process; give each process a folder of its own",
        .0.display()
    )]
    Busy(PathBuf),
    /// The folder or the file cannot be created, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The thread could not be started.
    #[error("the thread of the storage cannot be started: {0}")]
    Thread(io::Error),
}

/// Why a file cannot be used as the storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(super) struct BadFile {
    /// Determines the name under which the file is set aside.
    pub(super) kind: BadFileKind,
    /// What is wrong, for the log.
    pub(super) detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadFileKind {
    /// A damaged file of this program, or what may have been one.
    Damaged,
    /// A file of a later version of this program.
    Newer,
    /// Not a file of this program.
    Foreign,
    /// A file that the start could not read, so that writing to it would lose its contents.
    Unread,
}

impl BadFileKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Newer => "newer",
            Self::Foreign => "foreign",
            Self::Unread => "unread",
        }
    }
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The file is unusable.
    #[error(transparent)]
    Bad(#[from] BadFile),
    /// Another process holds the file's lock.
    #[error("it is in use by another process")]
    Busy,
    /// The system reports an error; a retry may succeed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileError {
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Bad(BadFile {
            kind: BadFileKind::Damaged,
            detail: detail.into(),
        })
    }
}

impl From<redb::StorageError> for FileError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            redb::StorageError::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Self::damaged(error.to_string())
                }
                _ => Self::Io(error),
            },
            error @ (redb::StorageError::Corrupted(_) | redb::StorageError::ValueTooLarge(_)) => {
                Self::damaged(error.to_string())
            }
            error => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

impl From<redb::DatabaseError> for FileError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen
            | redb::DatabaseError::LockProtocolMismatch => Self::Busy,
            redb::DatabaseError::Storage(error) => error.into(),
            error => Self::damaged(error.to_string()),
        }
    }
}

impl From<redb::TableError> for FileError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            error => Self::Bad(BadFile {
                kind: BadFileKind::Foreign,
                detail: error.to_string(),
            }),
        }
    }
}

impl From<redb::TransactionError> for FileError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            error => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

impl From<redb::CommitError> for FileError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            error => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_a_bad_file_is_not() {
        let full = redb::StorageError::Io(io::ErrorKind::StorageFull.into());
        assert!(matches!(full.into(), FileError::Io(_)));
        let foreign = redb::StorageError::Io(io::ErrorKind::InvalidData.into());
        assert!(matches!(foreign.into(), FileError::Bad(_)));
        let damaged = redb::StorageError::Corrupted("x".to_owned());
        assert!(matches!(damaged.into(), FileError::Bad(_)));
        let busy = redb::DatabaseError::DatabaseAlreadyOpen;
        assert!(matches!(busy.into(), FileError::Busy));
    }
}
