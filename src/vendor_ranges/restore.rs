//! Hands the ranges over: to the storage, from an earlier process, and at a reload.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::debug;

use super::fetch::Version;
use super::refresh::Feed;
use super::{StoredRanges, StoredRefresh, VendorRanges, VendorTable};
use crate::domain::Vendor;
use crate::panics::lock;

/// What is in use of a vendor, how the latest refresh ended, and what is not stored yet.
#[derive(Debug, Clone, Default)]
pub(super) struct FeedState {
    /// The version of the file whose prefixes are in use.
    pub(super) version: Option<Version>,
    /// Whether this process has read or confirmed the prefixes in use. A table of an earlier
    /// process may be replaced by one of any size.
    pub(super) is_confirmed: bool,
    /// `None` before the first success.
    refresh: Option<StoredRefresh>,
    is_new: bool,
    pub(super) has_new_table: bool,
}

impl FeedState {
    pub(super) fn succeeded(&mut self, now: Timestamp) -> StoredRefresh {
        self.is_confirmed = true;
        self.is_new = true;
        *self.refresh.insert(StoredRefresh {
            succeeded: true,
            last_success: now,
        })
    }

    pub(super) fn failed(&mut self) {
        // Before the first success there are no ranges, and nothing to store.
        if let Some(refresh) = &mut self.refresh {
            self.is_new |= refresh.succeeded;
            refresh.succeeded = false;
        }
    }
}

/// A vendor's refresh that is to be stored.
#[derive(Debug)]
pub struct Refreshed {
    /// The vendor.
    pub vendor: Vendor,
    /// How it ended.
    pub refresh: StoredRefresh,
    /// The new table. `None` if it has not changed, or is too large to be stored.
    pub ranges: Option<StoredRanges>,
}

impl VendorRanges {
    /// Uses the ranges that an earlier process stored, until the first refresh. Ranges from a
    /// source other than the configured one are left out.
    pub fn restore(&self, vendor: &str, ranges: &StoredRanges, refresh: StoredRefresh) {
        let of_vendor = |feed: &&Arc<Feed>| feed.format.vendor().as_str() == vendor;
        let Some(feed) = self.shared.feeds.iter().find(of_vendor) else {
            return;
        };
        let Some(table) = ranges.table(&feed.source) else {
            debug!(vendor, "stored address ranges left out");
            return;
        };
        let state = FeedState {
            version: ranges.version.clone(),
            refresh: Some(refresh),
            ..FeedState::default()
        };
        self.put_in_use(feed, table, state);
    }

    /// Uses the ranges of `old` until the first refresh, for vendors with the same source.
    pub fn take_over(&self, old: &Self) {
        for feed in &self.shared.feeds {
            let same = |old: &&Arc<Feed>| old.format == feed.format && old.source == feed.source;
            let Some(old_feed) = old.shared.feeds.iter().find(same) else {
                continue;
            };
            // Table and version are replaced while the lock is held, so they belong together.
            let state = lock(&old_feed.state);
            if let Some(table) = old.table().get(feed.format) {
                self.put_in_use(feed, table, state.clone());
            }
        }
    }

    fn put_in_use(&self, feed: &Feed, table: &Arc<VendorTable>, state: FeedState) {
        if let Some(refresh) = state.refresh {
            self.shared.metrics.in_use(feed.format, table, refresh);
        }
        *lock(&feed.state) = state;
        self.replace_table(feed.format, table);
    }

    /// Waits for refreshes, and returns those since the last call. There may be only one caller.
    pub async fn refreshed(&self) -> Vec<Refreshed> {
        loop {
            let feeds = self.shared.feeds.iter();
            let refreshed: Vec<_> = feeds.filter_map(|feed| self.take_refreshed(feed)).collect();
            if !refreshed.is_empty() {
                return refreshed;
            }
            self.shared.refreshed.notified().await;
        }
    }

    fn take_refreshed(&self, feed: &Feed) -> Option<Refreshed> {
        let mut state = lock(&feed.state);
        let refresh = state.refresh.filter(|_| state.is_new)?;
        let has_new_table = state.has_new_table;
        (state.is_new, state.has_new_table) = (false, false);
        let table = self.table().get(feed.format).cloned();
        let version = state.version.clone();
        drop(state);
        let table = table.filter(|_| has_new_table);
        let ranges =
            table.and_then(|table| StoredRanges::new(&feed.source, version.as_ref(), table));
        Some(Refreshed {
            vendor: feed.format.vendor(),
            refresh,
            ranges,
        })
    }
}
