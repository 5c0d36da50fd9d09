//! What the vendors' published ranges say about an address.

use super::{Region, Vendor};

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
