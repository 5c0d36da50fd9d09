//! The client's own metrics.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::{Collector, Desc, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, Registry};

use super::pause::Pauses;
use super::{Operation, Reason};
use crate::domain::AccountName;
use crate::metric_families::{self, Family, FromFamily as _};
use crate::panics::lock;

/// A healthy API responds within 0.1 to 1 seconds; the last bound is the default time-out.
const BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The gauges of an account's state, in the order of [`AccountState::values`].
const GAUGES: [Family; 5] = [
    metric_families::API_BUDGET_REQUESTS,
    metric_families::API_RATE_LIMIT_REMAINING,
    metric_families::API_BLOCKED_UNTIL,
    metric_families::TOKEN_VALID,
    metric_families::TOKEN_EXPIRY,
];

/// The metric families of all accounts. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    errors: IntCounterVec,
    retries: IntCounterVec,
    duration: HistogramVec,
    throttled: CounterVec,
    states: States,
}

impl Metrics {
    /// Creates and registers the families. Fails if they are already registered.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = GAUGES.iter().map(GaugeVec::from_family);
        let states = States {
            gauges: gauges.collect::<Result<_, _>>()?,
            accounts: Arc::default(),
        };
        registry.register(Box::new(states.clone()))?;
        Ok(Self {
            requests: metric_families::API_REQUESTS.register(registry)?,
            errors: metric_families::API_ERRORS.register(registry)?,
            retries: metric_families::API_RETRIES.register(registry)?,
            duration: metric_families::API_REQUEST_DURATION
                .register_histogram(registry, &BUCKETS)?,
            throttled: metric_families::API_THROTTLED.register(registry)?,
            states,
        })
    }
}

/// Removes the children with this account as a label.
fn remove<T: MetricVecBuilder>(family: &MetricVec<T>, account: &str) {
    for metric in family.collect().iter().flat_map(MetricFamily::get_metric) {
        let labels: HashMap<_, _> = metric
            .get_label()
            .iter()
            .map(|label| (label.name(), label.value()))
            .collect();
        if labels.get("account") == Some(&account) {
            // Fails only if another thread has removed the same child.
            family.remove(&labels).ok();
        }
    }
}

/// The states of all accounts, whose gauges are set at collection.
#[derive(Debug, Clone)]
struct States {
    gauges: Vec<GaugeVec>,
    accounts: Arc<Mutex<BTreeMap<AccountName, Arc<AccountState>>>>,
}

impl Collector for States {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let accounts = lock(&self.accounts);
        for (index, gauge) in self.gauges.iter().enumerate() {
            gauge.reset();
            for (account, state) in &*accounts {
                if let Some(value) = state.values().into_iter().nth(index).flatten() {
                    gauge.with_label_values(&[account.as_str()]).set(value);
                }
            }
        }
        self.gauges.iter().flat_map(Collector::collect).collect()
    }
}

#[derive(Debug)]
struct AccountState {
    pauses: Arc<Pauses>,
    standing: Mutex<Standing>,
}

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

impl AccountState {
    /// The values of [`GAUGES`]; `None` if there is no series.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a quota is far below 2^53; a lie may be inexact"
    )]
    fn values(&self) -> [Option<f64>; GAUGES.len()] {
        let standing = *lock(&self.standing);
        [
            Some(standing.budget.into()),
            standing.remaining.map(|requests| requests as f64),
            // A pause ends by itself.
            Some(self.pauses.blocked_until().map_or(0.0, unix_seconds)),
            standing.token_valid.map(|valid| u8::from(valid).into()),
            standing.token_expiry.map(unix_seconds),
        ]
    }
}

/// The metrics of one account.
#[derive(Debug)]
pub(super) struct AccountMetrics {
    families: Metrics,
    pub(super) account: AccountName,
    state: Arc<AccountState>,
}

impl AccountMetrics {
    pub(super) fn new(families: Metrics, account: AccountName, pauses: Arc<Pauses>) -> Self {
        let state = Arc::new(AccountState {
            pauses,
            standing: Mutex::default(),
        });
        lock(&families.states.accounts).insert(account.clone(), Arc::clone(&state));
        // Start these at 0, so that the first 429 and the first wait are visible as an increase.
        let (operation, reason) = (Operation::ListMappings, Reason::RateLimited);
        families
            .errors
            .with_label_values(&[account.as_str(), operation.as_str(), reason.as_str()]);
        families.throttled.with_label_values(&[account.as_str()]);
        Self {
            families,
            account,
            state,
        }
    }

    /// Removes all series of the account, and stops counting.
    pub(super) fn forget(&self) {
        let (families, account) = (&self.families, self.account.as_str());
        let mut accounts = lock(&families.states.accounts);
        accounts.remove(account);
        remove(&families.requests, account);
        remove(&families.errors, account);
        remove(&families.retries, account);
        remove(&families.duration, account);
        remove(&families.throttled, account);
    }

    /// Updates the series, unless the account was removed: a call that is still in progress must
    /// not recreate them.
    fn with(&self, change: impl FnOnce(&Metrics, &str)) {
        let accounts = lock(&self.families.states.accounts);
        if accounts.contains_key(&self.account) {
            change(&self.families, self.account.as_str());
        }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.state.standing)
    }

    /// Adds one to a series of the account.
    fn count(&self, family: fn(&Metrics) -> &IntCounterVec, labels: &[&str]) {
        self.with(|families, account| {
            let labels = [&[account], labels].concat();
            family(families).with_label_values(&labels).inc();
        });
    }

    /// Records an attempt; `code` is the HTTP status if there was a response.
    pub(super) fn attempt(&self, operation: Operation, code: Option<u16>, took: Duration) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let operation = operation.as_str();
        self.count(|families| &families.requests, &[operation, &code]);
        self.with(|families, account| {
            let duration = families.duration.with_label_values(&[account, operation]);
            duration.observe(took.as_secs_f64());
        });
    }

    pub(super) fn error(&self, operation: Operation, reason: Reason) {
        let labels = [operation.as_str(), reason.as_str()];
        self.count(|families| &families.errors, &labels);
    }

    pub(super) fn retry(&self, operation: Operation) {
        self.count(|families| &families.retries, &[operation.as_str()]);
    }

    pub(super) fn throttled(&self, waited: Duration) {
        self.with(|families, account| {
            let throttled = families.throttled.with_label_values(&[account]);
            throttled.inc_by(waited.as_secs_f64());
        });
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
        let families = Metrics::register(&registry).unwrap();
        let pauses = Arc::new(Pauses::default());
        let account = AccountName::parse("a").unwrap();
        let _metrics = AccountMetrics::new(families, account, Arc::clone(&pauses));
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
        let families = Metrics::register(&registry).unwrap();
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
            let metrics = AccountMetrics::new(families.clone(), account, Arc::default());
            use_all(&metrics);
            metrics
        });
        let both = text(&registry);
        gone.forget();
        // A call that was still in progress ends.
        use_all(&gone);
        let rest = text(&registry);
        assert!(!rest.contains("gone"), "{rest}");
        let lines = |text: &str, name: &str| text.matches(&format!("\"{name}\"")).count();
        assert_eq!(lines(&rest, "stays"), lines(&both, "gone"));
    }

    #[test]
    fn a_token_that_is_verified_as_inactive_is_invalid_until_it_is_verified_or_accepted_again() {
        let families = Metrics::register(&Registry::new()).unwrap();
        let account = AccountName::parse("a").unwrap();
        let metrics = AccountMetrics::new(families, account, Arc::default());
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
        let families = Metrics::register(&registry).unwrap();
        let account = AccountName::parse("a").unwrap();
        AccountMetrics::new(families, account, Arc::default());
        assert!(text(&registry).contains(
            "cloudflare_origin_region_exporter_api_errors_total\
             {account=\"a\",operation=\"list_mappings\",reason=\"rate_limited\"} 0\n"
        ));
    }
}
