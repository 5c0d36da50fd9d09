//! What the vendors' published ranges say about an address.

use super::{ExpectedPlace, Region, Vendor};

/// The verdict of the published ranges on an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeVerdict {
    /// The address belongs to this region of this vendor.
    InRegion(Vendor, Region),
    /// The address belongs to this vendor; the file does not name the region.
    InVendor(Vendor),
    /// All vendors' files are loaded, and none contains the address.
    NotInRanges,
    /// The ranges are disabled, or the file of a vendor that may own the address was never loaded.
    Unknown,
}

impl RangeVerdict {
    /// What it shows of the address's place.
    pub fn place(self) -> ExpectedPlace {
        match self {
            Self::InRegion(vendor, region) => ExpectedPlace::in_region(vendor, region),
            Self::InVendor(vendor) => ExpectedPlace::in_vendor(vendor),
            Self::NotInRanges | Self::Unknown => ExpectedPlace::default(),
        }
    }
}
