//! Where an origin is expected to be.

use serde::{Deserialize, Serialize};

use super::{Mapping, Region, Vendor, same_region, same_vendor};

/// Where an origin is expected to be; `None` means unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ExpectedPlace {
    /// The vendor.
    pub vendor: Option<Vendor>,
    /// The region, as Cloudflare spells it.
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

    /// A vendor, with an unknown region.
    pub fn in_vendor(vendor: Vendor) -> Self {
        Self {
            vendor: Some(vendor),
            region: None,
        }
    }

    /// Whether both are unknown.
    pub fn is_unknown(&self) -> bool {
        self.vendor.is_none() && self.region.is_none()
    }

    /// Whether both are known.
    pub fn is_complete(&self) -> bool {
        self.vendor.is_some() && self.region.is_some()
    }

    /// Whether a mapping agrees with this. An unknown vendor or region matches any.
    pub fn agrees_with(&self, mapping: &Mapping) -> bool {
        let is_vendor = |vendor: &Vendor| same_vendor(&mapping.vendor, vendor);
        let is_region = |region: &Region| same_region(&mapping.vendor, &mapping.region, region);
        self.vendor.as_ref().is_none_or(is_vendor) && self.region.as_ref().is_none_or(is_region)
    }
}
