//! Metrics of the vendors' ranges.

use prometheus::{GaugeVec, IntGaugeVec, Registry};

use super::{Format, StoredRefresh, VendorTable};
use crate::metric_families;

/// The `vendor_ranges_*` families. Clones share the values.
#[derive(Debug, Clone)]
pub struct Metrics {
    up: IntGaugeVec,
    prefixes: IntGaugeVec,
    published: GaugeVec,
    last_success: GaugeVec,
}

impl Metrics {
    /// Creates and registers the families. Fails if the registry already has one of these names.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            up: metric_families::VENDOR_RANGES_UP.register(registry)?,
            prefixes: metric_families::VENDOR_RANGES_PREFIXES.register(registry)?,
            published: metric_families::VENDOR_RANGES_PUBLISHED.register(registry)?,
            last_success: metric_families::VENDOR_RANGES_LAST_SUCCESS.register(registry)?,
        })
    }

    /// Removes every vendor, and adds the given ones as not read yet.
    pub(super) fn start(&self, formats: impl IntoIterator<Item = Format>) {
        self.up.reset();
        self.prefixes.reset();
        self.published.reset();
        self.last_success.reset();
        for format in formats {
            self.failed(format);
        }
    }

    /// Records a failed refresh.
    pub(super) fn failed(&self, format: Format) {
        self.up
            .with_label_values(&[format.vendor().as_str()])
            .set(0);
    }

    /// Records the table in use, and how the latest refresh ended.
    pub(super) fn in_use(&self, format: Format, table: &VendorTable, refresh: StoredRefresh) {
        let vendor = format.vendor();
        let labels = [vendor.as_str()];
        self.up
            .with_label_values(&labels)
            .set(refresh.succeeded.into());
        self.prefixes
            .with_label_values(&labels)
            .set(i64::try_from(table.len()).unwrap_or(i64::MAX));
        self.last_success
            .with_label_values(&labels)
            .set(refresh.last_success.as_duration().as_secs_f64());
        match table.published {
            Some(time) => self
                .published
                .with_label_values(&labels)
                .set(time.as_duration().as_secs_f64()),
            // There may be none to remove.
            None => drop(self.published.remove_label_values(&labels)),
        }
    }
}
