//! Snapshot and registry become the text that Prometheus scrapes, plain or compressed.
//!
//! A zone's lines are written when the zone changes, not when it is scraped; see `cache`. What
//! moves with the clock and what the registry holds is written for each exposition.

mod ages;
mod cache;
mod detail;
mod exporter_lines;
pub mod families;
mod gzip;
pub mod process;
pub mod rows;
mod text;
mod zone_lines;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use prometheus::{Registry, TextEncoder};

use self::cache::Cache;
use crate::snapshot::Snapshot;

/// The media type of the text format, as Prometheus spells it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A body is shared by scrapes for this many times the time that it took to make, so that however
/// many scrapes there are, no more than a twentieth of the time goes into making bodies that take
/// up to 50 ms; [`SHARED_AT_MOST`] bounds it for larger ones.
const SHARED_FOR_COST: u32 = 20;

/// No body is shared for longer than this: ages are never told later.
const SHARED_AT_MOST: Duration = Duration::from_secs(1);

/// What is exposed.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Expose the families that have a series for each mapping.
    pub detail: bool,
    /// What `build_info` says.
    pub build: BuildInfo,
}

/// What this program was built from.
#[derive(Debug, Clone, Copy)]
pub struct BuildInfo {
    /// The version.
    pub version: &'static str,
    /// The commit; empty where it is not known.
    pub revision: &'static str,
    /// The compiler's version.
    pub rustc: &'static str,
}

/// How a body is encoded, as `Content-Encoding` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Plain text.
    Identity,
    /// One gzip member.
    Gzip,
}

/// No body could be made: the process is ending, or making one failed in an unforeseen way.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be rendered: {0}")]
pub struct RenderError(#[from] tokio::task::JoinError);

/// Everything that this program exposes. Clones share it.
#[derive(Debug, Clone)]
pub struct Exposition {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    snapshot: Snapshot,
    registry: Registry,
    /// Held while a body is made, so that one is made at a time and the rest wait for it.
    cache: Mutex<Cache>,
    /// Held for a moment only.
    bodies: Mutex<Vec<Body>>,
}

/// A finished body that other scrapes may share.
#[derive(Debug)]
struct Body {
    encoding: Encoding,
    bytes: Bytes,
    shared_until: Instant,
}

impl Exposition {
    /// An exposition of what `snapshot` and `registry` hold at each scrape. No family of the
    /// registry may have a name that this module renders itself.
    pub fn new(settings: Settings, snapshot: Snapshot, registry: Registry) -> Self {
        Self {
            shared: Arc::new(Shared {
                snapshot,
                registry,
                cache: Mutex::new(Cache::new(settings)),
                bodies: Mutex::default(),
            }),
        }
    }

    /// The body for a scrape that begins now, or at most a second earlier: scrapes in quick
    /// succession share one. The work is done on a blocking thread.
    pub async fn render(&self, encoding: Encoding) -> Result<Bytes, RenderError> {
        if let Some(bytes) = self.shared.finished_body(encoding) {
            return Ok(bytes);
        }
        let shared = Arc::clone(&self.shared);
        Ok(tokio::task::spawn_blocking(move || shared.render(encoding)).await?)
    }

    /// Shows or leaves out the families that have a series for each mapping, from the next body
    /// on. Blocks while a body is being made.
    pub fn show_detail(&self, detail: bool) {
        let mut cache = self.shared.lock_cache();
        let settings = cache.settings();
        if settings.detail != detail {
            *cache = Cache::new(Settings { detail, ..settings });
            self.shared.lock_bodies().clear();
        }
    }

    /// No later scrape shares a body that is finished by now: whoever has just changed something
    /// looks at once whether it shows.
    pub fn forget_bodies(&self) {
        self.shared.lock_bodies().clear();
    }

    /// A body as of `now`, made on this thread and shared with nobody.
    pub fn render_now(&self, now: Timestamp, encoding: Encoding) -> Bytes {
        let mut cache = self.shared.lock_cache();
        self.shared.render_with(&mut cache, now, encoding)
    }
}

impl Shared {
    fn render(&self, encoding: Encoding) -> Bytes {
        let mut cache = self.lock_cache();
        // Somebody may have made one while this scrape waited.
        if let Some(bytes) = self.finished_body(encoding) {
            return bytes;
        }
        let started = Instant::now();
        // Bodies are large: what nobody may share any more goes before the next one is made.
        self.lock_bodies()
            .retain(|body| body.encoding != encoding && started < body.shared_until);
        let bytes = self.render_with(&mut cache, Timestamp::now(), encoding);
        let window = (started.elapsed() * SHARED_FOR_COST).min(SHARED_AT_MOST);
        self.lock_bodies().push(Body {
            encoding,
            bytes: bytes.clone(),
            shared_until: started + window,
        });
        bytes
    }

    fn render_with(&self, cache: &mut Cache, now: Timestamp, encoding: Encoding) -> Bytes {
        cache.refresh(self.snapshot.directory());
        let mut live = String::new();
        cache.push_live(&mut live, now);
        self.push_registry(&mut live);
        Bytes::from(match encoding {
            Encoding::Identity => cache.identity(&live),
            Encoding::Gzip => cache.gzip(&live),
        })
    }

    fn push_registry(&self, out: &mut String) {
        let mut families = self.registry.gather();
        // The encoder refuses a family without samples, such as a vector that nobody used yet.
        families.retain(|family| !family.get_metric().is_empty());
        if let Err(error) = TextEncoder::new().encode_utf8(&families, out) {
            tracing::error!(%error, "the exporter's own metrics could not be rendered");
        }
    }

    fn finished_body(&self, encoding: Encoding) -> Option<Bytes> {
        let now = Instant::now();
        self.lock_bodies()
            .iter()
            .find(|body| body.encoding == encoding && now < body.shared_until)
            .map(|body| body.bytes.clone())
    }

    fn lock_bodies(&self) -> MutexGuard<'_, Vec<Body>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left it half done.
            let mut cache = poisoned.into_inner();
            *cache = Cache::new(cache.settings());
            self.cache.clear_poison();
            cache
        })
    }
}
