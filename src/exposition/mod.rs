//! Renders the snapshot and the registry into the text that Prometheus scrapes.
//!
//! A zone's lines are rendered when the zone changes, not when it is scraped (see `cache`). Ages
//! and the metrics of the registry are rendered for each exposition.

mod ages;
mod block;
mod bodies;
mod cache;
mod checksum;
mod clock_lines;
mod deflate;
mod detail;
mod exporter_lines;
mod gzip;
mod numbers;
mod openmetrics;
mod plain;
pub mod process;
mod rendered;
mod text;
mod zone_lines;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use prometheus::{Registry, TextEncoder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::bodies::{Rendered, SHARED_AT_MOST};
pub use self::plain::{Pieces, PlainText};

use self::bodies::{Bodies, ReusableBuffer};
use self::cache::Cache;
use crate::snapshot::Snapshot;

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0. The samples are those of [`Format::Text`]; the metadata of counters and
    /// the end differ.
    OpenMetrics,
}

impl Format {
    /// The media type, as Prometheus and its client libraries spell it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is exposed.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Expose the families that have a series for each mapping.
    pub detail: bool,
    /// Uncompressed texts with more bytes than this are not kept as a whole: they are rendered
    /// again for each client.
    pub whole_at_most: usize,
    /// The labels of `build_info`.
    pub build: BuildInfo,
}

/// [`Settings::whole_at_most`] in production; tests shorten it.
pub const WHOLE_AT_MOST: usize = 64 << 20;

/// The number of zones up to which ages are as of the scrape, because updating them is cheap in any
/// case.
const EXACT_AGES_AT_MOST: usize = 100;

/// How many bytes of text [`Exposition::prepare`] compresses before it lets a scrape go first: a few
/// milliseconds of work.
const PREPARED_AT_ONCE: usize = 1 << 20;

/// How long [`Exposition::prepare`] pauses for a scrape.
const PREPARE_PAUSE: Duration = Duration::from_millis(1);

/// How often, and how many times, [`Exposition::prepare`] compresses what has changed. Most scrape
/// intervals are a minute at most.
const PREPARE_INTERVAL: Duration = Duration::from_secs(1);
const PREPARED_TIMES: usize = 120;

/// Who has compressed the last changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prepared {
    /// [`Exposition::prepare`], for the first compressed scrape.
    ForScrape,
    /// A compressed scrape, as every one from then on.
    ByScrape,
}

/// What this program was built from.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The package version.
    pub version: &'static str,
    /// The commit, or empty if unknown.
    pub revision: &'static str,
    /// The compiler's version.
    pub rustc: &'static str,
}

/// How a body is encoded, as `Content-Encoding` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Plain text.
    Identity,
    /// One gzip member.
    Gzip,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// Its format.
    pub format: Format,
    /// Its encoding.
    pub encoding: Encoding,
}

impl Form {
    /// The text format, uncompressed.
    pub const TEXT: Self = Self {
        format: Format::Text,
        encoding: Encoding::Identity,
    };
    /// The text format, compressed.
    pub const TEXT_GZIP: Self = Self {
        format: Format::Text,
        encoding: Encoding::Gzip,
    };
}

/// Rendering failed: the process is shutting down, or rendering panicked.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be rendered: {0}")]
pub struct RenderError(#[from] tokio::task::JoinError);

/// The body of a response to a scrape. Clones share it.
#[derive(Debug, Clone)]
pub enum Body {
    /// All bytes.
    Whole(Bytes),
    /// A long text that is rendered while it is sent.
    InPieces(Arc<PlainText>),
}

impl Body {
    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::InPieces(text) => text.len(),
        }
    }

    /// The memory that the body keeps allocated, in bytes.
    pub fn retained(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::InPieces(text) => text.retained(),
        }
    }

    /// All bytes.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes,
            Self::InPieces(text) => Bytes::from(text.collect(Vec::with_capacity(text.len()))),
        }
    }

    /// Whether both are the same body, not just equal ones.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => std::ptr::eq(a.as_ptr(), b.as_ptr()),
            (Self::InPieces(a), Self::InPieces(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

/// Everything that this program exposes. Clones share it.
#[derive(Debug, Clone)]
pub struct Exposition {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    snapshot: Snapshot,
    registry: Registry,
    /// Locked while a body is rendered. Other scrapes wait and share the body.
    cache: Mutex<Cache>,
    /// The number of scrapes that wait for the lock.
    waiting: AtomicUsize,
    bodies: Bodies,
}

impl Exposition {
    /// An exposition of `snapshot` and `registry`. The registry must not contain a family that this
    /// module renders itself.
    pub fn new(settings: Settings, snapshot: Snapshot, registry: Registry) -> Self {
        Self {
            shared: Arc::new(Shared {
                snapshot,
                registry,
                cache: Mutex::new(Cache::new(settings)),
                waiting: AtomicUsize::new(0),
                bodies: Bodies::default(),
            }),
        }
    }

    /// The body for a scrape. Scrapes in quick succession share a body, which is at most
    /// [`SHARED_AT_MOST`] old. Renders on a blocking thread.
    pub async fn render(&self, form: Form) -> Result<Rendered, RenderError> {
        if let Some(rendered) = self.shared(form) {
            return Ok(rendered);
        }
        let shared = Arc::clone(&self.shared);
        Ok(tokio::task::spawn_blocking(move || shared.render(form)).await?)
    }

    /// The last body, if it can be shared still.
    pub fn shared(&self, form: Form) -> Option<Rendered> {
        self.shared.bodies.shared(form)
    }

    /// Compresses everything when `ready` is true, and for two minutes what changes after that, so
    /// that the first compressed scrape does not need to. From then on it is compressed by the scrape
    /// that shows it: a text that nobody reads costs nothing. Runs until the shutdown.
    pub async fn prepare(self, mut ready: watch::Receiver<bool>, shutdown: CancellationToken) {
        let preparing = async {
            // An error means that the poller is gone, which ends the process.
            if ready.wait_for(|ready| *ready).await.is_err() {
                return;
            }
            for _ in 0..PREPARED_TIMES {
                let shared = Arc::clone(&self.shared);
                // After a panic, the next scrape starts with an empty cache.
                match tokio::task::spawn_blocking(move || shared.prepare()).await {
                    Ok(Prepared::ForScrape) => tokio::time::sleep(PREPARE_INTERVAL).await,
                    Ok(Prepared::ByScrape) | Err(_) => return,
                }
            }
        };
        shutdown.run_until_cancelled(preparing).await;
        shutdown.cancelled().await;
    }

    /// Includes or omits the families with a series for each mapping, from the next body on. Blocks
    /// while a body is rendered.
    pub fn show_detail(&self, detail: bool) {
        let mut cache = self.shared.lock_cache();
        let settings = cache.settings();
        if settings.detail != detail {
            *cache = Cache::new(Settings { detail, ..settings });
            self.shared.bodies.forget();
        }
    }

    /// Drops the shared bodies, so that the next scrape shows a change at once.
    pub fn forget_bodies(&self) {
        self.shared.bodies.forget();
    }

    /// A whole body as of `now`, rendered on this thread and not shared.
    pub fn render_now(&self, now: Timestamp, form: Form) -> Bytes {
        let mut cache = self.shared.lock_cache();
        self.shared
            .render_with(&mut cache, now, form, ReusableBuffer::default())
            .into_bytes()
    }
}

impl Shared {
    fn render(&self, form: Form) -> Rendered {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let mut cache = self.lock_cache();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // Another scrape may have rendered a body while this one waited for the lock.
        if let Some(rendered) = self.bodies.shared(form) {
            return rendered;
        }
        let started = Instant::now();
        let spare = self.bodies.retire(form);
        let (now, since) = self.as_of();
        let rendered = Rendered {
            body: self.render_with(&mut cache, now, form, spare),
            as_of: started.checked_sub(since).unwrap_or(started),
        };
        self.bodies.share(form, rendered.clone(), started);
        rendered
    }

    /// The time as of which ages are shown, and the time since then: none, or with many zones the
    /// time since the last whole second. Ages as of whole seconds differ in their last digits only,
    /// which are fast to update.
    fn as_of(&self) -> (Timestamp, Duration) {
        let now = Timestamp::now();
        if self.snapshot.directory().zones.len() <= EXACT_AGES_AT_MOST {
            return (now, Duration::ZERO);
        }
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let since = Duration::try_from(now.duration_since(second));
        (second, since.unwrap_or_default())
    }

    /// Compresses what has changed, unless there was a compressed scrape. Gives way to other scrapes.
    fn prepare(&self) -> Prepared {
        let mut next = Some(0);
        while let Some(start) = next {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                std::thread::sleep(PREPARE_PAUSE);
                continue;
            }
            let mut cache = self.lock_cache();
            if cache.is_gzip_used() {
                return Prepared::ByScrape;
            }
            if start == 0 {
                cache.refresh(self.snapshot.directory());
            }
            next = cache.prepare(start, self.as_of().0, PREPARED_AT_ONCE);
        }
        Prepared::ForScrape
    }

    fn render_with(
        &self,
        cache: &mut Cache,
        now: Timestamp,
        form: Form,
        spare: ReusableBuffer,
    ) -> Body {
        cache.refresh(self.snapshot.directory());
        let push_own = |out: &mut String| self.push_registry(form.format, out);
        match form.encoding {
            Encoding::Gzip => {
                Body::Whole(Bytes::from(cache.gzip(now, form.format, spare, push_own)))
            }
            Encoding::Identity => {
                let text = cache.plain(now, form.format, push_own);
                if text.len() <= cache.settings().whole_at_most {
                    let room = spare.with_room(text.len());
                    Body::Whole(Bytes::from(text.collect(room)))
                } else {
                    Body::InPieces(Arc::new(text))
                }
            }
        }
    }

    fn push_registry(&self, format: Format, out: &mut String) {
        let mut families = self.registry.gather();
        // The encoder rejects a family without samples, such as an unused vector.
        families.retain(|family| !family.get_metric().is_empty());
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "the exporter's own metrics could not be rendered");
        }
        match format {
            Format::Text => out.push_str(&text),
            Format::OpenMetrics => openmetrics::push_converted(out, &text),
        }
    }

    fn lock_cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|poisoned| {
            // The panic may have left the cache inconsistent.
            let mut cache = poisoned.into_inner();
            *cache = Cache::new(cache.settings());
            self.cache.clear_poison();
            cache
        })
    }
}
