//! Metrics of the storage.

use jiff::Timestamp;
use prometheus::{Gauge, IntCounterVec, IntGauge, Registry};

use crate::metric_families;
use crate::words::words;

words! {
    /// The operation that failed.
    pub(super) enum Operation {
        /// Creating the folder or opening the file.
        Open = "open",
        /// Reading the contents.
        Read = "read",
        /// Writing to the file.
        Write = "write",
    }
}

/// The `storage_*` families. Clones share the values.
#[derive(Debug, Clone)]
pub struct Metrics {
    up: IntGauge,
    last_write: Gauge,
    size: IntGauge,
    errors: IntCounterVec,
}

impl Metrics {
    /// Creates and registers the families. Call it only if storage is configured.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            up: metric_families::STORAGE_UP.register(registry)?,
            last_write: metric_families::STORAGE_LAST_WRITE.register(registry)?,
            size: metric_families::STORAGE_SIZE.register(registry)?,
            errors: metric_families::STORAGE_ERRORS.register(registry)?,
        };
        for operation in Operation::ALL {
            metrics.errors.with_label_values(&[operation.as_str()]);
        }
        Ok(metrics)
    }

    pub(super) fn written(&self, size: u64, now: Timestamp) {
        self.up.set(1);
        self.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.last_write.set(now.as_duration().as_secs_f64());
    }

    pub(super) fn down(&self) {
        self.up.set(0);
    }

    pub(super) fn failed(&self, operation: Operation) {
        self.errors.with_label_values(&[operation.as_str()]).inc();
    }
}
