//! Logs logfmt or JSON lines to standard error, through a bounded queue.
//!
//! A dedicated thread writes the lines. If standard error is not read fast enough, lines are
//! dropped and counted (`log_lines_dropped_total`), so that no other thread blocks.

mod line;

use std::io::Write as _;
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;
use std::{io, panic, thread};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use self::line::BoundedLines;
use crate::config::{LogFormat, LogSettings};
use crate::metric_families::{self, FromFamily as _};
use crate::panics::lock;

/// The most detailed level for libraries: at finer levels, they log headers and addresses, which
/// may contain secrets.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// The most lines in the queue. With lines of at most 16 KiB, this limits it to 32 MiB.
const QUEUE_LINES: usize = 2048;

/// How long the exit waits for queued lines to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// The log queue. It is global, like the `tracing` subscriber that writes to it.
static QUEUE: OnceLock<Queue> = OnceLock::new();

struct Queue {
    writer: NonBlocking,
    dropped: ErrorCounter,
    /// `None` once the log is flushed at exit.
    worker: Mutex<Option<WorkerGuard>>,
}

/// Sets up logging for the process. A second call has no effect.
pub(super) fn init(settings: &LogSettings) {
    let level = LevelFilter::from_level(settings.level);
    let filter = Targets::new()
        .with_default(LIBRARIES.min(level))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let queue = QUEUE.get_or_init(|| {
        let (writer, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUE_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(io::stderr());
        Queue {
            dropped: writer.error_counter(),
            writer,
            worker: Mutex::new(Some(worker)),
        }
    });
    let format = settings.format;
    let writer = move || BoundedLines {
        writer: queue.writer.clone(),
        format,
    };
    let layer = match format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .layer()
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_writer(writer)
            .boxed(),
    };
    let registry = tracing_subscriber::registry().with(layer.with_filter(filter));
    // A test may have set its own subscriber, which stays.
    if registry.try_init().is_ok() {
        // The default hook writes directly to standard error, and blocks if it is not read.
        panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            let message = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(location, panic = message, "panicked; please report this");
        }));
    }
}

/// Registers `log_lines_dropped_total`. Fails if the registry already has it.
pub(super) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(DroppedLines(IntCounter::from_family(
        &metric_families::LOG_LINES_DROPPED,
    )?)))
}

/// Prints a line to standard error, after any queued log lines.
pub(super) fn print(text: &str) {
    let line = format!("{text}\n");
    let written = match QUEUE.get() {
        Some(queue) => queue.writer.clone().write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
    // There is nowhere else to report an error.
    drop(written);
}

/// Writes the queued lines before the process exits. Waits for at most [`FLUSH_LIMIT`].
pub(super) fn flush() {
    let Some(worker) = QUEUE.get().and_then(|queue| lock(&queue.worker).take()) else {
        return;
    };
    let (done, flushed) = mpsc::channel();
    // Dropping the worker blocks for longer if standard output is not read either.
    let flushing = thread::Builder::new().spawn(move || {
        drop(worker);
        // The receiver may have stopped waiting.
        let _ = done.send(());
    });
    if flushing.is_ok() {
        // After a time-out, the remaining lines are lost.
        let _ = flushed.recv_timeout(FLUSH_LIMIT);
    }
}

/// Updates the count of dropped lines at each scrape.
struct DroppedLines(IntCounter);

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let dropped = QUEUE.get().map_or(0, |queue| queue.dropped.dropped_lines());
        let dropped = u64::try_from(dropped).unwrap_or(u64::MAX);
        self.0.inc_by(dropped.saturating_sub(self.0.get()));
        self.0.collect()
    }
}
