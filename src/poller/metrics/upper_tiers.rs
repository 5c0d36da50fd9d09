//! The upper tiers that the API lists for the supported regions.

use std::sync::{Arc, Mutex};

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use crate::findings::SupportedRegions;
use crate::metric_families::{self, FromFamily as _};
use crate::panics::lock;

/// `upper_tier_info`. Each scrape builds the series anew, so that stale ones disappear.
#[derive(Debug, Clone)]
pub(in crate::poller) struct UpperTiers {
    /// The regions that each account lists.
    regions: Arc<Mutex<Vec<Arc<SupportedRegions>>>>,
    gauge: GaugeVec,
}

impl UpperTiers {
    pub(in crate::poller) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            regions: Arc::default(),
            gauge: GaugeVec::from_family(&metric_families::UPPER_TIER_INFO)?,
        })
    }

    /// Sets the regions that each account lists.
    pub(in crate::poller) fn set(&self, regions: Vec<Arc<SupportedRegions>>) {
        *lock(&self.regions) = regions;
    }
}

impl Collector for UpperTiers {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let regions = lock(&self.regions);
        self.gauge.reset();
        for (vendor, row) in regions.iter().flat_map(|regions| regions.iter()) {
            for colo in &row.upper_tier_colos {
                let labels = [vendor.as_str(), row.region.as_str(), colo];
                self.gauge.with_label_values(&labels).set(1.0);
            }
        }
        self.gauge.collect()
    }
}
