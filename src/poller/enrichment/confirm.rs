//! Looks up origins before they are first reported as missing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cloudflare::{ApiError, Client};
use crate::domain::{OriginIp, ZoneId};
use crate::poller::tasks::Urgency;

/// The time limit for the lookups, excluding waits for the rate limit.
const BUDGET: Duration = Duration::from_secs(30);
/// The most origins to look up one by one. If more seem to be missing at once, a complete list is as
/// reliable as lookups.
const LOOK_UPS: usize = 5;

/// Origins that seem to be missing, and what lookups have shown since the last poll.
#[derive(Debug, Default)]
pub(in crate::poller) struct Lookups {
    /// Origins that are not reported yet, because they are unconfirmed.
    pub(in crate::poller) unconfirmed: BTreeSet<OriginIp>,
    /// Origins that are mapped, although the list lacks them.
    pub(in crate::poller) mapped: BTreeSet<OriginIp>,
    /// Whether a lookup failed, so that only the next poll can confirm origins.
    pub(in crate::poller) failed: bool,
}

impl Lookups {
    /// Whether there are origins to look up.
    pub(in crate::poller) fn are_needed(&self) -> bool {
        !self.unconfirmed.is_empty() && !self.failed
    }
}

/// The result of the lookups.
#[derive(Debug, Default)]
pub(in crate::poller) struct Confirmed {
    /// Origins that are mapped after all: the list was outdated.
    pub(in crate::poller) mapped: BTreeSet<OriginIp>,
    /// Origins without a mapping.
    pub(in crate::poller) missing: BTreeSet<OriginIp>,
    /// Why a lookup failed. The origins in neither set are still unconfirmed.
    pub(in crate::poller) error: Option<ApiError>,
}

/// Looks up the first origins, and stops at the first failure. The others are missing if no lookup
/// fails and `is_list_complete`: the list of mappings had no unreadable row, which may be the
/// mapping of any origin.
pub(in crate::poller) async fn run(
    client: Client,
    zone: ZoneId,
    origins: BTreeSet<OriginIp>,
    is_list_complete: bool,
    urgency: Urgency,
) -> Confirmed {
    let call = urgency.call(BUDGET);
    let mut confirmed = Confirmed::default();
    let mut origins = origins.into_iter();
    for ip in origins.by_ref().take(LOOK_UPS) {
        match client.get_mapping(&zone, ip, &call).await {
            Ok(Some(_)) => confirmed.mapped.insert(ip),
            Ok(None) => confirmed.missing.insert(ip),
            Err(error) => {
                confirmed.error = Some(error);
                return confirmed;
            }
        };
    }
    if is_list_complete {
        confirmed.missing.extend(origins);
    }
    confirmed
}
