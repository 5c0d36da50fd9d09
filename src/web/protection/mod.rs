//! TLS, users, rate limit and headers from the web configuration file. Changed files are reloaded
//! while the server runs.

mod client_auth;
mod fair_queue;
mod files;
mod rate;
mod tls;
mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;
use prometheus::{Gauge, Registry};
use rustls::ServerConfig;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

pub(super) use self::client_auth::names_of;
pub(super) use self::users::named;

use self::files::Files;
use self::rate::Bucket;
use self::tls::Tls;
use self::users::{Access, Users};
use super::reply::Reply;
use super::server::Peer;
use super::{Pem, TlsSettings, WebConfig};
use crate::metric_families::WEB_CERTIFICATE_NOT_AFTER;
use crate::panics::lock;

/// How often the files are checked for changes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A changed file must stay the same for this long before it is read: it may still be incomplete,
/// and an empty one would let everyone in.
const SETTLE: Duration = Duration::from_millis(200);

/// Why the web configuration file cannot be used, described for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProtectionError(String);

/// The current TLS, users, rate limit and headers of the web configuration file.
pub struct Protection {
    path: Option<PathBuf>,
    in_force: ArcSwap<InForce>,
    files: Mutex<Files>,
    /// The expiry of the served certificate; only with TLS.
    certificate_end: Option<Gauge>,
}

/// The protection of a connection or request.
#[derive(Default)]
pub(super) struct InForce {
    tls: Option<Tls>,
    /// Headers that are added to every response.
    pub(super) headers: HeaderMap,
    users: Option<Users>,
    bucket: Option<Arc<Bucket>>,
}

impl Protection {
    /// Loads a web configuration file and its certificates. Without a file there is no protection.
    pub fn load(path: Option<&Path>) -> Result<Self, ProtectionError> {
        let mut files = Files::default();
        let in_force = match path {
            Some(path) => InForce::load(path, &mut files)?,
            None => InForce::default(),
        };
        Ok(Self {
            path: path.map(Path::to_owned),
            in_force: ArcSwap::from_pointee(in_force),
            files: Mutex::new(files),
            certificate_end: None,
        })
    }

    /// Registers the metric of the certificate's expiry, if there is a certificate whose expiry is
    /// known: 0 would be an expired one.
    pub fn register(&mut self, registry: &Registry) -> Result<(), prometheus::Error> {
        if self.show_certificate_end().is_some() {
            self.certificate_end = Some(WEB_CERTIFICATE_NOT_AFTER.register(registry)?);
            self.show_certificate_end();
        }
        Ok(())
    }

    /// Returns the expiry of the served certificate.
    fn show_certificate_end(&self) -> Option<Timestamp> {
        let not_after = self.in_force.load().tls.as_ref()?.not_after?;
        if let Some(gauge) = &self.certificate_end {
            gauge.set(not_after.as_duration().as_secs_f64());
        }
        Some(not_after)
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        match self.in_force.load().tls {
            Some(_) => "https",
            None => "http",
        }
    }

    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Reloads changed files, forever. An error is logged once, and the previous settings stay in
    /// use. Also logs an expired certificate once.
    pub(super) async fn follow(self: Arc<Self>) {
        let Some(path) = self.path.clone() else {
            return;
        };
        let mut logged = None;
        loop {
            let not_after = self.show_certificate_end();
            if let Some(not_after) = not_after.filter(|at| *at < Timestamp::now())
                && logged.replace(not_after) != Some(not_after)
            {
                error!(%not_after, "the certificate of the web server has expired");
            }
            sleep(LOOK_INTERVAL).await;
            let this = Arc::clone(&self);
            let path = path.clone();
            // A panic ends only this check.
            drop(spawn_blocking(move || this.look(&path)).await);
        }
    }

    fn look(&self, path: &Path) {
        let before = lock(&self.files).clone();
        let now = before.now();
        if now == before {
            return;
        }
        std::thread::sleep(SETTLE);
        if now.now() != now {
            return;
        }
        match self.reload(path) {
            Ok(()) => info!(path = %path.display(), "reloaded the web configuration"),
            Err(error) => error!(
                path = %path.display(),
                %error,
                "cannot reload the web configuration; the old one stays in force"
            ),
        }
    }

    fn reload(&self, path: &Path) -> Result<(), ProtectionError> {
        let mut files = Files::default();
        let loaded = InForce::load(path, &mut files);
        *lock(&self.files) = files;
        let mut new = loaded?;
        let old = self.in_force.load();
        if new.tls.is_some() != old.tls.is_some() {
            return Err(ProtectionError(format!(
                "{}: TLS cannot be turned on or off while the exporter runs; restart it",
                path.display()
            )));
        }
        new.inherit(&old);
        self.in_force.store(Arc::new(new));
        Ok(())
    }
}

impl InForce {
    /// `files` receives the files that are read, in their state before, even if loading fails.
    fn load(path: &Path, files: &mut Files) -> Result<Self, ProtectionError> {
        files.add(path);
        let config = WebConfig::load(path).map_err(|errors| ProtectionError(errors.to_string()))?;
        for pem in config.tls.iter().flat_map(TlsSettings::pems) {
            if let Pem::File(path) = pem {
                files.add(path);
            }
        }
        let tls = config.tls.as_ref().map(|tls| {
            tls::load(tls, config.http2).map_err(|problem| {
                let path = path.display();
                ProtectionError(format!("{path}: tls_server_config: {problem}"))
            })
        });
        let users = (!config.users.is_empty()).then(|| Users::new(config.users));
        let bucket = |limit| Arc::new(Bucket::new(limit, Instant::now()));
        Ok(Self {
            tls: tls.transpose()?,
            headers: config.headers,
            users: users.transpose().map_err(|_| {
                let problem = "the operating system gives no random numbers, which passwords need";
                ProtectionError(problem.to_owned())
            })?,
            bucket: config.rate_limit.map(bucket),
        })
    }

    /// Keeps the bucket of an unchanged limit and the credentials of unchanged passwords, so that a
    /// new certificate does not reset them.
    fn inherit(&mut self, old: &Self) {
        if let (Some(new), Some(old)) = (&mut self.users, &old.users) {
            new.inherit(old);
        }
        if let (Some(new), Some(old)) = (&mut self.bucket, &old.bucket)
            && new.limit == old.limit
        {
            *new = Arc::clone(old);
        }
    }

    /// The TLS configuration; `None` without TLS.
    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| &tls.config)
    }

    /// The response to a request that is not allowed; `None` if it is.
    pub(super) async fn refusal(&self, request: &HeaderMap, peer: Peer) -> Option<Reply> {
        if let Some(bucket) = &self.bucket
            && !bucket.take(Instant::now())
        {
            return Some(Reply::text(
                StatusCode::TOO_MANY_REQUESTS,
                "There are more requests than rate_limit of the web configuration allows.",
            ));
        }
        match self.users.as_ref()?.check(request, peer).await {
            Access::Granted => None,
            Access::Denied => Some(Reply::unauthorized()),
            Access::Busy => Some(Reply::unavailable(
                "Too many passwords are being checked. Try again.",
            )),
        }
    }
}
