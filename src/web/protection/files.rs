//! Tracks the files of the protection, to detect changes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The state of files at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// The metadata that changes when a file is written or replaced. It includes the change time of the
/// inode, because tools can reset the modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// Adds the current state of a file, which may not exist.
    pub(super) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), Stamp::of(path)));
    }

    /// The current state of the same files.
    pub(super) fn now(&self) -> Self {
        let mut now = Self::default();
        for (path, _) in &self.0 {
            now.add(path);
        }
        now
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let other = folder.path().join("b");
        let mut files = Files::default();
        files.add(&path);
        assert_eq!(files.now(), files);

        let mut seen = files;
        let mut expect_change = |what: &str| {
            let now = seen.now();
            assert_ne!(now, seen, "{what}");
            seen = now;
        };
        fs::write(&path, "one").unwrap();
        expect_change("it appears");
        fs::write(&path, "longer").unwrap();
        expect_change("another length");
        fs::write(&other, "longer").unwrap();
        fs::rename(&other, &path).unwrap();
        expect_change("another file in its place");
        fs::write(&other, "longer").unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&other, &path).unwrap();
        expect_change("a link in its place");
        fs::remove_file(&other).unwrap();
        expect_change("the link's target goes");
    }
}
