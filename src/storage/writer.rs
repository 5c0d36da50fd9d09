//! The storage's thread: opens the file, writes updates, and recovers from failures.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use super::contents::Contents;
use super::error::{BadFileKind, FileError, OpenError};
use super::file::StorageFile;
use super::folder::Folder;
use super::metrics::{Metrics, Operation};
use super::model::Model;
use super::pending::Pending;
use crate::backoff::doubling;
use crate::history::History;

/// If nothing is written, a removed folder is noticed within this time.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// A failed attempt is retried after this time, which doubles with each further one.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How often old zones are removed.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// The outcome of opening the storage at the start. If it could not be opened yet, the contents are
/// those of a copy, or empty, and opening is retried.
pub(super) type Start = Result<Contents, OpenError>;

pub(super) struct Writer {
    path: PathBuf,
    metrics: Metrics,
    pending: Arc<Pending>,
    history: Arc<OnceLock<History>>,
    session: u64,
    /// Whether the start has ended: from then on, a file is used only if the model has what it
    /// holds.
    started: bool,
    /// The session that wrote what the start read.
    restored_session: Option<u64>,
    /// Whether the session's number is in the open file, which shows that the file can be written.
    announced: bool,
    // The file is closed before the folder is unlocked.
    file: Option<StorageFile>,
    folder: Option<Folder>,
    model: Model,
    failures: u32,
    next_try: Instant,
    next_forgetting: Instant,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        metrics: Metrics,
        pending: Arc<Pending>,
        history: Arc<OnceLock<History>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            path,
            metrics,
            pending,
            history,
            session: fastrand::u64(1..),
            started: false,
            restored_session: None,
            announced: false,
            folder: None,
            file: None,
            model: Model::default(),
            failures: 0,
            next_try: now,
            next_forgetting: now + FORGET_EVERY,
        }
    }

    /// Opens the storage, sends its contents, and writes updates until the last flush.
    /// `started` hands over without a buffer, so that what was sent was also received.
    pub(super) fn run(mut self, started: &SyncSender<Start>) {
        let start = self.start();
        self.started = true;
        let is_refused = start.is_err();
        match started.send(start) {
            Ok(()) if is_refused => return,
            Ok(()) => {}
            Err(_) => self.forget_start(),
        }
        while self.turn() {}
    }

    fn start(&mut self) -> Start {
        let mut contents = match self.open() {
            Ok(contents) => contents,
            Err(error @ (OpenError::NotAFolder(_) | OpenError::Busy(_))) => return Err(error),
            Err(error) => {
                self.failed(Operation::Open, &error.to_string());
                self.read_copy()
            }
        };
        self.model = Model::load(&contents, self.file.is_none());
        self.model.forget(Timestamp::now());
        contents.zones.retain(|id, _| self.model.has_zone(id));
        self.restored_session = contents.session;
        // Shows at once whether the storage can be written.
        self.write();
        Ok(contents)
    }

    /// The program gave up waiting and does not know what the file holds. As another session, this
    /// one sets the file aside.
    fn forget_start(&mut self) {
        self.session = fastrand::u64(1..);
        self.restored_session = None;
        self.file = None;
        self.model = Model::default();
        self.model.rewrite = true;
    }

    /// Waits for updates and writes them. Returns whether more may follow.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        let wake = if self.failures > 0 {
            self.next_try
        } else {
            now + LOOK_AFTER
        };
        let batch = self.pending.take(wake);
        let (flush, last) = (batch.flush, batch.last);
        self.model.add(batch, Timestamp::now());
        if Instant::now() >= self.next_forgetting {
            self.next_forgetting = Instant::now() + FORGET_EVERY;
            self.model.forget(Timestamp::now());
        }
        if self.failures == 0 || last || Instant::now() >= self.next_try {
            // A folder that is removed together with the program is not created again.
            if !last || self.model.is_dirty() {
                self.look();
            }
            self.write();
        }
        self.pending.flushed(flush, self.failures == 0);
        !last
    }

    /// Notices that the file is no longer in place.
    fn look(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = file.size()
        {
            warn!(path = %self.path.display(), %error, "the storage is gone: it is created anew");
            self.metrics.failed(Operation::Write);
            self.metrics.down();
            self.file = None;
        }
    }

    fn write(&mut self) {
        if self.file.is_none() {
            match self.open() {
                Ok(contents) if contents.session == Some(self.session) => {
                    self.model.reopened(&contents);
                }
                Ok(_) => self.model.rewrite = true,
                Err(error) => return self.failed(Operation::Open, &error.to_string()),
            }
        } else if self.announced && !self.model.is_dirty() {
            return;
        }
        let Some(file) = &self.file else { return };
        let (model, history) = (&mut self.model, self.history.get());
        // Writing the session only once saves a page in each later commit. A rewrite deletes it.
        let announcement = (!self.announced || model.rewrite).then_some(self.session);
        let written = file.write(|transaction| model.write(transaction, announcement, history));
        match written.and_then(|()| Ok(file.size()?)) {
            Ok(size) => {
                self.model.written();
                self.announced = true;
                self.metrics.written(size, Timestamp::now());
                if self.failures > 0 {
                    info!(path = %self.path.display(), failures = self.failures,
                          "the storage can be written again");
                }
                self.failures = 0;
            }
            Err(error) => {
                // The database accepts no more writes after a failed one, so it is opened again.
                self.file = None;
                self.failed(Operation::Write, &error.to_string());
            }
        }
    }

    /// Opens the folder and the file. An unusable file is set aside.
    fn open(&mut self) -> Result<Contents, OpenError> {
        self.file = None;
        self.announced = false;
        let folder = match self.folder.take().filter(Folder::is_in_place) {
            Some(folder) => folder,
            None => Folder::open(&self.path)?,
        };
        let contents = self.open_file(&folder);
        self.folder = Some(folder);
        contents
    }

    fn open_file(&mut self, folder: &Folder) -> Result<Contents, OpenError> {
        let path = folder.file();
        let io_error = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let opened = StorageFile::open(&path).and_then(|(file, contents)| {
            if self.has_contents_of(contents.session) {
                return Ok((file, contents));
            }
            let detail = "it was not read at the start";
            Err(FileError::bad(BadFileKind::Unread, detail))
        });
        let opened = opened.or_else(|error| match error {
            FileError::Bad { kind, detail } => {
                let aside = folder.set_aside(kind, Timestamp::now())?;
                error!(path = %path.display(), set_aside = %aside.display(), reason = detail,
                       "the storage's file cannot be used: starting with a new one");
                self.metrics.failed(Operation::Read);
                StorageFile::open(&path)
            }
            error => Err(error),
        });
        match opened {
            Ok((file, contents)) => {
                if contents.rejected > 0 {
                    warn!(path = %path.display(), values = contents.rejected,
                          "values of the storage are not valid: left out");
                    self.metrics.failed(Operation::Read);
                }
                self.file = Some(file);
                Ok(contents)
            }
            Err(FileError::Busy) => Err(OpenError::Busy(self.path.clone())),
            Err(FileError::Io(source)) => Err(io_error(source)),
            Err(FileError::Bad { detail, .. }) => Err(io_error(std::io::Error::other(detail))),
        }
    }

    /// Whether writing to a file of this session loses nothing. A new file has no session.
    fn has_contents_of(&self, session: Option<u64>) -> bool {
        let known = [None, Some(self.session), self.restored_session];
        !self.started || known.contains(&session)
    }

    /// The contents of a file that cannot be opened for writing.
    fn read_copy(&mut self) -> Contents {
        let Some(folder) = &self.folder else {
            return Contents::default();
        };
        let path = folder.file();
        match StorageFile::read_copy(&path) {
            Ok(contents) => contents.unwrap_or_default(),
            Err(error) => {
                warn!(path = %path.display(), %error, "the storage's file cannot be read");
                self.metrics.failed(Operation::Read);
                Contents::default()
            }
        }
    }

    fn failed(&mut self, operation: Operation, error: &str) {
        let (path, operation_name) = (self.path.display(), operation.as_str());
        if self.failures == 0 {
            warn!(%path, operation = operation_name, error,
                  "the storage failed: going on from memory, and trying again");
        } else {
            debug!(%path, operation = operation_name, error, "the storage failed again");
        }
        self.metrics.failed(operation);
        self.metrics.down();
        self.failures = self.failures.saturating_add(1);
        self.next_try = Instant::now() + doubling(MIN_BACKOFF, self.failures, MAX_BACKOFF);
    }
}
