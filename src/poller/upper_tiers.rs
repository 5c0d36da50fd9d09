//! The upper tiers that the API names for the regions that it supports.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use crate::findings::SupportedRegions;

const LABELS: [&str; 3] = ["vendor", "region", "colo"];

/// `upper_tier_info`, whose series are made for each exposition, so that none outlives its colo.
#[derive(Debug, Clone)]
pub(super) struct UpperTiers {
    regions: Arc<Mutex<Vec<Arc<SupportedRegions>>>>,
    /// For its description; never holds a series.
    empty: GaugeVec,
}

impl UpperTiers {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            regions: Arc::default(),
            empty: gauge()?,
        })
    }

    /// The regions that each account lists.
    pub(super) fn set(&self, regions: Vec<Arc<SupportedRegions>>) {
        *self.regions.lock().unwrap_or_else(PoisonError::into_inner) = regions;
    }
}

fn gauge() -> Result<GaugeVec, prometheus::Error> {
    let opts = Opts::new(
        "cloudflare_origin_region_upper_tier_info",
        "An upper tier data centre of a region that Cloudflare supports; always 1.",
    );
    GaugeVec::new(opts, &LABELS)
}

impl Collector for UpperTiers {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let regions = self
            .regions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let tiers: BTreeSet<[&str; 3]> = regions
            .iter()
            .flat_map(|regions| regions.iter())
            .flat_map(|(vendor, row)| {
                let colos = row.upper_tier_colos.iter();
                colos.map(|colo| [vendor.as_str(), row.region.as_str(), colo])
            })
            .collect();
        // The same options made a gauge before.
        let Ok(gauge) = gauge() else {
            return Vec::new();
        };
        for labels in tiers {
            gauge.with_label_values(&labels).set(1.0);
        }
        gauge.collect()
    }
}
