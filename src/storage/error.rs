//! Why the storage cannot be used.

use std::io;
use std::path::PathBuf;

use crate::words::words;

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

words! {
    /// What is wrong with a file, as part of the name under which it is set aside.
    pub(super) enum BadFileKind {
        /// A damaged file of this program, or what may have been one.
        Damaged = "damaged",
        /// A file of a later version of this program.
        Newer = "newer",
        /// Not a file of this program.
        Foreign = "foreign",
        /// A file that the start could not read, so that writing to it would lose its contents.
        Unread = "unread",
    }
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The file is unusable.
    #[error("{detail}")]
    Bad {
        /// Determines the name under which the file is set aside.
        kind: BadFileKind,
        /// What is wrong, for the log.
        detail: String,
    },
    /// Another process holds the file's lock.
    #[error("it is in use by another process")]
    Busy,
    /// The system reports an error; a retry may succeed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FileError {
    pub(super) fn bad(kind: BadFileKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Bad { kind, detail }
    }
}

impl From<redb::Error> for FileError {
    fn from(error: redb::Error) -> Self {
        use redb::Error as E;

        let kind = match error {
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => return Self::Busy,
            E::Io(error) if !is_of_contents(&error) => return Self::Io(error),
            E::Io(_)
            | E::Corrupted(_)
            | E::ValueTooLarge(_)
            | E::UpgradeRequired(_)
            | E::RepairAborted => BadFileKind::Damaged,
            E::TableTypeMismatch { .. }
            | E::TypeDefinitionChanged { .. }
            | E::TableIsMultimap(_)
            | E::TableIsNotMultimap(_)
            | E::TableDoesNotExist(_) => BadFileKind::Foreign,
            error => return Self::Io(io::Error::other(error.to_string())),
        };
        Self::bad(kind, error.to_string())
    }
}

/// Whether the error is about the contents of the file, not about access to it.
fn is_of_contents(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for FileError {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        })*
    };
}

from_redb!(
    StorageError,
    DatabaseError,
    TableError,
    TransactionError,
    CommitError
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_tried_again_and_a_bad_file_is_not() {
        let full = redb::StorageError::Io(io::ErrorKind::StorageFull.into());
        assert!(matches!(full.into(), FileError::Io(_)));
        let foreign = redb::StorageError::Io(io::ErrorKind::InvalidData.into());
        assert!(matches!(foreign.into(), FileError::Bad { .. }));
        let damaged = redb::StorageError::Corrupted("x".to_owned());
        assert!(matches!(damaged.into(), FileError::Bad { .. }));
        let busy = redb::DatabaseError::DatabaseAlreadyOpen;
        assert!(matches!(busy.into(), FileError::Busy));
    }
}
