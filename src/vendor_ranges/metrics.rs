//! What the ranges tell about themselves.

use jiff::Timestamp;
use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

use super::{Format, VendorTable};

/// The families `vendor_ranges_*`. Clones share the values.
#[derive(Debug, Clone)]
pub struct Metrics {
    up: IntGaugeVec,
    prefixes: IntGaugeVec,
    published: GaugeVec,
    last_success: GaugeVec,
}

impl Metrics {
    /// Makes and registers the families; fails if the registry has some of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        const LABELS: [&str; 1] = ["vendor"];
        let opts = |name: &str, help: &str| {
            Opts::new(
                format!("cloudflare_origin_region_vendor_ranges_{name}"),
                help,
            )
        };
        let metrics = Self {
            up: IntGaugeVec::new(
                opts(
                    "up",
                    "1 if the last refresh of the vendor's published address ranges succeeded, \
                     0 if it failed or none has ended yet.",
                ),
                &LABELS,
            )?,
            prefixes: IntGaugeVec::new(
                opts(
                    "prefixes",
                    "Address prefixes of the vendor in the range table in use.",
                ),
                &LABELS,
            )?,
            published: GaugeVec::new(
                opts(
                    "published_timestamp_seconds",
                    "When the vendor published the ranges in use; Azure does not say.",
                ),
                &LABELS,
            )?,
            last_success: GaugeVec::new(
                opts(
                    "last_success_timestamp_seconds",
                    "When the vendor's ranges were last read, or found to be unchanged.",
                ),
                &LABELS,
            )?,
        };
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(metrics.prefixes.clone()))?;
        registry.register(Box::new(metrics.published.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        Ok(metrics)
    }

    /// Forgets every vendor, and shows the given ones as not read yet.
    pub(super) fn start(&self, formats: impl IntoIterator<Item = Format>) {
        self.up.reset();
        self.prefixes.reset();
        self.published.reset();
        self.last_success.reset();
        for format in formats {
            self.failed(format);
        }
    }

    /// A refresh failed.
    pub(super) fn failed(&self, format: Format) {
        self.up
            .with_label_values(&[format.vendor().as_str()])
            .set(0);
    }

    /// A refresh succeeded; `table` is in use now.
    pub(super) fn succeeded(&self, format: Format, table: &VendorTable, now: Timestamp) {
        let vendor = format.vendor();
        let labels = [vendor.as_str()];
        self.up.with_label_values(&labels).set(1);
        self.prefixes
            .with_label_values(&labels)
            .set(i64::try_from(table.len()).unwrap_or(i64::MAX));
        self.last_success
            .with_label_values(&labels)
            .set(now.as_duration().as_secs_f64());
        match table.published() {
            Some(time) => self
                .published
                .with_label_values(&labels)
                .set(time.as_duration().as_secs_f64()),
            // There may be none to remove.
            None => drop(self.published.remove_label_values(&labels)),
        }
    }
}
