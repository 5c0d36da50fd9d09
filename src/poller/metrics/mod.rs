//! The poller's own metrics.

mod audit_log;

use prometheus::{Gauge, GaugeVec, IntGaugeVec, Registry};

use self::audit_log::AuditLogMetrics;
use crate::metric_families;

/// The poller's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) lag: GaugeVec,
    pub(super) interval: Gauge,
    pub(super) upper_tiers: IntGaugeVec,
    pub(super) audit_log: AuditLogMetrics,
}

impl Metrics {
    /// Registers `poll_lag_seconds`, `poll_interval_seconds`, `upper_tier_info`, `audit_log_*` and
    /// `prompted_polls_total`.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            lag: metric_families::POLL_LAG.register(registry)?,
            interval: metric_families::POLL_INTERVAL.register(registry)?,
            upper_tiers: metric_families::UPPER_TIER_INFO.register(registry)?,
            audit_log: AuditLogMetrics::register(registry)?,
        })
    }
}
