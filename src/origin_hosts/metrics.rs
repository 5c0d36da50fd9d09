//! Counts and durations of DNS queries.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, Registry};

use super::dns::Answer;
use crate::metric_families;

/// Bucket bounds in seconds: a cache answers within a millisecond, and two attempts end after 6 s.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 3.0, 6.0];

/// The `dns_*` families. They have no series until a zone wants a host. Clones share the values.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: IntCounterVec,
    duration: HistogramVec,
}

impl Metrics {
    /// Creates and registers the families. Fails if the registry already has one of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            queries: metric_families::DNS_QUERIES.register(registry)?,
            duration: metric_families::DNS_QUERY_DURATION.register_histogram(registry, &BUCKETS)?,
        })
    }

    /// Creates every series, with 0.
    pub(super) fn show(&self) {
        for result in Answer::RESULTS {
            self.queries.with_label_values(&[result]);
        }
        self.duration.with_label_values::<&str>(&[]);
    }

    /// Counts a query and its duration.
    pub(super) fn observe(&self, answer: &Answer, duration: Duration) {
        self.queries.with_label_values(&[answer.result()]).inc();
        self.duration
            .with_label_values::<&str>(&[])
            .observe(duration.as_secs_f64());
    }
}
