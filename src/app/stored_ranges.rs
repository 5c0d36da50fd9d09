//! Keeps the vendors' ranges across restarts.

use tokio_util::sync::CancellationToken;

use crate::domain::Vendor;
use crate::storage::{Kind, Parts, Storage};
use crate::vendor_ranges::{Refreshed, StoredRanges, StoredRefresh, VendorRanges};

/// Restores the ranges that an earlier process stored, for use until the first refresh.
pub(super) fn restore(ranges: &VendorRanges, stored: &Parts) {
    if !ranges.is_enabled() {
        return;
    }
    for (vendor, table) in stored.all::<StoredRanges>(Kind::Ranges) {
        if let Some(refresh) = stored.get::<StoredRefresh>(Kind::RangesRefresh, vendor) {
            ranges.restore(vendor, &table, refresh);
        }
    }
}

/// Stores refreshed ranges until `end`, and removes ranges that are no longer used.
pub(super) async fn keep(ranges: VendorRanges, storage: Storage, end: CancellationToken) {
    if !ranges.is_enabled() {
        for vendor in Vendor::KNOWN {
            storage.remove(Kind::Ranges, vendor.as_str());
            storage.remove(Kind::RangesRefresh, vendor.as_str());
        }
        return;
    }
    while let Some(refreshed) = end.run_until_cancelled(ranges.refreshed()).await {
        for Refreshed {
            vendor,
            refresh,
            ranges,
        } in refreshed
        {
            if let Some(ranges) = ranges {
                storage.put(Kind::Ranges, vendor.as_str(), ranges);
            }
            storage.put(Kind::RangesRefresh, vendor.as_str(), refresh);
        }
    }
}
