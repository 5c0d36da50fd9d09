//! The upper tiers that the API lists for the supported regions.

use std::sync::{Arc, Mutex};

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::findings::SupportedRegions;
use crate::metric_families::{self, FromFamily as _};
use crate::panics::lock;

/// `upper_tier_info`. The series are rebuilt with each list of regions, so that stale ones
/// disappear.
#[derive(Debug, Clone)]
pub(in crate::poller) struct UpperTiers {
    series: Arc<Mutex<GaugeVec>>,
    /// For its description; never has series.
    empty: GaugeVec,
}

impl UpperTiers {
    pub(in crate::poller) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            series: Arc::new(Mutex::new(gauge()?)),
            empty: gauge()?,
        })
    }

    /// Sets the regions that each account lists.
    pub(in crate::poller) fn set(&self, regions: &[Arc<SupportedRegions>]) {
        // The same options have created a gauge before.
        let Ok(gauge) = gauge() else { return };
        for (vendor, row) in regions.iter().flat_map(|regions| regions.iter()) {
            for colo in &row.upper_tier_colos {
                let labels = [vendor.as_str(), row.region.as_str(), colo];
                gauge.with_label_values(&labels).set(1.0);
            }
        }
        *lock(&self.series) = gauge;
    }
}

fn gauge() -> Result<GaugeVec, prometheus::Error> {
    GaugeVec::from_family(&metric_families::UPPER_TIER_INFO)
}

impl Collector for UpperTiers {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        lock(&self.series).collect()
    }
}
