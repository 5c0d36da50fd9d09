//! The server's own metrics.

use hyper::StatusCode;
use prometheus::{IntCounterVec, Registry};

use crate::metric_families;

/// The server's own counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
}

impl Metrics {
    /// Registers the counters. Fails if they are already registered.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = metric_families::HTTP_REQUESTS.register(registry)?;
        Ok(Self { requests })
    }

    pub(super) fn count(&self, handler: &str, code: StatusCode) {
        let labels = [handler, code.as_str()];
        self.requests.with_label_values(&labels).inc();
    }
}
