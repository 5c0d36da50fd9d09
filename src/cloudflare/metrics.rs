//! The client's own metrics.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Registry};

use super::pause::Pauses;
use super::{Operation, Reason};
use crate::domain::AccountName;
use crate::metric_families::{self, Family};
use crate::panics::lock;

/// A healthy API responds within 0.1 to 1 seconds; the last bound is the default time-out.
const BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The gauges of an account's state, in the order of [`AccountMetrics::values`].
const GAUGES: [Family; 5] = [
    metric_families::API_BUDGET_REQUESTS,
    metric_families::API_RATE_LIMIT_REMAINING,
    metric_families::API_BLOCKED_UNTIL,
    metric_families::TOKEN_VALID,
    metric_families::TOKEN_EXPIRY,
];

/// An account's standing with the API, according to the last responses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    pub(super) budget: u32,
    pub(super) remaining: Option<u64>,
    pub(super) token_valid: Option<bool>,
    pub(super) token_expiry: Option<Timestamp>,
    /// Whether the last verification found the token disabled or expired although calls succeed.
    verified_as_inactive: bool,
    /// Whether the last call was refused.
    call_refused: bool,
}

/// The metrics of one account. Each account registers its own, so that removing it removes all its
/// series, and a call that is still in progress does not recreate them. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct AccountMetrics {
    pub(super) account: AccountName,
    requests: IntCounterVec,
    errors: IntCounterVec,
    retries: IntCounterVec,
    duration: HistogramVec,
    throttled: Counter,
    /// Set at collection.
    gauges: Vec<GaugeVec>,
    pauses: Arc<Pauses>,
    standing: Arc<Mutex<Standing>>,
}

impl AccountMetrics {
    /// Creates and registers the metrics. Fails if this account is already registered.
    pub(super) fn register(
        account: AccountName,
        pauses: Arc<Pauses>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let options = |family: &Family| family.of_account(account.as_str());
        let counters = |family| {
            let (opts, labels) = options(family);
            IntCounterVec::new(opts, &labels)
        };
        let gauges = GAUGES.iter().map(|family| {
            let (opts, labels) = options(family);
            GaugeVec::new(opts, &labels)
        });
        let (duration, labels) = options(&metric_families::API_REQUEST_DURATION);
        let duration = HistogramOpts::from(duration).buckets(BUCKETS.to_vec());
        let (throttled, _) = options(&metric_families::API_THROTTLED);
        let metrics = Self {
            requests: counters(&metric_families::API_REQUESTS)?,
            errors: counters(&metric_families::API_ERRORS)?,
            retries: counters(&metric_families::API_RETRIES)?,
            duration: HistogramVec::new(duration, &labels)?,
            throttled: Counter::with_opts(throttled)?,
            gauges: gauges.collect::<Result<_, _>>()?,
            account,
            pauses,
            standing: Arc::default(),
        };
        // Starts at 0, so that the first 429 is visible as an increase.
        let (operation, reason) = (Operation::ListMappings, Reason::RateLimited);
        let labels = [operation.as_str(), reason.as_str()];
        metrics.errors.with_label_values(&labels);
        registry.register(Box::new(metrics.clone()))?;
        Ok(metrics)
    }

    /// Removes all series of the account.
    pub(super) fn unregister(&self, registry: &Registry) {
        // Fails only if they are not registered.
        registry.unregister(Box::new(self.clone())).ok();
    }

    fn collectors(&self) -> impl Iterator<Item = &dyn Collector> {
        let others: [&dyn Collector; 5] = [
            &self.requests,
            &self.errors,
            &self.retries,
            &self.duration,
            &self.throttled,
        ];
        let gauges = self.gauges.iter().map(|gauge| gauge as &dyn Collector);
        others.into_iter().chain(gauges)
    }

    /// The values of [`GAUGES`]; `None` if there is no series.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a quota is far below 2^53; a lie may be inexact"
    )]
    fn values(&self, standing: &Standing) -> [Option<f64>; GAUGES.len()] {
        [
            Some(standing.budget.into()),
            standing.remaining.map(|requests| requests as f64),
            // A pause ends by itself.
            Some(self.pauses.blocked_until().map_or(0.0, unix_seconds)),
            standing.token_valid.map(|valid| u8::from(valid).into()),
            standing.token_expiry.map(unix_seconds),
        ]
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// Records an attempt; `code` is the HTTP status if there was a response.
    pub(super) fn attempt(&self, operation: Operation, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let labels = [operation.as_str(), &code];
        self.requests.with_label_values(&labels).inc();
        let duration = self.duration.with_label_values(&[operation.as_str()]);
        duration.observe(took.as_secs_f64());
    }

    pub(super) fn error(&self, operation: Operation, reason: Reason) {
        let labels = [operation.as_str(), reason.as_str()];
        self.errors.with_label_values(&labels).inc();
    }

    pub(super) fn retry(&self, operation: Operation) {
        self.retries.with_label_values(&[operation.as_str()]).inc();
    }

    pub(super) fn throttled(&self, waited: Duration) {
        self.throttled.inc_by(waited.as_secs_f64());
    }

    /// Records a verification. If it finds the token inactive although calls succeed, these do not
    /// make it valid: they may be older than the verification, or served from a cache. If calls are
    /// refused as well, the next accepted one shows that the token is good again.
    pub(super) fn token_verified(&self, active: bool) {
        let mut standing = self.standing();
        standing.verified_as_inactive = !active && !standing.call_refused;
        standing.token_valid = Some(active);
    }

    /// Records whether a call was accepted.
    pub(super) fn token_used(&self, accepted: bool) {
        let mut standing = self.standing();
        standing.call_refused = !accepted;
        standing.verified_as_inactive &= accepted;
        standing.token_valid = Some(accepted && !standing.verified_as_inactive);
    }

    /// Records that the account now uses a key, so that nothing is known about a token.
    pub(super) fn no_token(&self) {
        let mut standing = self.standing();
        *standing = Standing {
            budget: standing.budget,
            remaining: standing.remaining,
            ..Standing::default()
        };
    }
}

impl Collector for AccountMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let standing = *self.standing();
        for (gauge, value) in self.gauges.iter().zip(self.values(&standing)) {
            gauge.reset();
            if let Some(value) = value {
                gauge.with_label_values::<&str>(&[]).set(value);
            }
        }
        self.collectors().flat_map(Collector::collect).collect()
    }
}

fn unix_seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    fn text(registry: &Registry) -> String {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_pause_goes_to_zero_by_itself() {
        let registry = Registry::new();
        let pauses = Arc::new(Pauses::default());
        let account = AccountName::parse("a").unwrap();
        AccountMetrics::register(account, Arc::clone(&pauses), &registry).unwrap();
        let line = "cloudflare_origin_region_exporter_api_blocked_until_timestamp_seconds";
        assert!(text(&registry).contains(&format!("{line}{{account=\"a\"}} 0\n")));
        pauses.block(Duration::from_secs(10), Timestamp::UNIX_EPOCH);
        assert!(text(&registry).contains(&format!("{line}{{account=\"a\"}} 10\n")));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(text(&registry).contains(&format!("{line}{{account=\"a\"}} 0\n")));
    }

    #[test]
    fn an_account_that_is_gone_leaves_no_series_and_the_others_stay() {
        let registry = Registry::new();
        let use_all = |metrics: &AccountMetrics| {
            metrics.attempt(Operation::GetZone, Some(200), Duration::ZERO);
            metrics.attempt(Operation::GetZone, None, Duration::ZERO);
            metrics.error(Operation::GetZone, Reason::Timeout);
            metrics.retry(Operation::GetZone);
            metrics.standing().remaining = Some(7);
            metrics.throttled(Duration::ZERO);
            metrics.token_used(true);
            metrics.standing().token_expiry = Some(Timestamp::UNIX_EPOCH);
        };
        let [gone, _stays] = ["gone", "stays"].map(|name| {
            let account = AccountName::parse(name).unwrap();
            let metrics = AccountMetrics::register(account, Arc::default(), &registry).unwrap();
            use_all(&metrics);
            metrics
        });
        let both = text(&registry);
        gone.unregister(&registry);
        // A call that was still in progress ends.
        use_all(&gone);
        let rest = text(&registry);
        assert!(!rest.contains("gone"), "{rest}");
        let lines = |text: &str, name: &str| text.matches(&format!("\"{name}\"")).count();
        assert_eq!(lines(&rest, "stays"), lines(&both, "gone"));
    }

    #[test]
    fn a_token_that_is_verified_as_inactive_is_invalid_until_it_is_verified_or_accepted_again() {
        let account = AccountName::parse("a").unwrap();
        let metrics = AccountMetrics::register(account, Arc::default(), &Registry::new()).unwrap();
        let valid = || metrics.standing().token_valid;
        assert_eq!(valid(), None);
        metrics.token_used(true);
        assert_eq!(valid(), Some(true));
        metrics.token_verified(false);
        metrics.token_used(true);
        assert_eq!(valid(), Some(false));
        metrics.token_verified(true);
        assert_eq!(valid(), Some(true));
        metrics.token_verified(false);
        metrics.token_used(false);
        assert_eq!(valid(), Some(false));
        metrics.token_used(true);
        assert_eq!(valid(), Some(true));
        metrics.token_used(false);
        metrics.token_verified(false);
        metrics.token_used(true);
        assert_eq!(
            valid(),
            Some(true),
            "the refusal came before the verification"
        );
    }

    #[test]
    fn the_first_429_is_an_increase() {
        let registry = Registry::new();
        let account = AccountName::parse("a").unwrap();
        AccountMetrics::register(account, Arc::default(), &registry).unwrap();
        assert!(text(&registry).contains(
            "cloudflare_origin_region_exporter_api_errors_total\
             {account=\"a\",operation=\"list_mappings\",reason=\"rate_limited\"} 0\n"
        ));
    }
}
