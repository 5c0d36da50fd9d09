//! Where an origin is expected to be.

use serde::{Deserialize, Serialize};

use super::{Mapping, Region, Vendor, same_region, same_vendor};

/// Where an origin ought to be; what is not known is `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ExpectedPlace {
    /// The vendor.
    pub vendor: Option<Vendor>,
    /// The region, spelt as Cloudflare spells it.
    pub region: Option<Region>,
}

impl ExpectedPlace {
    /// A region of a vendor.
    pub fn in_region(vendor: Vendor, region: Region) -> Self {
        Self {
            vendor: Some(vendor),
            region: Some(region),
        }
    }

    /// A vendor, in a region that is not known.
    pub fn in_vendor(vendor: Vendor) -> Self {
        Self {
            vendor: Some(vendor),
            region: None,
        }
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        self.vendor.is_none() && self.region.is_none()
    }

    /// Whether vendor and region are both known.
    pub fn is_complete(&self) -> bool {
        self.vendor.is_some() && self.region.is_some()
    }

    /// Whether a mapping is there. What is not known is taken as right.
    pub fn agrees_with(&self, mapping: &Mapping) -> bool {
        let is_vendor = |vendor: &Vendor| same_vendor(&mapping.vendor, vendor);
        let is_region = |region: &Region| same_region(&mapping.vendor, &mapping.region, region);
        self.vendor.as_ref().is_none_or(is_vendor) && self.region.as_ref().is_none_or(is_region)
    }
}
