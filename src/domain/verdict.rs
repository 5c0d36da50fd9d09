//! What the vendors' published ranges say of an address.

use super::{Region, Vendor};

/// The judgement of the published ranges on one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeVerdict {
    /// The address belongs to this region of this vendor.
    InRegion(Vendor, Region),
    /// The address belongs to this vendor; the file does not say to which region.
    InVendor(Vendor),
    /// No vendor's file, all of which are loaded, has the address.
    NotInRanges,
    /// The ranges are off, or the file of a vendor that may own the address was never loaded.
    Unknown,
}
