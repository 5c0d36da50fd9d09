//! Keeps the table up to date. Each vendor has its own schedule, and its last good prefixes are
//! kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::fetch::{Fetched, LocalReading, fetch, local_reading};
use super::restore::FeedState;
use super::{Format, Metrics, RangeSource, RangeTable, RangesError, Settings, VendorTable};
use crate::backoff::doubling;
use crate::domain::{OriginIp, RangeVerdict, Vendor};
use crate::panics::{caught, lock};

/// The wait after the first failure. It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_hours(1);
/// Files with fewer prefixes, such as an operator's own, may shrink by any amount. The smallest
/// published file has 780.
const COMPARED_FROM: usize = 100;

/// The vendors' ranges. Clones share the table.
#[derive(Debug, Clone)]
pub struct VendorRanges {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// Empty if the ranges are not used.
    pub(super) feeds: Vec<Arc<Feed>>,
    pub(super) refresh: Duration,
    pub(super) http: Client,
    pub(super) metrics: Metrics,
    /// Replaced as a whole.
    pub(super) table: watch::Sender<Arc<RangeTable>>,
    /// Held while a local file is read and parsed. The system's allocator keeps memory for each
    /// thread that parses.
    pub(super) local_turn: Mutex<()>,
    /// Held while the body of a response is read and parsed. Separate, because a local file may hang.
    body_turn: Mutex<()>,
    pub(super) refreshed: Notify,
}

/// One vendor's file.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) format: Format,
    pub(super) source: RangeSource,
    pub(super) local: LocalReading,
    pub(super) state: std::sync::Mutex<FeedState>,
}

impl VendorRanges {
    /// Ranges that are not loaded yet. The metrics show only the vendors of these settings.
    pub fn new(settings: &Settings, http: Client, metrics: &Metrics) -> Self {
        let formats = Format::ALL.into_iter().filter(|_| settings.enabled);
        metrics.start(formats.clone());
        let feeds = formats
            .map(|format| {
                let configured = settings.sources.get(&format.vendor()).cloned();
                Arc::new(Feed {
                    format,
                    source: configured.unwrap_or_else(|| format.default_source()),
                    local: local_reading(),
                    state: std::sync::Mutex::default(),
                })
            })
            .collect();
        Self {
            shared: Arc::new(Shared {
                feeds,
                refresh: settings.refresh,
                http,
                metrics: metrics.clone(),
                table: watch::Sender::default(),
                local_turn: Mutex::new(()),
                body_turn: Mutex::new(()),
                refreshed: Notify::new(),
            }),
        }
    }

    /// Whether the ranges are used at all.
    pub fn is_enabled(&self) -> bool {
        !self.shared.feeds.is_empty()
    }

    /// Whether every vendor's file was loaded; always false if the ranges are not used.
    pub fn all_loaded(&self) -> bool {
        self.shared.table.borrow().is_complete()
    }

    /// The verdict on an address, as of now.
    pub fn verdict(&self, ip: OriginIp) -> RangeVerdict {
        self.shared.table.borrow().verdict(ip)
    }

    /// The table as of now, for many lookups that must be consistent.
    pub fn table(&self) -> Arc<RangeTable> {
        Arc::clone(&self.shared.table.borrow())
    }

    /// Notifies of every change of the table, so that mappings can be judged again.
    pub fn changed(&self) -> watch::Receiver<Arc<RangeTable>> {
        self.shared.table.subscribe()
    }

    /// Refreshes each vendor on its own schedule until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for feed in &self.shared.feeds {
            tasks.spawn(self.clone().keep_fresh(Arc::clone(feed)));
        }
        // Dropping the set ends its tasks.
        shutdown.cancelled().await;
    }

    /// Reads every vendor's file once, concurrently. Failures are logged and counted. Returns the
    /// number of prefixes of each vendor, or why its file could not be read.
    pub async fn refresh_all_once(&self) -> BTreeMap<Vendor, Result<usize, String>> {
        let mut tasks = JoinSet::new();
        for feed in &self.shared.feeds {
            let (ranges, feed) = (self.clone(), Arc::clone(feed));
            tasks.spawn(async move {
                let refreshed = ranges.refresh(&feed).await;
                let outcome = refreshed.map(|table| table.len());
                (
                    feed.format.vendor(),
                    outcome.map_err(|error| error.to_string()),
                )
            });
        }
        tasks.join_all().await.into_iter().collect()
    }

    async fn keep_fresh(self, feed: Arc<Feed>) {
        let mut failures = 0;
        loop {
            failures = match self.refresh(&feed).await {
                Ok(_) => 0,
                Err(_) => failures + 1,
            };
            tokio::time::sleep(next_wait(failures, self.shared.refresh)).await;
        }
    }

    /// Reads one vendor's file and returns its prefixes. A failure is logged and counted.
    async fn refresh(&self, feed: &Feed) -> Result<Arc<VendorTable>, RangesError> {
        let Feed { format, source, .. } = feed;
        let _turn = match source {
            RangeSource::File(_) => Some(self.shared.local_turn.lock().await),
            RangeSource::Url(_) | RangeSource::DownloadPage(_) => None,
        };
        // A panic fails this refresh, and affects no other.
        let outcome = caught(self.update(feed)).await;
        match outcome.unwrap_or(Err(RangesError::Panicked)) {
            Ok(table) => {
                let refresh = lock(&feed.state).succeeded(Timestamp::now());
                self.shared.metrics.in_use(*format, &table, refresh);
                self.shared.refreshed.notify_one();
                Ok(table)
            }
            Err(error) => {
                self.shared.metrics.failed(*format);
                lock(&feed.state).failed();
                self.shared.refreshed.notify_one();
                let kept = if self.shared.table.borrow().get(*format).is_some() {
                    "the last good ones stay in use"
                } else {
                    "there are none yet"
                };
                let vendor = format.vendor();
                warn!(%vendor, %source, %error, "cannot refresh the vendor's address ranges; {kept}");
                Err(error)
            }
        }
    }

    /// Updates one vendor's prefixes and returns those in use.
    async fn update(&self, feed: &Feed) -> Result<Arc<VendorTable>, RangesError> {
        let format = feed.format;
        let in_use = self.table().get(format).cloned();
        let version = lock(&feed.state).version.clone();
        let http = &self.shared.http;
        let turn = &self.shared.body_turn;
        let fetched = fetch(http, feed, version.as_ref(), turn).await?;
        let Some(Fetched { table, version }) = fetched else {
            // A version is kept only together with its table.
            return in_use.ok_or(RangesError::Empty);
        };
        let mut state = lock(&feed.state);
        let confirmed = in_use.filter(|_| state.is_confirmed);
        check_size(table.len(), confirmed.map_or(0, |table| table.len()))?;
        state.has_new_table = true;
        state.version = version;
        self.replace_table(format, &table);
        drop(state);
        info!(
            vendor = %format.vendor(),
            prefixes = table.len(),
            unreadable_rows = table.rejected,
            "the address ranges of a vendor are loaded"
        );
        Ok(table)
    }

    pub(super) fn replace_table(&self, format: Format, table: &Arc<VendorTable>) {
        self.shared.table.send_modify(|current| {
            *current = Arc::new(current.with(format, Arc::clone(table)));
        });
    }
}

/// Rejects a file that cannot be the successor of the one in use, which has `before` prefixes.
fn check_size(now: usize, before: usize) -> Result<(), RangesError> {
    if now == 0 {
        Err(RangesError::Empty)
    } else if before >= COMPARED_FROM && now < before / 2 {
        Err(RangesError::Shrunk { before, now })
    } else {
        Ok(())
    }
}

/// The wait until the next refresh after this many failures in a row. Never longer than the
/// interval.
fn next_wait(failures: u32, refresh: Duration) -> Duration {
    match failures {
        0 => refresh,
        failures => doubling(FIRST_RETRY, failures, LAST_RETRY).min(refresh),
    }
}

#[cfg(test)]
mod tests;
