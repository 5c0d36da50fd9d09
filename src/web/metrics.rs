//! The server's own metrics.

use hyper::StatusCode;
use prometheus::{IntCounterVec, Registry};

use crate::metric_families;
use crate::words::words;

words! {
    /// The part of the server that responded: the values of the label `handler`.
    pub(super) enum Handler {
        /// The metrics.
        Metrics = "metrics",
        /// The health check.
        Healthy = "healthy",
        /// The readiness check.
        Ready = "ready",
        /// The reload.
        Reload = "reload",
        /// All HTML pages.
        Landing = "landing",
        /// The JSON API.
        Api = "api",
        /// A probe.
        Probe = "probe",
        /// No route.
        Other = "other",
    }
}

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

    pub(super) fn count(&self, handler: Handler, code: StatusCode) {
        self.requests
            .with_label_values(&[handler.as_str(), code.as_str()])
            .inc();
    }
}
