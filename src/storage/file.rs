//! The file: opening it, and checking that it is still in place.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, StorageBackend, WriteTransaction};

use super::contents::Contents;
use super::error::{BadFileKind, FileError};
use super::tables::MAX_FILE_BYTES;

/// The database's cache. It is small because everything that is served is in memory anyway.
const CACHE_BYTES: usize = 1 << 20;

/// The open database.
#[derive(Debug)]
pub(super) struct StorageFile {
    database: Database,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl StorageFile {
    /// Opens or creates the file and reads it. All checksums are verified first, so a file that was
    /// changed from outside is an error and not a panic.
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), FileError> {
        let (file, metadata) = open_private(path)?;
        let opened = guarded(|| {
            let database = open_database(FileBackend::new(file)?)?;
            let contents = Contents::read(&database)?;
            Ok((database, contents))
        });
        let (database, contents) = opened?;
        let file = Self {
            database,
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        };
        Ok((file, contents))
    }

    /// Reads a file that cannot be written, from a copy in memory: repairing the database after a
    /// crash writes to it. `None` if there is no file.
    pub(super) fn read_copy(path: &Path) -> Result<Option<Contents>, FileError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
            return Err(FileError::bad(
                BadFileKind::Foreign,
                "it is not a file of a storage",
            ));
        }
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)?;
        guarded(|| {
            let copy = InMemoryBackend::new();
            copy.set_len(bytes.len() as u64)?;
            copy.write(0, &bytes)?;
            drop(bytes);
            Contents::read(&open_database(copy)?).map(Some)
        })
    }

    /// Writes in one transaction: all or nothing.
    pub(super) fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        guarded(|| {
            let transaction = self.database.begin_write()?;
            write(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// The file's size, or an error if the file is no longer in place.
    pub(super) fn size(&self) -> io::Result<u64> {
        let found = fs::symlink_metadata(&self.path)?;
        if (found.dev(), found.ino()) == (self.device, self.inode) {
            Ok(found.len())
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the storage's file was replaced",
            ))
        }
    }
}

fn open_database(backend: impl StorageBackend) -> Result<Database, FileError> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)?;
    Ok(database)
}

/// Opens or creates the file with access for its owner only.
fn open_private(path: &Path) -> Result<(File, fs::Metadata), FileError> {
    // Opening a pipe would block until its other end is opened.
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(FileError::bad(
                BadFileKind::Foreign,
                "it is not a regular file",
            ));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(_) | Err(_) => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(FileError::bad(
            BadFileKind::Foreign,
            "it is larger than any storage",
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok((file, metadata))
}

/// Turns a panic of the database, which a damaged file may cause, into an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("no message");
        let detail = format!("the database panicked: {text}");
        Err(FileError::bad(BadFileKind::Damaged, detail))
    })
}
