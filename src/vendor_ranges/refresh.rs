//! Keeps the table up to date. Each vendor has its own schedule, and its last good prefixes are
//! kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reqwest::Client;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::fetch::{FetchError, Fetched, LocalReading, fetch, local_reading};
use super::restore::FeedState;
use super::{Format, Metrics, RangeSource, RangeTable, Settings, VendorTable};
use crate::backoff::doubling;
use crate::domain::{OriginIp, RangeVerdict, Vendor};
use crate::panics::{caught, lock};

/// The timeout of a refresh as a whole. Each of its steps has a shorter one, and so have the three
/// other vendors' bodies that it may wait for.
const REFRESH_TIMEOUT: Duration = Duration::from_mins(4);
/// The wait after the first failure. It doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_mins(1);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_hours(1);
/// Files with fewer prefixes, such as an operator's own, may shrink by any amount. The smallest
/// published file has 780.
const COMPARED_FROM: usize = 100;

/// The vendors' ranges. Clones share the table, which is read without a lock.
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
    pub(super) table: ArcSwap<RangeTable>,
    /// Held while a local file is read and parsed. The system's allocator keeps memory for each
    /// thread that parses.
    pub(super) local_turn: Mutex<()>,
    /// Held while the body of a response is read and parsed. Separate, because a local file may hang.
    body_turn: Mutex<()>,
    pub(super) generation: watch::Sender<u64>,
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

/// Why a refresh failed.
#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("it was not read within {} minutes", REFRESH_TIMEOUT.as_secs() / 60)]
    TimedOut,
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the refresh panicked; please report this")]
    Panicked,
    #[error("the file has no address prefix")]
    Empty,
    #[error(
        "the file has shrunk from {before} to {now} prefixes, less than half; \
         if that is right, restart to accept it"
    )]
    Shrunk { before: usize, now: usize },
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
                table: ArcSwap::default(),
                local_turn: Mutex::new(()),
                body_turn: Mutex::new(()),
                generation: watch::Sender::new(0),
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
        self.shared.table.load().is_complete()
    }

    /// The verdict on an address, as of now.
    pub fn verdict(&self, ip: OriginIp) -> RangeVerdict {
        self.shared.table.load().verdict(ip)
    }

    /// The table as of now, for many lookups that must be consistent.
    pub fn table(&self) -> Arc<RangeTable> {
        self.shared.table.load_full()
    }

    /// Notifies of every change of the table, so that mappings can be judged again.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
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
    async fn refresh(&self, feed: &Feed) -> Result<Arc<VendorTable>, RefreshError> {
        let Feed { format, source, .. } = feed;
        let _turn = match source {
            RangeSource::File(_) => Some(self.shared.local_turn.lock().await),
            RangeSource::Url(_) | RangeSource::DownloadPage(_) => None,
        };
        match contained(self.update(feed)).await {
            Ok(table) => {
                let (metrics, now) = (&self.shared.metrics, Timestamp::now());
                metrics.succeeded(*format, &table, now);
                lock(&feed.state).succeeded(now);
                self.shared.refreshed.notify_one();
                Ok(table)
            }
            Err(error) => {
                self.shared.metrics.failed(*format);
                lock(&feed.state).failed();
                self.shared.refreshed.notify_one();
                let kept = if self.shared.table.load().get(*format).is_some() {
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
    async fn update(&self, feed: &Feed) -> Result<Arc<VendorTable>, RefreshError> {
        let format = feed.format;
        let in_use = self.shared.table.load().get(format).cloned();
        let version = lock(&feed.state).version.clone();
        let http = &self.shared.http;
        let turn = &self.shared.body_turn;
        let fetched = fetch(http, feed, version.as_ref(), turn).await?;
        let (table, version) = match (fetched, &in_use) {
            (Fetched::Table { table, version }, _) => (table, version),
            (Fetched::Unchanged, Some(table)) => return Ok(Arc::clone(table)),
            // Cannot happen: a version is kept only together with its table.
            (Fetched::Unchanged, None) => return Err(RefreshError::Empty),
        };
        let mut state = lock(&feed.state);
        let confirmed = in_use.filter(|_| state.is_confirmed);
        check_size(table.len(), confirmed.map_or(0, |table| table.len()))?;
        state.has_new_table = true;
        state.version = Some(version);
        self.replace_table(format, &table);
        drop(state);
        info!(
            vendor = %format.vendor(),
            prefixes = table.len(),
            unreadable_rows = table.rejected(),
            "the address ranges of a vendor are loaded"
        );
        Ok(table)
    }

    pub(super) fn replace_table(&self, format: Format, table: &Arc<VendorTable>) {
        self.shared
            .table
            .rcu(|current| current.with(format, Arc::clone(table)));
        self.shared
            .generation
            .send_modify(|generation| *generation += 1);
    }
}

/// The result of a refresh within its timeout. A refresh that panics fails without affecting
/// others.
async fn contained<T>(
    refresh: impl Future<Output = Result<T, RefreshError>>,
) -> Result<T, RefreshError> {
    match tokio::time::timeout(REFRESH_TIMEOUT, caught(refresh)).await {
        Ok(Some(ended)) => ended,
        Ok(None) => Err(RefreshError::Panicked),
        Err(_) => Err(RefreshError::TimedOut),
    }
}

/// Rejects a file that cannot be the successor of the one in use, which has `before` prefixes.
fn check_size(now: usize, before: usize) -> Result<(), RefreshError> {
    if now == 0 {
        Err(RefreshError::Empty)
    } else if before >= COMPARED_FROM && now < before / 2 {
        Err(RefreshError::Shrunk { before, now })
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
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::vendor_ranges::fetch::BODY_TIMEOUT;

    #[test]
    fn failures_are_tried_again_with_doubling_waits_and_never_later_than_the_interval() {
        let day = Duration::from_hours(24);
        let minutes = Duration::from_mins;
        assert_eq!(next_wait(0, day), day);
        assert_eq!(next_wait(1, day), minutes(1));
        assert_eq!(next_wait(2, day), minutes(2));
        assert_eq!(next_wait(6, day), minutes(32));
        assert_eq!(next_wait(7, day), minutes(60));
        assert_eq!(next_wait(u32::MAX, day), minutes(60));
        assert_eq!(next_wait(1, Duration::from_secs(5)), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_refresh_that_panics_has_failed() {
        let refresh = contained(async {
            if REFRESH_TIMEOUT.is_zero() {
                return Ok(());
            }
            panic!("a defect");
        });
        let failure = refresh.await.unwrap_err();
        assert!(matches!(failure, RefreshError::Panicked), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_that_hangs_is_ended() {
        let (held, ended) = tokio::sync::oneshot::channel::<()>();
        let refresh = contained(async {
            let _held = held;
            std::future::pending::<Result<(), _>>().await
        });
        let failure = refresh.await.unwrap_err();
        assert!(matches!(failure, RefreshError::TimedOut), "{failure}");
        let ended = tokio::time::timeout(Duration::from_secs(1), ended).await;
        assert!(ended.is_ok_and(|ended| ended.is_err()));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_interval_nor_shorter_after_more_failures(
            failures: u32, refresh in 1_u64..10_000_000,
        ) {
            let refresh = Duration::from_secs(refresh);
            let wait = next_wait(failures, refresh);
            prop_assert!(wait <= refresh && wait >= FIRST_RETRY.min(refresh));
            prop_assert!(failures == 0 || wait <= LAST_RETRY);
            prop_assert!(failures == 0 || next_wait(failures.saturating_add(1), refresh) >= wait);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_local_file_that_hangs_costs_one_thread_however_often_it_is_tried() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges/gcp.json");
        let settings = Settings {
            enabled: true,
            refresh: Duration::from_hours(24),
            sources: [(Format::Gcp.vendor(), RangeSource::File(file.into()))].into(),
        };
        let http = crate::http_client::client_builder(None).unwrap();
        let http = http.build().unwrap();
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let ranges = VendorRanges::new(&settings, http, &metrics);
        let feeds = &ranges.shared.feeds;
        let feed = feeds.iter().find(|feed| feed.format == Format::Gcp);
        let feed = feed.unwrap();
        let end = feed.local.lock().await.hang(Err(FetchError::NotAFile));
        for _ in 0..3 {
            tokio::join!(
                async { assert!(ranges.refresh(feed).await.is_err()) },
                tokio::time::advance(REFRESH_TIMEOUT)
            );
        }
        // The next attempt takes the result of the old read, and the one after it reads the file.
        drop(end);
        feed.local.lock().await.ended().await;
        let taken_up = ranges.update(feed).await.unwrap_err();
        assert!(
            matches!(taken_up, RefreshError::Fetch(FetchError::NotAFile)),
            "{taken_up}"
        );
        let up = || {
            let exposed = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
            let exposed = exposed.unwrap();
            let mut lines = exposed.lines();
            let up = "cloudflare_origin_region_vendor_ranges_up{vendor=\"gcp\"} ";
            lines
                .find_map(|line| line.strip_prefix(up))
                .map(str::to_owned)
        };
        assert_eq!(up().as_deref(), Some("0"));
        ranges.refresh(feed).await.unwrap();
        assert_eq!(up().as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn local_files_are_read_one_after_the_other() {
        let file = |vendor: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");
            RangeSource::File(format!("{folder}/{vendor}.json").into())
        };
        let settings = Settings {
            enabled: true,
            refresh: Duration::from_hours(24),
            sources: [
                (Format::Gcp.vendor(), file("gcp")),
                (Format::Oci.vendor(), file("oci")),
            ]
            .into(),
        };
        let http = crate::http_client::client_builder(None).unwrap();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let ranges = VendorRanges::new(&settings, http.build().unwrap(), &metrics);
        let feeds = &ranges.shared.feeds;
        let feed = |format| feeds.iter().find(|feed| feed.format == format).unwrap();
        let hangs = feed(Format::Gcp)
            .local
            .lock()
            .await
            .hang(Err(FetchError::NotAFile));
        let first = tokio::spawn({
            let (ranges, feed) = (ranges.clone(), Arc::clone(feed(Format::Gcp)));
            async move { ranges.refresh(&feed).await }
        });
        let held = async {
            while ranges.shared.local_turn.try_lock().is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), held).await;
        held.expect("a reading holds the turn");
        let mut second = tokio::spawn({
            let (ranges, feed) = (ranges.clone(), Arc::clone(feed(Format::Oci)));
            async move { ranges.refresh(&feed).await }
        });
        let short = Duration::from_millis(100);
        let early = tokio::time::timeout(short, &mut second).await;
        assert!(early.is_err(), "the second does not wait for the first");
        drop(hangs);
        assert!(first.await.unwrap().is_err());
        assert!(second.await.unwrap().is_ok());
    }

    /// The address of a server that sends `file`, of which it announces `length` bytes, to each client.
    async fn server(file: &'static [u8], length: usize) -> RangeSource {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _request = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(file).await.unwrap();
                open.push(stream);
            }
        });
        RangeSource::Url(format!("http://{address}/").parse().unwrap())
    }

    #[tokio::test]
    async fn a_server_that_stalls_leaves_time_for_the_next_file() {
        let gcp = include_bytes!("../../tests/data/ip-ranges/gcp.json");
        let oci = include_bytes!("../../tests/data/ip-ranges/oci.json");
        let settings = Settings {
            enabled: true,
            refresh: Duration::from_hours(24),
            sources: [
                (Format::Gcp.vendor(), server(gcp, gcp.len() + 1).await),
                (Format::Oci.vendor(), server(oci, oci.len()).await),
            ]
            .into(),
        };
        let http = crate::http_client::client_builder(None).unwrap();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let ranges = VendorRanges::new(&settings, http.build().unwrap(), &metrics);
        let refresh = |format| {
            let ranges = ranges.clone();
            let feeds = &ranges.shared.feeds;
            let feed = Arc::clone(feeds.iter().find(|feed| feed.format == format).unwrap());
            tokio::spawn(async move { ranges.refresh(&feed).await })
        };
        let stalled = refresh(Format::Gcp);
        let held = async {
            while ranges.shared.body_turn.try_lock().is_ok() {
                tokio::task::yield_now().await;
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(20), held).await;
        held.expect("the response that stalls holds the turn");
        let next = refresh(Format::Oci);
        tokio::time::pause();
        tokio::time::advance(BODY_TIMEOUT).await;
        tokio::time::resume();
        let problem = stalled.await.unwrap().unwrap_err();
        assert!(
            matches!(problem, RefreshError::Fetch(FetchError::TooSlow(_))),
            "{problem}"
        );
        assert!(next.await.unwrap().is_ok());
    }

    #[test]
    fn a_file_that_shrinks_to_nothing_or_less_than_half_is_refused() {
        for (before, now, accepted) in [
            (0, 0, false),
            (0, 1, true),
            (50, 1, true),
            (50, 0, false),
            (100, 50, true),
            (100, 49, false),
            (13_000, 0, false),
            (13_000, 20_000, true),
        ] {
            assert_eq!(check_size(now, before).is_ok(), accepted, "{before} {now}");
        }
    }
}
