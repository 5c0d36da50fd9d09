//! The files that the protection was read from, to notice changes.

use std::path::{Path, PathBuf};

use crate::file_io::Fingerprint;

/// The state of files at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<(PathBuf, Option<Fingerprint>)>);

impl Files {
    /// Adds the current state of a file, which may be missing.
    pub(super) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), fingerprint(path)));
    }

    /// The current state of the same files.
    pub(super) fn now(&self) -> Self {
        let files = self.0.iter();
        Self(
            files
                .map(|(path, _)| (path.clone(), fingerprint(path)))
                .collect(),
        )
    }
}

/// `None` if there is no such file.
fn fingerprint(path: &Path) -> Option<Fingerprint> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Fingerprint::from(&metadata))
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
