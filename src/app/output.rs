//! Writing a result: to standard output, or to a file that is replaced in one step.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A result that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub(super) struct OutputError {
    path: PathBuf,
    error: io::Error,
}

/// Writes to standard output, or replaces `file`. A reader of the file sees the old content or the
/// new one and never a part; where writing fails, the old file stays.
pub(super) fn write(file: Option<&Path>, content: &[u8]) -> Result<(), OutputError> {
    match file {
        Some(path) => replace(path, content).map_err(|error| OutputError {
            path: path.to_owned(),
            error,
        }),
        None => print(content).map_err(|error| OutputError {
            path: PathBuf::from("standard output"),
            error,
        }),
    }
}

/// A reader that has seen enough (`| head`) is no error.
fn print(content: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(content).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The new content stands beside the file until it is complete: renaming is atomic within one
/// file system only. Its name ends in `.tmp`, so that the textfile collector, which reads `*.prom`,
/// passes it over; the process's number keeps two runs apart.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing is lost when it cannot be removed; the error that matters is the first.
        drop(fs::remove_file(&temporary));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("origins.prom");
        for content in ["first\n", "second\n"] {
            write(Some(&path), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("origins.prom");
        let error = write(Some(&path), b"x").unwrap_err().to_string();
        assert!(error.contains("missing/origins.prom"), "{error}");
    }
}
