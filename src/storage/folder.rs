//! The folder: creating it, locking it, and setting files aside in it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tracing::debug;

use super::error::{BadFileKind, OpenError};

const FILE_NAME: &str = "storage.redb";
/// The most files of each kind that are kept.
const KEPT_FILES: usize = 3;

/// The folder, locked for this process if the file system supports locks.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The file's own lock does not cover the time while the file is replaced.
    lock: Option<File>,
}

impl Folder {
    /// Creates the folder if it does not exist, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
        created.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                OpenError::NotAFolder(path.to_owned())
            }
            _ => io_error(error),
        })?;
        let handle = File::open(path).map_err(io_error)?;
        let lock = match handle.try_lock() {
            Ok(()) => Some(handle),
            Err(TryLockError::WouldBlock) => return Err(OpenError::Busy(path.to_owned())),
            Err(TryLockError::Error(error)) => {
                debug!(path = %path.display(), %error, "the folder cannot be locked");
                None
            }
        };
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// Whether the path still leads to the locked folder.
    pub(super) fn is_in_place(&self) -> bool {
        let locked = self.lock.as_ref().and_then(|lock| lock.metadata().ok());
        let found = fs::metadata(&self.path).ok();
        let identity = |folder: fs::Metadata| (folder.dev(), folder.ino());
        locked.is_some() && locked.map(identity) == found.map(identity)
    }

    /// The path of the storage's file.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// Renames the file, or anything else in its place, and returns the new name. Only the latest
    /// files of a kind are kept, except foreign ones, which belong to someone else.
    pub(super) fn set_aside(&self, kind: BadFileKind, now: Timestamp) -> io::Result<PathBuf> {
        let stem = format!("{FILE_NAME}.{}-", kind.as_str());
        let time = now.strftime("%Y%m%dT%H%M%S.%fZ");
        let aside = self.path.join(format!("{stem}{time}"));
        fs::rename(self.file(), &aside)?;
        if kind != BadFileKind::Foreign {
            self.prune(&stem);
        }
        Ok(aside)
    }

    fn prune(&self, stem: &str) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(stem))
            .map(|entry| entry.path())
            .collect();
        files.sort();
        for file in files.iter().rev().skip(KEPT_FILES) {
            // A file that cannot be removed now is tried again next time.
            drop(fs::remove_file(file));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_folder_is_private_and_has_one_user() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(matches!(Folder::open(&path), Err(OpenError::Busy(_))));
        drop(folder);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn something_else_in_its_place_is_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Folder::open(&file), Err(OpenError::NotAFolder(_))));
        let below = file.join("below");
        assert!(matches!(
            Folder::open(&below),
            Err(OpenError::NotAFolder(_))
        ));
    }

    #[test]
    fn the_latest_files_of_each_kind_and_all_foreign_ones_are_kept() {
        const KINDS: [BadFileKind; 4] = [
            BadFileKind::Damaged,
            BadFileKind::Newer,
            BadFileKind::Unread,
            BadFileKind::Foreign,
        ];
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path()).unwrap();
        for second in 0..5 {
            for kind in KINDS {
                fs::write(folder.file(), format!("{second}")).unwrap();
                let now = Timestamp::from_second(second).unwrap();
                let aside = folder.set_aside(kind, now).unwrap();
                assert_eq!(fs::read_to_string(aside).unwrap(), format!("{second}"));
            }
        }
        let count = |word: &str| {
            let entries = fs::read_dir(parent.path()).unwrap().flatten();
            let names = entries.map(|entry| entry.file_name().into_string().unwrap());
            names.filter(|name| name.contains(word)).count()
        };
        assert_eq!(KINDS.map(|kind| count(kind.as_str())), [3, 3, 3, 5]);
    }
}
