//! The client of one account: attempts and retries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus::Registry;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use super::admission::Admission;
use super::attempt::{self, Request};
use super::auth::{AuthHeaders, Authenticator};
use super::call_budget::CallKind;
use super::credentials::Credentials;
use super::envelope::BodyProblem;
use super::headers;
use super::metrics::AccountMetrics;
use super::retry;
use super::{
    ApiError, CallBudget, Operation, RateLimit, RateLimitState, Reason, Secrets, Settings,
};
use crate::domain::{AccountName, ZoneId};
use crate::http_client::HttpClient;

/// How often a request is resent at once because a reused connection ended. If connections close
/// after a few requests each, one of many requests may hit this repeatedly.
const MAX_RESENDS: u32 = 20;
/// The longest pause before a resend; the pool may return a connection that has just ended.
const RESEND_PAUSE: Duration = Duration::from_millis(20);
/// The time limit for one attempt of a probe, whose client is waiting.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The client of one account. Clones share its rate limit, pauses and counters.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// The status of an account at Cloudflare: its token and its rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus {
    /// The account's name in the configuration.
    pub name: AccountName,
    /// Whether it authenticates with an API token rather than a global key.
    pub has_token: bool,
    /// Whether Cloudflare accepts the token; `None` if unknown.
    pub token_valid: Option<bool>,
    /// When the token expires, if it does.
    pub token_expires_on: Option<Timestamp>,
    /// The most requests of this process in one window of the rate limit.
    pub budget: u32,
    /// The requests left in Cloudflare's rate limit, according to its last response.
    pub remaining: Option<u64>,
    /// The end of the current pause, if any.
    pub paused_until: Option<Timestamp>,
}

struct Inner {
    admission: Admission,
    metrics: AccountMetrics,
    config: ArcSwap<Config>,
    /// Rows of the last list of zones that could not be read.
    unreadable_zones: AtomicU64,
}

/// The settings that a reload can change.
struct Config {
    settings: Settings,
    http: HttpClient,
    authenticator: Arc<Authenticator>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("account", &self.inner.metrics.account)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that sends with `http` and registers its metrics. Fails if the registry already has
    /// a client of this name. All clients of a process share `secrets`, so that none reveals
    /// another's.
    pub fn new(
        settings: &Settings,
        name: AccountName,
        credentials: Credentials,
        http: HttpClient,
        registry: &Registry,
        secrets: &Secrets,
    ) -> prometheus::Result<Self> {
        let admission = Admission::new(settings);
        let pauses = Arc::clone(&admission.pauses);
        let metrics = AccountMetrics::register(name, pauses, registry)?;
        metrics.standing().budget = settings.rate_limit.budget();
        let authenticator = Authenticator::new(credentials, secrets.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                admission,
                metrics,
                config: ArcSwap::from_pointee(Config {
                    settings: settings.clone(),
                    http,
                    authenticator: Arc::new(authenticator),
                }),
                unreadable_zones: AtomicU64::new(0),
            }),
        })
    }

    /// Replaces the settings and credentials for later requests. Recent requests, pauses, counters
    /// and the name are kept, and so is the last good secret if the credentials did not change.
    /// Returns whether they did.
    pub fn reconfigure(
        &self,
        settings: &Settings,
        credentials: Credentials,
        http: HttpClient,
    ) -> bool {
        let inner = &*self.inner;
        let old = inner.config.load();
        let has_new_credentials = old.authenticator.credentials != credentials;
        let mut authenticator = Arc::clone(&old.authenticator);
        if has_new_credentials {
            let secrets = authenticator.secrets.clone();
            authenticator = Arc::new(Authenticator::new(credentials, secrets));
        }
        if !authenticator.is_token() {
            inner.metrics.no_token();
        }
        inner.admission.configure(settings);
        inner.metrics.standing().budget = settings.rate_limit.budget();
        inner.config.store(Arc::new(Config {
            settings: settings.clone(),
            http,
            authenticator,
        }));
        has_new_credentials
    }

    /// The account's name in the configuration.
    pub fn account(&self) -> &AccountName {
        &self.inner.metrics.account
    }

    /// The end of the current pause, after a 429 or because the quota is nearly used up; `None` if
    /// there is none.
    pub fn paused_until(&self) -> Option<Instant> {
        self.inner.admission.pauses.until()
    }

    /// Whether a 429 currently blocks all requests of this account.
    pub fn is_blocked(&self) -> bool {
        self.inner.admission.pauses.blocked_until().is_some()
    }

    /// The most requests in flight.
    pub fn concurrency(&self) -> usize {
        self.inner.admission.concurrency()
    }

    /// Sets whether part of the rate limit and of the concurrency is reserved for urgent calls.
    pub fn reserve_for_urgent(&self, on: bool) {
        self.inner.admission.reserve_for_urgent(on);
    }

    /// Cloudflare's rate limit, and the share of this process.
    pub fn rate_limit(&self) -> RateLimit {
        self.inner.config.load().settings.rate_limit
    }

    /// The status of the account at Cloudflare, according to the responses.
    pub fn status(&self) -> AccountStatus {
        let inner = &*self.inner;
        let standing = *inner.metrics.standing();
        let paused_until = self.paused_until().and_then(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timestamp::now().checked_add(left).ok()
        });
        AccountStatus {
            name: inner.metrics.account.clone(),
            has_token: self.has_token(),
            token_valid: standing.token_valid,
            token_expires_on: standing.token_expiry,
            budget: standing.budget,
            remaining: standing.remaining,
            paused_until,
        }
    }

    /// From now on, sends only as many requests as [`Client::grant_requests`] allows. `wanted` is
    /// notified when a request waits for a grant.
    pub fn require_grants(&self, wanted: &Arc<Notify>) {
        self.inner.admission.limiter.require_grants(wanted);
    }

    /// Allows requests up to this total.
    pub fn grant_requests(&self, up_to: u64) {
        self.inner.admission.limiter.grant(up_to);
    }

    /// The recent requests and the end of a pause, to be kept across restarts, and the total number
    /// of requests.
    pub fn rate_limit_state(&self, now: Timestamp) -> (RateLimitState, u64) {
        self.inner.admission.state(now)
    }

    /// Restores the requests and the pause of an earlier process.
    pub fn restore_rate_limit(&self, state: &RateLimitState, now: Timestamp) {
        self.inner.admission.restore(state, now);
    }

    /// The most requests that a call makes before it fails.
    pub fn attempts(&self) -> u32 {
        self.inner.config.load().settings.retries.saturating_add(1)
    }

    /// Whether the account uses an API token, which can be verified, rather than a global key.
    pub fn has_token(&self) -> bool {
        self.inner.config.load().authenticator.is_token()
    }

    /// Removes all series of a removed account.
    pub fn unregister_metrics(&self, registry: &Registry) {
        self.inner.metrics.unregister(registry);
    }

    pub(super) fn metrics(&self) -> &AccountMetrics {
        &self.inner.metrics
    }

    /// Records the number of unreadable rows in the list of zones. Returns whether it changed.
    pub(super) fn unreadable_zones_changed(&self, count: u64) -> bool {
        self.inner.unreadable_zones.swap(count, Ordering::Relaxed) != count
    }

    /// The base URL of the API.
    pub fn base_url(&self) -> Url {
        self.inner.config.load().settings.base_url.clone()
    }

    /// The URL of a path below the base URL; segments are escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base_url();
        // The base URL is http or https, so it always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The URL of a path below a zone.
    pub(super) fn zone_url(&self, zone: &ZoneId, path: &str) -> Url {
        let zone = ["zones", zone.as_str()].into_iter();
        self.url(&zone.chain(path.split('/')).collect::<Vec<_>>())
    }

    /// Like [`Client::get`]; `None` if the request fails as expected.
    pub(super) async fn get_optional<T>(
        &self,
        request: Request<'_>,
        call: &CallBudget,
        parse: impl FnMut(&[u8]) -> Result<T, BodyProblem>,
    ) -> Result<Option<T>, ApiError> {
        match self.get(request, call, parse).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if (request.expected)(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request, with retries if they may help, and parses the response with `parse`.
    pub(super) async fn get<T>(
        &self,
        request: Request<'_>,
        call: &CallBudget,
        mut parse: impl FnMut(&[u8]) -> Result<T, BodyProblem>,
    ) -> Result<T, ApiError> {
        let inner = &*self.inner;
        let (mut retries, mut resends) = (0, 0);
        let mut replaced_secret = false;
        loop {
            let (error, auth) = match inner.attempt(request, call, &mut parse).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if error.connection_ended && resends < MAX_RESENDS {
                tokio::time::sleep(RESEND_PAUSE.mul_f64(fastrand::f64())).await;
                resends += 1;
                continue;
            }
            let config = inner.config.load_full();
            if error.reason == Reason::Unauthorized
                && !replaced_secret
                && let Some(used) = &auth
                && config.authenticator.newer_than(used).await.is_some()
            {
                replaced_secret = true;
            } else {
                let backoff = retry::backoff(retries, fastrand::f64());
                if retries >= config.settings.retries
                    || !retry::is_worth_retrying(error.reason, error.status)
                    || backoff >= call.remaining()
                {
                    if error.reason == Reason::Unauthorized && auth.is_some() {
                        inner.note_token(&config, request.operation, false);
                    }
                    return Err(error);
                }
                retries += 1;
                tokio::time::sleep(backoff).await;
            }
            tracing::debug!(
                account = %inner.metrics.account,
                operation = request.operation.as_str(),
                "trying again"
            );
            inner.metrics.retry(request.operation);
        }
    }
}

/// A failed attempt, and the secret that was used; `None` if nothing was sent.
type Failed = (ApiError, Option<Arc<AuthHeaders>>);

impl Inner {
    async fn attempt<T>(
        &self,
        request: Request<'_>,
        call: &CallBudget,
        parse: impl FnOnce(&[u8]) -> Result<T, BodyProblem>,
    ) -> Result<T, Failed> {
        let mut admission = self.admission.admit(call, &self.metrics).await;
        // Use the current settings and secret, because the wait may have been long.
        let config = self.config.load_full();
        let auth = config.authenticator.current().await.map_err(|error| {
            self.metrics.error(request.operation, Reason::Unauthorized);
            (request.error(Reason::Unauthorized, error), None)
        })?;
        let timeout = match call.kind() {
            CallKind::Regular | CallKind::Urgent => config.settings.timeout,
            CallKind::Probe => config.settings.timeout.min(PROBE_TIMEOUT),
        };
        let limit = timeout.min(call.remaining());
        if limit.is_zero() {
            let error = request.error(Reason::Timeout, "the time limit is used up");
            return Err((error, None));
        }
        admission.mark_used();
        let started = Instant::now();
        let mut status = None;
        let on_head = |code, headers: &HeaderMap| {
            status = Some(code);
            self.note_head(&config, code, headers);
        };
        let connections = config.http.connections();
        let outcome = attempt::attempt(&connections, &auth, request, limit, on_head, parse).await;
        drop(admission);
        self.metrics
            .attempt(request.operation, status, started.elapsed());
        let mut error = match outcome {
            Ok(answer) => {
                self.note_token(&config, request.operation, true);
                return Ok(answer);
            }
            Err(error) => error,
        };
        error.status = status;
        if attempt::accepts_the_credentials(&error) {
            self.note_token(&config, request.operation, true);
        }
        // A slow body is due to its sender; no response at all is due to the connection.
        if error.reason == Reason::Timeout && status.is_none() {
            config.http.timed_out(&connections);
        }
        let expected = (request.expected)(&error);
        if !expected {
            self.metrics.error(request.operation, error.reason);
        }
        tracing::debug!(
            account = %self.metrics.account,
            reason = %error.reason,
            %error,
            expected,
            "a request failed"
        );
        Err((error, Some(auth)))
    }

    /// Records what a response reports about the rate limit.
    fn note_head(&self, config: &Config, status: u16, headers: &HeaderMap) {
        let quota = headers::quota(headers);
        if let Some(quota) = quota {
            self.metrics.standing().remaining = Some(quota.remaining);
        }
        if status == 429 {
            let now = Timestamp::now();
            let pause = headers::pause_after_429(headers, now);
            if let Some(until) = self.admission.pauses.block(pause, now) {
                tracing::warn!(
                    account = %self.metrics.account,
                    %until,
                    "Cloudflare's rate limit is exceeded; nothing is sent for this account until \
                     then"
                );
            }
        } else if let Some(quota) = quota {
            let limit = config.settings.rate_limit;
            self.admission.note_quota(quota, limit);
            if quota.is_nearly_spent(limit.requests) {
                self.admission.pauses.wait_for_reset(quota.reset);
            }
        }
    }

    /// A response shows whether the token is valid, with two exceptions. A verification alone
    /// proves nothing: the token may be disabled or of the other kind. Nor does the refusal of an
    /// optional call.
    fn note_token(&self, config: &Config, operation: Operation, valid: bool) {
        let proves = match operation {
            Operation::VerifyToken => false,
            Operation::ListZones | Operation::GetZone | Operation::ListMappings => true,
            _ => valid,
        };
        if proves && config.authenticator.is_token() {
            self.metrics.token_used(valid);
        }
    }
}
