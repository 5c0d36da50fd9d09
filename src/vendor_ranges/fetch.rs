//! One read of one source, bounded in size. The caller bounds its time.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::io::SyncIoBridge;
use url::Url;

use super::download_page::latest_link;
use super::refresh::Feed;
use super::{Format, RangeSource, RangesError, VendorTable};
use crate::file_io::Reading;
use crate::http_client::{BodyError, read_body};

/// The most bytes of a file. The largest one (Azure's) has 4 MiB and grows, but not to sixteen
/// times that.
const MAX_FILE_BYTES: usize = 64 << 20;
/// How much of a response may wait to be parsed. A file is parsed while it is read: as a whole it
/// would be the largest thing in memory, and the system's allocator keeps such memory.
const PARSE_BUFFER_BYTES: usize = 64 << 10;
/// The time limit for the head of a response, redirects included, and for Azure's page.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The time limit for reading and parsing one file's body: enough for 4 MiB at 1 Mbit/s. Bodies are
/// read one after another, and a body waits for those of the three other vendors at most.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(40);
/// The most time for reading a local file. A read that takes longer is stuck in the file system.
/// Less than the timeout of a refresh.
pub(super) const FILE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of Azure's download page, which has less than 1 MB.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// The most redirects. A published file that has moved has moved once or twice.
const MAX_REDIRECTS: usize = 3;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The prefixes of the whole file.
    pub(super) table: Arc<VendorTable>,
    /// Lets the next read detect that nothing changed. A local file has none.
    pub(super) version: Option<Version>,
}

/// Identifies one version of a source: the validators of RFC 9110, section 8.8, that the server
/// sent for this address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) url: String,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// The read of a vendor's local file. At most one is in progress.
pub(super) type LocalReading = Mutex<Reading<Result<Arc<VendorTable>, RangesError>>>;

/// No read of a local file yet.
pub(super) fn local_reading() -> LocalReading {
    Mutex::new(Reading::new(FILE_TIMEOUT))
}

/// Reads the feed's source; `None` if the server still has the version `last`. A response's body is
/// read while `turn` is held.
pub(super) async fn fetch(
    http: &Client,
    feed: &Feed,
    last: Option<&Version>,
    turn: &Mutex<()>,
) -> Result<Option<Fetched>, RangesError> {
    let format = feed.format;
    match &feed.source {
        RangeSource::File(path) => {
            let path = path.clone();
            let mut reading = feed.local.lock().await;
            let table = reading.read(move || read_file(format, &path)).await??;
            let version = None;
            Ok(Some(Fetched { table, version }))
        }
        RangeSource::Url(url) => download(http, format, url, last, turn).await,
        RangeSource::DownloadPage(page) => {
            let html = within(HEAD_TIMEOUT, read_page(http, page)).await?;
            let url = latest_link(page, &html).ok_or(RangesError::NoLink)?;
            download(http, format, &url, last, turn).await
        }
    }
}

fn read_file(format: Format, path: &Path) -> Result<Arc<VendorTable>, RangesError> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(RangesError::NotAFile);
    }
    if metadata.len() > MAX_FILE_BYTES as u64 {
        return Err(RangesError::TooLarge(MAX_FILE_BYTES));
    }
    // A file that grows while it is read is cut here, and is not in the format then.
    let file = File::open(path)?.take(MAX_FILE_BYTES as u64);
    Ok(Arc::new(format.parse(file)?))
}

async fn download(
    http: &Client,
    format: Format,
    url: &Url,
    last: Option<&Version>,
    turn: &Mutex<()>,
) -> Result<Option<Fetched>, RangesError> {
    let conditions = conditions(url, last);
    let response = within(HEAD_TIMEOUT, get(http, url, &conditions)).await?;
    match response.status() {
        StatusCode::OK => {
            let header = |name| {
                let value = response.headers().get(name)?.to_str();
                value.ok().map(str::to_owned)
            };
            let version = Some(Version {
                url: url.to_string(),
                etag: header(ETAG),
                last_modified: header(LAST_MODIFIED),
            });
            let _turn = turn.lock().await;
            let table = Arc::new(within(BODY_TIMEOUT, parse_body(response, format)).await?);
            Ok(Some(Fetched { table, version }))
        }
        StatusCode::NOT_MODIFIED if !conditions.is_empty() => Ok(None),
        status => Err(RangesError::Status(status)),
    }
}

/// Ends what takes longer than `limit`.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, RangesError>>,
) -> Result<T, RangesError> {
    let ended = timeout(limit, step).await;
    ended.map_err(|_| RangesError::TooSlow(limit))?
}

async fn read_page(http: &Client, page: &Url) -> Result<Vec<u8>, RangesError> {
    let response = get(http, page, &[]).await?;
    if response.status() != StatusCode::OK {
        return Err(RangesError::Status(response.status()));
    }
    Ok(read_body(response, MAX_PAGE_BYTES).await?)
}

/// Parses the body while it arrives, on a blocking thread.
async fn parse_body(mut response: Response, format: Format) -> Result<VendorTable, RangesError> {
    let (mut unparsed, body) = tokio::io::duplex(PARSE_BUFFER_BYTES);
    let body = SyncIoBridge::new(body);
    let parsing = tokio::task::spawn_blocking(move || format.parse(body));
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(BodyError::from)? {
        bytes += chunk.len();
        if bytes > MAX_FILE_BYTES {
            return Err(RangesError::TooLarge(MAX_FILE_BYTES));
        }
        // The parser stops at a mistake.
        if unparsed.write_all(&chunk).await.is_err() {
            break;
        }
    }
    drop(unparsed);
    parsing.await.map_err(|_| RangesError::Panicked)?
}

/// Headers that request the file only if it has changed since it was read from this address.
fn conditions(url: &Url, last: Option<&Version>) -> Vec<(HeaderName, HeaderValue)> {
    let last = last.filter(|version| version.url == url.as_str());
    let validators = last.into_iter().flat_map(|version| {
        [
            (IF_NONE_MATCH, &version.etag),
            (IF_MODIFIED_SINCE, &version.last_modified),
        ]
    });
    let headers = validators.filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_deref()?);
        Some((name, value.ok()?))
    });
    headers.collect()
}

/// Requests an address and follows redirects, which the shared client does not do. This is safe
/// because no API credentials are sent here. Redirects of an https source must be https too.
async fn get(
    http: &Client,
    url: &Url,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<Response, RangesError> {
    let mut at = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request = http.get(at.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(BodyError::from)?;
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                at = redirect_target(url, &at, response.headers().get(LOCATION))?;
            }
            _ => return Ok(response),
        }
    }
    Err(RangesError::Redirect("more often than any published file"))
}

/// The target of a redirect from `at`, for a read of `source`.
pub(super) fn redirect_target(
    source: &Url,
    at: &Url,
    location: Option<&HeaderValue>,
) -> Result<Url, RangesError> {
    let target = location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| at.join(location).ok())
        .ok_or(RangesError::Redirect("without a usable address"))?;
    match target.scheme() {
        "https" => Ok(target),
        "http" if source.scheme() == "http" => Ok(target),
        _ => Err(RangesError::Redirect("away from https")),
    }
}
