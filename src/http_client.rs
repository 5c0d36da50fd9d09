//! Shared code for outgoing HTTP: trusted authorities, proxies, bounded bodies, error classes.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Version};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::file_io::{self, Size};

/// The time to connect, including TLS; an API that is up connects much faster.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are closed before a load balancer in between drops them silently.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How often an HTTP/2 connection is pinged, and how long it may take to answer before it is
/// closed. This detects a peer that freezes while TCP stays up; the next request reconnects.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Consecutive time-outs before all connections are replaced. A single one may be a slow request.
const MAX_TIMEOUTS: u32 = 2;
/// The largest file of certificate authorities; the largest common bundles have 1 MB.
const CA_FILE_LIMIT: usize = 16 << 20;

/// Why a client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The file of certificate authorities is not usable.
    #[error("cannot read the certificate authorities in {path}: {problem}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The HTTP library refused its settings.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// An HTTP client that replaces its connections if requests keep timing out. Clones share them.
#[derive(Debug, Clone)]
pub struct HttpClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: ClientConfig,
    current: ArcSwap<Connections>,
}

/// A reqwest client with its connection pool.
#[derive(Debug)]
pub struct Connections {
    client: Client,
    /// Time-outs since the last response.
    timeouts: AtomicU32,
    /// Whether the last response used HTTP/2.
    http2: AtomicBool,
}

impl Connections {
    fn new(tls: ClientConfig) -> Result<Self, HttpClientError> {
        let client = builder(tls).build();
        Ok(Self {
            client: client.map_err(|error| HttpClientError::Client(describe(error)))?,
            timeouts: AtomicU32::new(0),
            http2: AtomicBool::new(false),
        })
    }

    /// The client to send with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Records a response.
    pub fn answered(&self, version: Version) {
        self.timeouts.store(0, Ordering::Relaxed);
        let http2 = version == Version::HTTP_2;
        self.http2.store(http2, Ordering::Relaxed);
    }

    /// Whether a request failed because a reused HTTP/2 connection ended before the response: the
    /// peer closed it (RFC 9113, section 6.8) or it broke. This can happen at any time, so an
    /// idempotent request may be retried at once. On HTTP/1.1, the HTTP library does so by itself.
    pub fn ended_before_answer(&self, error: &reqwest::Error) -> bool {
        self.http2.load(Ordering::Relaxed)
            && has_source::<hyper::Error>(error)
            && !error.is_timeout()
            && !error.is_connect()
    }
}

impl HttpClient {
    /// A client with the settings of [`client_builder`].
    pub fn new(ca_file: Option<&Path>) -> Result<Self, HttpClientError> {
        let tls = tls_config(ca_file)?;
        let current = ArcSwap::from_pointee(Connections::new(tls.clone())?);
        Ok(Self(Arc::new(Shared { tls, current })))
    }

    /// The connections in use.
    pub fn connections(&self) -> Arc<Connections> {
        self.0.current.load_full()
    }

    /// Records a time-out on these connections. After the second in a row, new requests use new
    /// connections, because an HTTP/2 peer may answer pings and still be stuck.
    pub fn timed_out(&self, used: &Arc<Connections>) {
        if used.timeouts.fetch_add(1, Ordering::Relaxed) + 1 < MAX_TIMEOUTS
            || !Arc::ptr_eq(used, &self.0.current.load())
        {
            return;
        }
        match Connections::new(self.0.tls.clone()) {
            Ok(new) => {
                tracing::info!("requests keep timing out; new connections are used");
                self.0.current.store(Arc::new(new));
            }
            Err(error) => tracing::warn!(%error, "cannot replace connections that time out"),
        }
    }
}

/// A builder with this program's TLS configuration, time-outs and user agent. Redirects are not
/// followed, because they could send credentials to another host. `HTTPS_PROXY`, `HTTP_PROXY` and
/// `NO_PROXY` are honoured.
///
/// Trusts the machine's authorities (or Mozilla's if it has none, as in a bare container) and those
/// of `ca_file`.
pub fn client_builder(ca_file: Option<&Path>) -> Result<ClientBuilder, HttpClientError> {
    tls_config(ca_file).map(builder)
}

fn builder(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .redirect(Policy::none())
        // The rate limiter counts every request, so the library must not retry by itself.
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
}

fn tls_config(ca_file: Option<&Path>) -> Result<ClientConfig, HttpClientError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        add_ca_file(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpClientError::Client(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// Whether a file holds certificate authorities.
pub fn check_ca_file(path: &Path) -> Result<(), HttpClientError> {
    add_ca_file(&mut RootCertStore::empty(), path)
}

fn add_ca_file(roots: &mut RootCertStore, path: &Path) -> Result<(), HttpClientError> {
    let mut add = || -> Result<(), Box<dyn Error>> {
        let pem = file_io::bounded(path, CA_FILE_LIMIT)?;
        let mut certificates = CertificateDer::pem_slice_iter(&pem).peekable();
        certificates.peek().ok_or("it holds no PEM certificate")?;
        certificates.try_for_each(|certificate| Ok(roots.add(certificate?)?))
    };
    add().map_err(|error| HttpClientError::CaFile {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the limit, and was not read to the end.
    #[error("the body is larger than {}", Size(*limit))]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It was cut off or too slow, or its compression is corrupt.
    #[error("the body could not be read")]
    Transport(#[from] reqwest::Error),
}

/// Reads and decompresses a body of at most `limit` bytes.
pub async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether the TLS handshake failed.
pub fn is_tls_failure(error: &reqwest::Error) -> bool {
    has_source::<rustls::Error>(error) || handshake_was_cut(error)
}

/// Whether the peer does not speak TLS: it answered the handshake with another protocol or hung up.
fn is_not_tls(error: &reqwest::Error) -> bool {
    let is_other_protocol = matches!(
        source(error),
        Some(rustls::Error::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType
                | rustls::InvalidMessage::UnknownProtocolVersion
        ))
    );
    is_other_protocol || handshake_was_cut(error)
}

/// An error with its causes and a hint at the likely problem, on one line. Leaves out the URL,
/// which may contain a password.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    for cause in sources(&error).skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    if is_not_tls(&error) {
        text.push_str("; the server may not speak TLS on this port: check scheme and port");
    }
    text
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        // The source of an `io::Error` that wraps an error is that error's source.
        match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    })
}

/// The cause of this type, if there is one.
pub fn source<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    sources(error).find_map(<dyn Error>::downcast_ref)
}

/// Whether there is a cause of this type.
pub fn has_source<E: Error + 'static>(error: &reqwest::Error) -> bool {
    source::<E>(error).is_some()
}

/// tokio-rustls reports a peer that hangs up during the handshake as a plain I/O error.
fn handshake_was_cut(error: &reqwest::Error) -> bool {
    error.is_connect() && sources(error).any(|cause| cause.to_string() == "tls handshake eof")
}
