//! What all outgoing HTTP shares: trusted authorities, proxies, bounded bodies, error classes.

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

/// Time to make a connection, TLS included; an API that is up answers much sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are closed before a load balancer in between does it silently.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// An HTTP/2 connection that does not answer a ping, sent this often, within this time is closed: a
/// peer that freezes while TCP stays up is noticed, and the next request opens another connection.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests in a row that time out before all connections are given up. One may be slow by itself.
const MAX_TIMEOUTS: u32 = 2;
/// A file of certificate authorities larger than this is none; the largest bundles have 1 MB.
const CA_FILE_LIMIT: usize = 16 << 20;

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The file of certificate authorities could not be read.
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

/// An HTTP client that gives up its connections when requests keep timing out. Clones share them.
#[derive(Debug, Clone)]
pub struct HttpClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tls: ClientConfig,
    current: ArcSwap<Connections>,
}

/// A client of the HTTP library with its pool of connections.
#[derive(Debug)]
pub struct Connections {
    client: Client,
    /// Requests that timed out since one was answered.
    timeouts: AtomicU32,
    /// The last answer came over HTTP/2.
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

    /// A request was answered.
    pub fn answered(&self, version: Version) {
        self.timeouts.store(0, Ordering::Relaxed);
        let http2 = version == Version::HTTP_2;
        self.http2.store(http2, Ordering::Relaxed);
    }

    /// Whether a request failed because a reused HTTP/2 connection ended before the answer: the
    /// peer closed it (RFC 9113, section 6.8) or it broke. That happens at any time, so an
    /// idempotent request can be sent again at once. The HTTP library does so by itself on
    /// HTTP/1.1.
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

    /// A request on these connections timed out. After the second in a row new requests use new
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

/// A builder with this program's TLS configuration, time-outs and name; redirects are not
/// followed, because they could carry credentials to another host. `HTTPS_PROXY`, `HTTP_PROXY` and
/// `NO_PROXY` are honoured.
///
/// The machine's authorities (Mozilla's if the machine has none, as in a bare container) and those
/// of `ca_file` are trusted.
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
        // The rate limiter counts every request, so the library must not repeat one by itself.
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

fn add_ca_file(roots: &mut RootCertStore, path: &Path) -> Result<(), HttpClientError> {
    let fail = |problem: String| HttpClientError::CaFile {
        path: path.to_owned(),
        problem,
    };
    let pem = file_io::bounded(path, CA_FILE_LIMIT).map_err(|error| fail(error.to_string()))?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| fail(error.to_string()))?;
        found += 1;
    }
    if found == 0 {
        return Err(fail("it holds no PEM certificate".to_owned()));
    }
    Ok(())
}

/// Why no whole body came.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the caller's bound; it was not read to its end.
    #[error("the body is larger than {}", Size(*limit))]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// It broke off, came too slowly, or its compression is corrupt.
    #[error("the body could not be read")]
    Transport(#[from] reqwest::Error),
}

/// Reads a body, decompressed, of at most `limit` bytes.
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

/// What kind of transport failure an error of the HTTP library is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Too slow: connecting, answering or sending the body.
    Timeout,
    /// No connection: refused, unreachable, or the name did not resolve.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The body's compression is corrupt.
    Decode,
    /// Anything else, such as a connection that was cut.
    Other,
}

/// Sorts a transport error. The order of the questions matters: a slow body is a decoding error
/// too, and a failed handshake or name look-up is a connection error too.
pub fn classify(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        Failure::Timeout
    } else if has_source::<rustls::Error>(error) || handshake_broke_off(error) {
        Failure::Tls
    } else if error.is_connect() {
        Failure::Connect
    } else if error.is_decode() && !has_source::<hyper::Error>(error) {
        Failure::Decode
    } else {
        Failure::Other
    }
}

/// Whether the peer answered a TLS handshake with something that is no TLS, or hung up.
fn is_not_tls(error: &reqwest::Error) -> bool {
    let is_other_protocol = sources(error).any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(rustls::Error::InvalidMessage(
                rustls::InvalidMessage::InvalidContentType
                    | rustls::InvalidMessage::UnknownProtocolVersion
            ))
        )
    });
    is_other_protocol || handshake_broke_off(error)
}

/// An error, its causes and what is probably wrong in one line, without the URL, which may hold a
/// password.
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
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
        // An io::Error that wraps another error names that one's source, not itself, as its own.
        match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner as &'a (dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn has_source<E: Error + 'static>(error: &reqwest::Error) -> bool {
    sources(error).any(<dyn Error>::is::<E>)
}

/// tokio-rustls reports a peer that hangs up in mid-handshake as a plain I/O error.
fn handshake_broke_off(error: &reqwest::Error) -> bool {
    error.is_connect() && sources(error).any(|cause| cause.to_string() == "tls handshake eof")
}
