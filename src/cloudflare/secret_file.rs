//! A file with a secret.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::file_io::{self, Reading};

/// The largest secret file; a token has a few dozen characters.
const SECRET_FILE_LIMIT: usize = 64 << 10;
/// The time limit for reading; only a hung file system takes longer. It is well below the time of a
/// poll, so that requests continue with the last good secret.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A secret file, of which at most one read is in progress.
#[derive(Debug)]
pub(super) struct SecretFile {
    pub(super) path: PathBuf,
    reading: Reading<Result<SecretString, String>>,
}

impl SecretFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            reading: Reading::new(READ_TIMEOUT),
        }
    }

    /// The content, without surrounding white space. Fails with a description if it is not a valid
    /// secret, or cannot be read in time. After a time-out, the next calls fail at once until that
    /// read ends.
    pub(super) async fn read(&mut self) -> Result<SecretString, String> {
        let path = self.path.clone();
        let read = self.reading.read(move || read_secret(&path)).await;
        read.map_err(|error| format!("it {error}"))?
    }
}

fn read_secret(path: &Path) -> Result<SecretString, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let bytes = file_io::bounded(path, SECRET_FILE_LIMIT).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let secret = text.trim();
    check(secret).map_err(|problem| format!("its content {problem}"))?;
    Ok(SecretString::from(secret))
}

/// Describes why a string cannot be a secret.
pub(super) fn check(secret: &str) -> Result<(), &'static str> {
    if secret.is_empty() {
        Err("is empty")
    } else if !secret.bytes().all(|b| b.is_ascii_graphic()) {
        Err("holds something other than visible ASCII characters")
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc;

    use secrecy::ExposeSecret as _;
    use tokio::time::Instant;

    use super::*;

    /// A read that hangs until the returned value is dropped.
    pub(in super::super) fn hang(file: &mut SecretFile) -> mpsc::Sender<()> {
        file.reading.hang(Err("it hung".to_owned()))
    }

    pub(in super::super) async fn time_passes_by() {
        tokio::time::advance(READ_TIMEOUT).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_is_waited_for_once_and_costs_one_thread() {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(on_disk.path(), "good").unwrap();
        let mut file = SecretFile::new(on_disk.path().to_owned());
        let end = hang(&mut file);
        let start = Instant::now();
        let (error, ()) = tokio::join!(file.read(), time_passes_by());
        assert_eq!(error.unwrap_err(), "it was not read within 5 s");
        for _ in 0..3 {
            assert!(file.read().await.is_err());
        }
        assert_eq!(start.elapsed(), READ_TIMEOUT);
        // The hung read has ended, so the file is read.
        drop(end);
        file.reading.ended().await;
        assert_eq!(file.read().await.unwrap().expose_secret(), "good");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_waiting_leaves_the_read_to_the_next() {
        let on_disk = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(on_disk.path(), "good").unwrap();
        let mut file = SecretFile::new(on_disk.path().to_owned());
        let end = hang(&mut file);
        let impatient = tokio::time::timeout(Duration::from_secs(1), file.read());
        let (gave_up, ()) = tokio::join!(impatient, tokio::time::advance(Duration::from_secs(1)));
        assert!(gave_up.is_err());
        drop(end);
        assert_eq!(file.read().await.unwrap().expose_secret(), "good");
    }
}
