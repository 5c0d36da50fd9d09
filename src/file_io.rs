//! File reads that are bounded in size; reads that may hang are limited to one at a time.
//!
//! A file on a hung mount, such as a network file system, blocks the thread that reads it, and the
//! read cannot be cancelled. Starting another read at each retry would use up all blocking threads,
//! including those that render scrapes.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};

/// Reads a file of at most `limit` bytes; pipes work too. For a larger file, or an endless one such
/// as a device, it reads one byte more and fails.
pub fn bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let problem = format!("it is larger than {}", Size(limit));
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// Identifies the content of a file: it changes when the file is written or replaced. It includes
/// the time of the inode's last change, because tools can reset the time of the last modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Fingerprint {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A number of bytes, shown in the largest unit that divides it.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        if bytes == 0 || !bytes.is_multiple_of(1 << 10) {
            write!(f, "{bytes} bytes")
        } else if !bytes.is_multiple_of(1 << 20) {
            write!(f, "{} KiB", bytes >> 10)
        } else {
            write!(f, "{} MiB", bytes >> 20)
        }
    }
}

/// Runs one read at a time.
#[derive(Debug)]
pub struct Reading<T> {
    limit: Duration,
    under_way: Option<UnderWay<T>>,
}

#[derive(Debug)]
struct UnderWay<T> {
    task: JoinHandle<T>,
    deadline: Instant,
}

/// Why a read returned nothing. The text follows the name of what is read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// It exceeded its time limit, and may still be running.
    #[error("was not read within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It panicked, or the process is shutting down.
    #[error("could not be read: {0}")]
    Failed(#[from] JoinError),
}

impl<T: Send + 'static> Reading<T> {
    /// A reader with no read in progress. Each read may take up to `limit`.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            under_way: None,
        }
    }

    /// Runs `read` on a blocking thread. An earlier read that nobody waits for any more must end
    /// first; its result is dropped, because it may be outdated. Only the first caller waits for a
    /// read that hangs: later calls fail at once until it ends.
    pub async fn read(
        &mut self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadingError> {
        let limit = self.limit;
        if let Some(earlier) = &mut self.under_way {
            earlier.end(limit).await?.ok();
        }
        let under_way = self.under_way.insert(UnderWay::start(read, limit));
        let ended = under_way.end(limit).await?;
        self.under_way = None;
        Ok(ended?)
    }
}

impl<T: Send + 'static> UnderWay<T> {
    fn start(read: impl FnOnce() -> T + Send + 'static, limit: Duration) -> Self {
        Self {
            task: tokio::task::spawn_blocking(read),
            deadline: Instant::now() + limit,
        }
    }

    async fn end(&mut self, limit: Duration) -> Result<Result<T, JoinError>, ReadingError> {
        let ended = timeout_at(self.deadline, &mut self.task).await;
        ended.map_err(|_| ReadingError::TimedOut(limit))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::mpsc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    impl<T: Send + 'static> Reading<T> {
        /// Starts a read that hangs until the returned value is dropped, and then returns
        /// `outcome`.
        pub(crate) fn hang(&mut self, outcome: T) -> mpsc::Sender<()> {
            let (end, hanging) = mpsc::channel::<()>();
            let read = move || {
                hanging.recv().ok();
                outcome
            };
            self.under_way = Some(UnderWay::start(read, self.limit));
            end
        }

        /// Waits until the read in progress, if any, has ended.
        pub(crate) async fn ended(&self) {
            while let Some(under_way) = &self.under_way
                && !under_way.task.is_finished()
            {
                tokio::task::yield_now().await;
            }
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [7; 2048]).unwrap();
        assert_eq!(bounded(file.path(), 2048).unwrap(), [7; 2048]);
        let larger = bounded(file.path(), 1024).unwrap_err();
        assert_eq!(larger.to_string(), "it is larger than 1 KiB");
        // A device reports no size and is endless.
        let endless = bounded(Path::new("/dev/zero"), 2047).unwrap_err();
        assert_eq!(endless.to_string(), "it is larger than 2047 bytes");
        let missing = bounded(Path::new("/nonexistent"), 1).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_size_is_shown_in_whole_units() {
        let shown = [0, 1023, 1024, 1 << 20, 16 << 20, (1 << 20) + 1024]
            .map(|bytes| Size(bytes).to_string());
        assert_eq!(
            shown,
            [
                "0 bytes",
                "1023 bytes",
                "1 KiB",
                "1 MiB",
                "16 MiB",
                "1025 KiB"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_hangs_is_waited_for_once_and_costs_one_thread() {
        let mut reading = Reading::new(LIMIT);
        let end = reading.hang("old");
        let start = Instant::now();
        let (error, ()) = tokio::join!(reading.read(|| "new"), tokio::time::advance(LIMIT));
        assert_eq!(error.unwrap_err().to_string(), "was not read within 5 s");
        for _ in 0..3 {
            assert!(reading.read(|| "new").await.is_err());
        }
        assert_eq!(start.elapsed(), LIMIT);
        drop(end);
        reading.ended().await;
        assert_eq!(reading.read(|| "new").await.unwrap(), "new");
    }

    #[tokio::test]
    async fn an_earlier_reading_ends_first_and_its_result_is_dropped() {
        let mut reading = Reading::new(LIMIT);
        let end = reading.hang("old");
        let (read, ()) = tokio::join!(reading.read(|| "new"), async { drop(end) });
        assert_eq!(read.unwrap(), "new");
    }

    #[tokio::test]
    async fn a_reading_that_panics_fails_and_the_next_is_a_new_one() {
        let mut reading = Reading::new(LIMIT);
        let failure = reading.read(|| panic!("a defect")).await.unwrap_err();
        assert!(matches!(failure, ReadingError::Failed(_)), "{failure}");
        reading.read(|| ()).await.unwrap();
    }
}
