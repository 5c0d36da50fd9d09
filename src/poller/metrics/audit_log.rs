//! The metrics of the audit logs. There are no series of an account whose logs are not read.

use jiff::Timestamp;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use crate::domain::AccountName;
use crate::metric_families;

#[derive(Debug, Clone)]
pub(in crate::poller) struct AuditLogMetrics {
    up: IntGaugeVec,
    last_success: GaugeVec,
    entries: IntCounterVec,
    prompted: IntCounterVec,
}

impl AuditLogMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            up: metric_families::AUDIT_LOG_UP.register(registry)?,
            last_success: metric_families::AUDIT_LOG_LAST_SUCCESS.register(registry)?,
            entries: metric_families::AUDIT_LOG_ENTRIES.register(registry)?,
            prompted: metric_families::PROMPTED_POLLS.register(registry)?,
        })
    }

    /// Starts the counters of an account that reads logs at 0.
    pub(in crate::poller) fn start(&self, account: &AccountName) {
        for relevant in ["yes", "no"] {
            self.entries
                .with_label_values(&[account.as_str(), relevant]);
        }
        self.prompted.with_label_values(&[account.as_str()]);
    }

    /// Removes the series of an account that no longer reads logs.
    pub(in crate::poller) fn forget(&self, account: &AccountName) {
        let account = account.as_str();
        // There may be no such series.
        let _ = self.up.remove_label_values(&[account]);
        let _ = self.last_success.remove_label_values(&[account]);
        let _ = self.prompted.remove_label_values(&[account]);
        for relevant in ["yes", "no"] {
            let _ = self.entries.remove_label_values(&[account, relevant]);
        }
    }

    /// Records a read: whether the last read of each of the account's logs succeeded, and the time of
    /// the least recent success.
    pub(in crate::poller) fn read(
        &self,
        account: &AccountName,
        up: bool,
        last_success: Option<Timestamp>,
    ) {
        let account = [account.as_str()];
        self.up.with_label_values(&account).set(up.into());
        if let Some(at) = last_success {
            let gauge = self.last_success.with_label_values(&account);
            gauge.set(at.as_duration().as_secs_f64());
        }
    }

    pub(in crate::poller) fn entry(&self, account: &AccountName, is_relevant: bool) {
        let relevant = if is_relevant { "yes" } else { "no" };
        let labels = [account.as_str(), relevant];
        self.entries.with_label_values(&labels).inc();
    }

    pub(in crate::poller) fn prompted(&self, account: &AccountName) {
        self.prompted.with_label_values(&[account.as_str()]).inc();
    }
}
