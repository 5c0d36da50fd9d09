//! One account's client: attempts and retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::Url;

use super::admission::Admission;
use super::attempt::{self, AttemptError, Request};
use super::auth::{AuthHeaders, Authenticator};
use super::call_budget::CallKind;
use super::credentials::Credentials;
use super::envelope::BodyProblem;
use super::headers;
use super::metrics::AccountMetrics;
use super::retry;
use super::{
    AccountSettings, ApiError, CallBudget, Metrics, Operation, RateLimitState, Reason, Secrets,
    Settings,
};
use crate::domain::AccountName;
use crate::http_client::HttpClient;

/// How often one request is sent again at once because a reused connection ended.
/// With many requests on connections that are ended after a few of them, one may be unlucky often.
const MAX_RESENDS: u32 = 20;
/// The longest pause before that; the pool may hand out a connection that has just ended.
const RESEND_PAUSE: Duration = Duration::from_millis(20);
/// The time for one attempt of a probe, which somebody waits for.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// One account's client. Clones share its rate limit, pauses and counters.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// How an account stands with Cloudflare: its token and its rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus {
    /// The account's name in the configuration.
    pub name: AccountName,
    /// Whether it authenticates with an API token rather than a global key.
    pub has_token: bool,
    /// Whether Cloudflare accepts the token; `None` while that is not known.
    pub token_valid: Option<bool>,
    /// When the token expires, where it does.
    pub token_expires_on: Option<Timestamp>,
    /// Requests that this process allows itself in one window of the rate limit.
    pub budget: u32,
    /// Requests left in Cloudflare's rate limit, as its last answer said.
    pub remaining: Option<u64>,
    /// Until when nothing is sent; `None` when there is no pause.
    pub paused_until: Option<Timestamp>,
}

struct Inner {
    account: AccountName,
    admission: Admission,
    metrics: AccountMetrics,
    secrets: Secrets,
    config: ArcSwap<Config>,
}

/// What a reload can change.
struct Config {
    http: HttpClient,
    base: Url,
    /// What the authenticator was made of.
    credentials: Credentials,
    authenticator: Arc<Authenticator>,
    timeout: Duration,
    retries: u32,
    quota: u32,
    share: f64,
    budget: u32,
    window: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("account", &self.inner.account)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that sends with `http`. The clients of one process share `secrets`, so that none
    /// shows another's.
    pub fn new(
        settings: &Settings,
        account: AccountSettings,
        http: HttpClient,
        metrics: &Metrics,
        secrets: &Secrets,
    ) -> Self {
        let AccountSettings { name, credentials } = account;
        let admission = Admission::new(settings);
        let pauses = Arc::clone(admission.pauses());
        let metrics = AccountMetrics::new(metrics.clone(), name.clone(), pauses);
        metrics.budget(settings.rate_limit.budget());
        let authenticator = Arc::new(Authenticator::new(credentials.clone(), secrets.clone()));
        let config = Config::new(settings, credentials, authenticator, http);
        Self {
            inner: Arc::new(Inner {
                account: name,
                admission,
                metrics,
                secrets: secrets.clone(),
                config: ArcSwap::from_pointee(config),
            }),
        }
    }

    /// Puts other settings and credentials into force for the requests to come. The requests of
    /// the last window, pauses and counters stay; so do the name and, where the credentials are as
    /// they were, the last good secret.
    pub fn reconfigure(&self, settings: &Settings, account: AccountSettings, http: HttpClient) {
        let inner = &*self.inner;
        let credentials = account.credentials;
        let old = inner.config.load();
        let authenticator = if old.credentials == credentials {
            Arc::clone(&old.authenticator)
        } else {
            let secrets = inner.secrets.clone();
            Arc::new(Authenticator::new(credentials.clone(), secrets))
        };
        if !authenticator.is_token() {
            inner.metrics.no_token();
        }
        inner.admission.configure(settings);
        inner.metrics.budget(settings.rate_limit.budget());
        let config = Config::new(settings, credentials, authenticator, http);
        inner.config.store(Arc::new(config));
    }

    /// The account's name in the configuration.
    pub fn account(&self) -> &AccountName {
        &self.inner.account
    }

    /// Until when nothing is sent, because of a 429 or because the quota is nearly spent; `None`
    /// when there is no pause.
    pub fn paused_until(&self) -> Option<Instant> {
        self.inner.admission.pauses().until()
    }

    /// Whether a 429 keeps everything of this account back now.
    pub fn is_blocked(&self) -> bool {
        self.inner.admission.pauses().blocked_until().is_some()
    }

    /// Requests in flight at once.
    pub fn concurrency(&self) -> usize {
        self.inner.admission.concurrency()
    }

    /// Whether a part of the rate limit and of the requests in flight is kept for urgent calls.
    pub fn reserve_for_urgent(&self, on: bool) {
        self.inner.admission.reserve_for_urgent(on);
    }

    /// Requests that this process allows itself in one window of the rate limit.
    pub fn budget(&self) -> u32 {
        self.inner.config.load().budget
    }

    /// How the account stands with Cloudflare, as far as its answers told.
    pub fn status(&self) -> AccountStatus {
        let inner = &*self.inner;
        let standing = inner.metrics.standing();
        let paused_until = self.paused_until().and_then(|until| {
            let left = until.saturating_duration_since(Instant::now());
            Timestamp::now().checked_add(left).ok()
        });
        AccountStatus {
            name: inner.account.clone(),
            has_token: self.has_token(),
            token_valid: standing.token_valid,
            token_expires_on: standing.token_expiry,
            budget: self.budget(),
            remaining: standing.remaining,
            paused_until,
        }
    }

    /// From now on sends no more requests than [`Client::grant_requests`] allows. `wanted` is
    /// notified when one waits for that.
    pub fn require_grants(&self, wanted: &Arc<Notify>) {
        self.inner.admission.limiter().require_grants(wanted);
    }

    /// Allows requests until so many were ever made.
    pub fn grant_requests(&self, up_to: u64) {
        self.inner.admission.limiter().grant(up_to);
    }

    /// The requests of the window and the end of a pause, to be kept across restarts, and how many
    /// requests were ever made.
    pub fn rate_limit_state(&self, now: Timestamp) -> (RateLimitState, u64) {
        self.inner.admission.state(now)
    }

    /// Puts the requests and the pause of an earlier process into force. After an unclean end the
    /// last of its requests may be missing, so the first window is paced: the rest of the budget
    /// becomes free evenly.
    pub fn restore_rate_limit(&self, state: &RateLimitState, unclean: bool, now: Timestamp) {
        self.inner.admission.restore(state, unclean, now);
    }

    /// The most requests that one call may make before it fails.
    pub fn attempts(&self) -> u32 {
        self.inner.config.load().retries.saturating_add(1)
    }

    /// That window.
    pub fn window(&self) -> Duration {
        self.inner.config.load().window
    }

    /// Whether the account has an API token, which can be verified, rather than a global key.
    pub fn has_token(&self) -> bool {
        self.inner.config.load().authenticator.is_token()
    }

    /// Removes every series of the account, which is gone; calls that are still under way count no
    /// more.
    pub fn forget_metrics(&self) {
        self.inner.metrics.forget();
    }

    pub(super) fn metrics(&self) -> &AccountMetrics {
        &self.inner.metrics
    }

    /// The base URL of the API.
    pub fn base_url(&self) -> Url {
        self.inner.config.load().base.clone()
    }

    /// The address of a path below the base URL; each segment is escaped.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.inner.config.load().base.clone();
        // An http or https URL always has a path; configuration allows no other.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Makes a request, again where that may help, and reads its answer with `parse`.
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
            let failed = match inner.attempt(request, call, &mut parse).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.connection_ended && resends < MAX_RESENDS {
                tokio::time::sleep(RESEND_PAUSE.mul_f64(fastrand::f64())).await;
                resends += 1;
                continue;
            }
            let Failed { error, proof, .. } = failed;
            let config = inner.config.load_full();
            if error.reason == Reason::Unauthorized
                && !replaced_secret
                && let Some(used) = &proof
                && config.authenticator.newer_than(used).await.is_some()
            {
                replaced_secret = true;
            } else {
                let backoff = retry::backoff(retries, fastrand::f64());
                if retries >= config.retries
                    || !retry::is_worth_retrying(error.reason, error.status)
                    || backoff >= call.remaining()
                {
                    if error.reason == Reason::Unauthorized
                        && request.operation.proves_credentials()
                        && proof.is_some()
                    {
                        inner.note_token(&config, request.operation, false);
                    }
                    return Err(error);
                }
                retries += 1;
                tokio::time::sleep(backoff).await;
            }
            tracing::debug!(
                account = %inner.account,
                operation = request.operation.as_str(),
                "trying again"
            );
            inner.metrics.retry(request.operation);
        }
    }
}

impl Config {
    fn new(
        settings: &Settings,
        credentials: Credentials,
        authenticator: Arc<Authenticator>,
        http: HttpClient,
    ) -> Self {
        Self {
            http,
            base: settings.base_url.clone(),
            credentials,
            authenticator,
            timeout: settings.timeout,
            retries: settings.retries,
            quota: settings.rate_limit.requests,
            share: settings.rate_limit.share,
            budget: settings.rate_limit.budget(),
            window: settings.rate_limit.window,
        }
    }
}

/// An attempt that failed.
struct Failed {
    error: ApiError,
    /// The secret that was used; `None` where nothing was sent.
    proof: Option<Arc<AuthHeaders>>,
    /// The connection ended before it answered.
    connection_ended: bool,
}

impl Inner {
    async fn attempt<T>(
        &self,
        request: Request<'_>,
        call: &CallBudget,
        parse: impl FnOnce(&[u8]) -> Result<T, BodyProblem>,
    ) -> Result<T, Failed> {
        let mut admission = self.admission.admit(call, &self.metrics).await;
        // Settings and secret are those of now: the wait may have been long.
        let config = self.config.load_full();
        let unsent = |error| Failed {
            error,
            proof: None,
            connection_ended: false,
        };
        let proof = config.authenticator.proof().await.map_err(|error| {
            self.metrics.error(request.operation, Reason::Unauthorized);
            unsent(request.error(Reason::Unauthorized, error.to_string()))
        })?;
        let timeout = match call.kind() {
            CallKind::Regular | CallKind::Urgent => config.timeout,
            CallKind::Probe => config.timeout.min(PROBE_TIMEOUT),
        };
        let limit = timeout.min(call.remaining());
        if limit.is_zero() {
            return Err(unsent(
                request.error(Reason::Timeout, "the time for it is used up"),
            ));
        }
        admission.mark_used();
        let started = Instant::now();
        let on_head = |status, headers: &HeaderMap| self.note_head(&config, status, headers);
        let connections = config.http.connections();
        let outcome = attempt::attempt(&connections, &proof, request, limit, on_head, parse).await;
        drop(admission);
        let status = match &outcome {
            Ok((status, _)) => Some(*status),
            Err(AttemptError { error, .. }) => error.status,
        };
        self.metrics
            .attempt(request.operation, status, started.elapsed());
        let accepted = match &outcome {
            Ok(_) => true,
            Err(AttemptError { error, .. }) => attempt::accepts_the_credentials(error),
        };
        if accepted {
            self.note_token(&config, request.operation, true);
        }
        outcome.map(|(_, answer)| answer).map_err(|failed| {
            let AttemptError {
                error,
                connection_ended,
            } = failed;
            // A body that comes too slowly is its sender's affair; silence is the connection's.
            if error.reason == Reason::Timeout && error.status.is_none() {
                config.http.timed_out(&connections);
            }
            let expected = (request.expected)(&error);
            if !expected {
                self.metrics.error(request.operation, error.reason);
            }
            tracing::debug!(
                account = %self.account,
                reason = %error.reason,
                %error,
                expected,
                "a request failed"
            );
            Failed {
                error,
                proof: Some(proof),
                connection_ended,
            }
        })
    }

    /// Takes note of what an answer says of the rate limit.
    fn note_head(&self, config: &Config, status: u16, headers: &HeaderMap) {
        let quota = headers::quota(headers);
        if let Some(quota) = quota {
            self.metrics.remaining(quota.remaining);
        }
        if status == 429 {
            let now = Timestamp::now();
            let pause = headers::pause_after_429(headers, now);
            if let Some(until) = self.admission.pauses().block(pause, now) {
                tracing::warn!(
                    account = %self.account,
                    %until,
                    "Cloudflare's rate limit is exceeded; nothing is sent for this account until \
                     then"
                );
            }
        } else if let Some(quota) = quota {
            self.admission.note_quota(quota, config.quota, config.share);
            if quota.is_nearly_spent(config.quota) {
                self.admission.pauses().wait_for_reset(quota.reset);
            }
        }
    }

    /// An answer shows whether the token is accepted. A verification alone does not: it may be
    /// about a disabled token, or about the other kind of token. Nor does a refusal of an optional
    /// call.
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
