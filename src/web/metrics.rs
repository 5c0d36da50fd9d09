//! The server's own metrics.

use hyper::StatusCode;
use prometheus::{IntCounterVec, Registry};

use crate::metric_families;

/// The part of the server that responded: the values of the label `handler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handler {
    Metrics,
    Healthy,
    Ready,
    Reload,
    /// All HTML pages.
    Landing,
    Api,
    Probe,
    /// No route.
    Other,
}

impl Handler {
    fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Landing => "landing",
            Self::Api => "api",
            Self::Probe => "probe",
            Self::Other => "other",
        }
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
