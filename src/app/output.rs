//! Writes a result to standard output or a file.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

/// The most symbolic links to follow; more are a loop.
const MAX_LINKS: usize = 40;

/// The result could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub(super) struct OutputError {
    path: PathBuf,
    error: io::Error,
}

/// Writes `content` to standard output (no file, or `-`), to a device or FIFO, or replaces the
/// file.
///
/// Replacing is atomic: readers see the old content or the new one, and the old one stays if
/// writing fails. Mode and owner are kept. Symbolic links are followed to the file to replace.
pub(super) fn write(file: Option<&Path>, content: &[u8]) -> Result<(), OutputError> {
    let file = file.filter(|path| path.as_os_str() != "-");
    let written = match file {
        Some(path) => write_file(path, content),
        None => print(content),
    };
    let path = file.unwrap_or(Path::new("standard output")).to_owned();
    written.map_err(|error| OutputError { path, error })
}

/// A reader that closes early (`| head`) is not an error.
fn print(content: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(content).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = follow_links(path)?;
    match fs::metadata(&path) {
        Ok(old) if old.is_file() => replace(&path, content, Some(&old)),
        Ok(old) if old.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // Write to a device, FIFO or socket directly.
        Ok(_) => OpenOptions::new()
            .write(true)
            .open(&path)?
            .write_all(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(&path, content, None),
        Err(error) => Err(error),
    }
}

/// Resolves a chain of symbolic links. The target need not exist.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // It is not a link, or does not exist.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Writes a temporary file next to `path` and renames it, which is atomic within a file system. The
/// name ends in `.tmp`, so that the textfile collector, which reads `*.prom`, ignores it.
fn replace(path: &Path, content: &[u8], old: Option<&Metadata>) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    remove_leftovers(path, name);
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    // `create_new` does not follow a symbolic link.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)?;
    let written = old
        .map_or(Ok(()), |old| keep_owner_and_mode(&file, old))
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Return the first error; this one does not matter.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))
            .map_err(|error| io::Error::other(format!("cannot keep the file's owner: {error}")))?;
    }
    file.set_permissions(old.permissions())
}

/// Removes the temporary files of killed runs.
fn remove_leftovers(path: &Path, name: &OsStr) {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let ours = |entry: &OsStr| {
        let entry = entry.to_str()?.strip_prefix(name.to_str()?)?;
        let process = entry.strip_prefix('.')?.strip_suffix(".tmp")?;
        Pid::from_raw(process.parse().ok()?)
    };
    for entry in entries.flatten() {
        let Some(process) = ours(&entry.file_name()) else {
            continue;
        };
        let own = process.as_raw_nonzero().get().unsigned_abs() == std::process::id();
        let ended = test_kill_process(process) == Err(rustix::io::Errno::SRCH);
        if own || ended {
            // A leftover file does no harm.
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("origins.prom");
        for content in ["first\n", "second\n"] {
            write(Some(&path), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(entries(folder.path()), 1);
    }

    #[test]
    fn mode_and_owner_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("origins.prom");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let root = rustix::process::geteuid().is_root();
        if root {
            std::os::unix::fs::chown(&path, Some(65532), Some(65531)).unwrap();
        }
        write(Some(&path), b"new").unwrap();
        let kept = fs::metadata(&path).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o640);
        if root {
            assert_eq!((kept.uid(), kept.gid()), (65532, 65531));
        }
    }

    #[test]
    fn a_link_stays_and_the_file_that_it_names_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target.prom");
        symlink("target.prom", folder.path().join("middle")).unwrap();
        let link = folder.path().join("link.prom");
        symlink(folder.path().join("middle"), &link).unwrap();
        // The first content creates the target, the second replaces it.
        for content in ["first", "second"] {
            write(Some(&link), content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
        }
        assert!(link.is_symlink() && !target.is_symlink());
        let looped = folder.path().join("loop");
        symlink("loop", &looped).unwrap();
        assert!(write(Some(&looped), b"x").is_err());
    }

    #[test]
    fn a_link_at_the_temporary_name_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let planted = format!("origins.prom.{}.tmp", std::process::id());
        symlink(&victim, folder.path().join(planted)).unwrap();
        write(Some(&folder.path().join("origins.prom")), b"new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert_eq!(entries(folder.path()), 2, "the planted link is removed");
    }

    #[test]
    fn leftovers_of_ended_runs_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        // This process id cannot exist (`PID_MAX_LIMIT` of Linux is 4194304).
        for name in [
            "origins.prom.99999999.tmp",
            "origins.prom.1.tmp",
            "other.prom.99999999.tmp",
        ] {
            fs::write(file(name), "").unwrap();
        }
        write(Some(&file("origins.prom")), b"new").unwrap();
        assert!(!file("origins.prom.99999999.tmp").exists());
        assert!(file("origins.prom.1.tmp").exists(), "a run under way");
        assert!(file("other.prom.99999999.tmp").exists());
    }

    #[test]
    fn devices_and_fifos_are_written_through() {
        write(Some(Path::new("/dev/null")), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || fs::read_to_string(fifo).unwrap())
        };
        write(Some(&fifo), b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("origins.prom");
        let error = write(Some(&path), b"x").unwrap_err().to_string();
        assert!(error.contains("missing/origins.prom"), "{error}");
        let error = write(Some(folder.path()), b"x").unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
    }
}
