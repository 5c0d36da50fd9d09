//! Filters for changes.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Change, ChangeKind, FindingKind};
use crate::domain::OriginIp;

/// The filters and page of a query. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The zone's name, in any case, or its identifier.
    pub zone: Option<String>,
    /// The origin's address.
    pub origin_ip: Option<OriginIp>,
    /// The kind of change.
    pub kind: Option<ChangeKind>,
    /// The finding that appeared or cleared.
    pub finding: Option<FindingKind>,
    /// Only changes at or after this time.
    pub since: Option<Timestamp>,
    /// Only changes at or before this time.
    pub until: Option<Timestamp>,
    /// The most changes to return.
    pub limit: usize,
    /// The number of newest changes to skip.
    pub offset: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            zone: None,
            origin_ip: None,
            kind: None,
            finding: None,
            since: None,
            until: None,
            limit: usize::MAX,
            offset: 0,
        }
    }
}

impl Query {
    /// Whether the change passes the filters.
    pub fn matches(&self, change: &Change) -> bool {
        let zone = |zone: &String| change.zone.matches(zone) || change.zone_id.as_str() == zone;
        self.zone.as_ref().is_none_or(zone)
            && self
                .origin_ip
                .is_none_or(|ip| change.details.origin_ip == Some(ip))
            && self.kind.is_none_or(|kind| change.details.kind == kind)
            && self
                .finding
                .is_none_or(|finding| change.details.finding == Some(finding))
            && self.since.is_none_or(|since| change.time >= since)
            && self.until.is_none_or(|until| change.time <= until)
    }
}

/// One page of results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The number of matching changes on all pages.
    pub total: usize,
    /// The changes of this page, newest first.
    pub changes: Vec<Arc<Change>>,
}
