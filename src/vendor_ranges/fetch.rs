//! One read of one source, bounded in size. The caller bounds its time.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
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
use super::{Format, ParseError, RangeSource, VendorTable};
use crate::file_io::{Reading, ReadingError, Size};
use crate::http_client::{BodyError, describe, read_body};

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
const FILE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of Azure's download page, which has less than 1 MB.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// The most redirects. A published file that has moved has moved once or twice.
const MAX_REDIRECTS: usize = 3;

/// The result of a read.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The source has not changed since the last good read.
    Unchanged,
    /// The prefixes of the whole file.
    Table {
        table: Arc<VendorTable>,
        /// Lets the next read detect that nothing changed.
        version: Version,
    },
}

/// Identifies one version of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Version {
    /// The validators of RFC 9110, section 8.8, that the server sent for this address.
    Http {
        url: String,
        etag: Option<String>,
        last_modified: Option<String>,
    },
    /// The metadata of a local file.
    File { modified: Timestamp, bytes: u64 },
}

/// Why a source could not be read. Addresses are left out because they may contain secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No connection, no complete response, or a connection that was cut.
    #[error("{0}")]
    Transport(String),
    /// The file was not read to its end, or is not in the vendor's format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The head or the body was not read in time.
    #[error("it was not read within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// The parser panicked.
    #[error("parsing it panicked; please report this")]
    Panicked,
    /// A response other than 200.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// A redirect that is not followed: one too many, away from https, or without a usable address.
    #[error("the server redirects {0}")]
    Redirect(&'static str),
    /// More bytes than any real file has.
    #[error("it is larger than {}", Size(*.0))]
    TooLarge(usize),
    /// The local file cannot be read.
    #[error("cannot read the file: {0}")]
    File(#[from] io::Error),
    /// The local file was not read in time, or reading it panicked.
    #[error("it {0}")]
    Reading(#[from] ReadingError),
    /// The local path is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// The download page links to no range file.
    #[error(
        "the page links to no ServiceTags_Public_YYYYMMDD.json; \
         give the file's address or path as the vendor's source"
    )]
    NoLink,
}

impl From<BodyError> for FetchError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => Self::TooLarge(limit),
            BodyError::Transport(error) => Self::Transport(describe(error)),
        }
    }
}

/// The read of a vendor's local file. At most one is in progress.
pub(super) type LocalReading = Mutex<Reading<Result<Fetched, FetchError>>>;

/// No read of a local file yet.
pub(super) fn local_reading() -> LocalReading {
    Mutex::new(Reading::new(FILE_TIMEOUT))
}

/// Reads the feed's source, unless it is still the version `last`. A response's body is read while
/// `turn` is held.
pub(super) async fn fetch(
    http: &Client,
    feed: &Feed,
    last: Option<&Version>,
    turn: &Mutex<()>,
) -> Result<Fetched, FetchError> {
    let format = feed.format;
    match &feed.source {
        RangeSource::File(path) => {
            let (path, last) = (path.clone(), last.cloned());
            let mut reading = feed.local.lock().await;
            reading
                .read(move || read_file(format, &path, last.as_ref()))
                .await?
        }
        RangeSource::Url(url) => download(http, format, url, last, turn).await,
        RangeSource::DownloadPage(page) => {
            let html = within(HEAD_TIMEOUT, read_page(http, page)).await?;
            let url = latest_link(page, &html).ok_or(FetchError::NoLink)?;
            download(http, format, &url, last, turn).await
        }
    }
}

fn read_file(format: Format, path: &Path, last: Option<&Version>) -> Result<Fetched, FetchError> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(FetchError::NotAFile);
    }
    if metadata.len() > MAX_FILE_BYTES as u64 {
        return Err(FetchError::TooLarge(MAX_FILE_BYTES));
    }
    let version = Version::File {
        modified: Timestamp::try_from(metadata.modified()?).unwrap_or_default(),
        bytes: metadata.len(),
    };
    if last == Some(&version) {
        return Ok(Fetched::Unchanged);
    }
    // A file that grows while it is read is cut here, and is not in the format then.
    let file = File::open(path)?.take(MAX_FILE_BYTES as u64);
    let table = Arc::new(format.parse(file)?);
    Ok(Fetched::Table { table, version })
}

async fn download(
    http: &Client,
    format: Format,
    url: &Url,
    last: Option<&Version>,
    turn: &Mutex<()>,
) -> Result<Fetched, FetchError> {
    let conditions = conditions(url, last);
    let response = within(HEAD_TIMEOUT, get(http, url, &conditions)).await?;
    match response.status() {
        StatusCode::OK => {
            let header = |name| {
                let value = response.headers().get(name)?.to_str();
                value.ok().map(str::to_owned)
            };
            let version = Version::Http {
                url: url.to_string(),
                etag: header(ETAG),
                last_modified: header(LAST_MODIFIED),
            };
            let _turn = turn.lock().await;
            let table = Arc::new(within(BODY_TIMEOUT, parse_body(response, format)).await?);
            Ok(Fetched::Table { table, version })
        }
        StatusCode::NOT_MODIFIED if !conditions.is_empty() => Ok(Fetched::Unchanged),
        status => Err(FetchError::Status(status)),
    }
}

/// Ends what takes longer than `limit`.
async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let ended = timeout(limit, step).await;
    ended.map_err(|_| FetchError::TooSlow(limit))?
}

async fn read_page(http: &Client, page: &Url) -> Result<Vec<u8>, FetchError> {
    let response = get(http, page, &[]).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    Ok(read_body(response, MAX_PAGE_BYTES).await?)
}

/// Parses the body while it arrives, on a blocking thread.
async fn parse_body(mut response: Response, format: Format) -> Result<VendorTable, FetchError> {
    let (mut unparsed, body) = tokio::io::duplex(PARSE_BUFFER_BYTES);
    let body = SyncIoBridge::new(body);
    let parsing = tokio::task::spawn_blocking(move || format.parse(body));
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(BodyError::from)? {
        bytes += chunk.len();
        if bytes > MAX_FILE_BYTES {
            return Err(FetchError::TooLarge(MAX_FILE_BYTES));
        }
        // The parser stops at a mistake.
        if unparsed.write_all(&chunk).await.is_err() {
            break;
        }
    }
    drop(unparsed);
    let parsed = parsing.await.map_err(|_| FetchError::Panicked)?;
    Ok(parsed?)
}

/// Headers that request the file only if it has changed since it was read from this address.
fn conditions(url: &Url, last: Option<&Version>) -> Vec<(HeaderName, HeaderValue)> {
    let validators = match last {
        Some(Version::Http {
            url: read_from,
            etag,
            last_modified,
        }) if read_from == url.as_str() => {
            [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)]
        }
        _ => return Vec::new(),
    };
    let headers = validators.into_iter().filter_map(|(name, value)| {
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
) -> Result<Response, FetchError> {
    let mut at = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request = http.get(at.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request
            .send()
            .await
            .map_err(|error| FetchError::Transport(describe(error)))?;
        match response.status().as_u16() {
            301 | 302 | 303 | 307 | 308 => {
                at = redirect_target(url, &at, response.headers().get(LOCATION))?;
            }
            _ => return Ok(response),
        }
    }
    Err(FetchError::Redirect("more often than any published file"))
}

/// The target of a redirect from `at`, for a read of `source`.
pub(super) fn redirect_target(
    source: &Url,
    at: &Url,
    location: Option<&HeaderValue>,
) -> Result<Url, FetchError> {
    let target = location
        .and_then(|location| location.to_str().ok())
        .and_then(|location| at.join(location).ok())
        .ok_or(FetchError::Redirect("without a usable address"))?;
    match target.scheme() {
        "https" => Ok(target),
        "http" if source.scheme() == "http" => Ok(target),
        _ => Err(FetchError::Redirect("away from https")),
    }
}
