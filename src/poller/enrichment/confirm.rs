//! Looks up origins before they are first reported as missing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cloudflare::{ApiError, Client};
use crate::domain::{OriginIp, ZoneId};
use crate::poller::tasks::Urgency;

/// The time limit for the lookups, excluding waits for the rate limit.
const BUDGET: Duration = Duration::from_secs(30);
/// The most origins to look up one by one. If more seem to be missing at once, the list itself is
/// as reliable as lookups.
const LOOK_UPS: usize = 5;

/// The lookups to make.
pub(in crate::poller) struct Confirmation {
    pub(in crate::poller) client: Client,
    pub(in crate::poller) zone: ZoneId,
    pub(in crate::poller) origins: BTreeSet<OriginIp>,
    pub(in crate::poller) urgency: Urgency,
}

/// The result of the lookups.
#[derive(Debug, Default)]
pub(in crate::poller) struct Confirmed {
    /// Origins that are mapped after all: the list was outdated.
    pub(in crate::poller) mapped: BTreeSet<OriginIp>,
    /// Why a lookup failed.
    pub(in crate::poller) error: Option<ApiError>,
}

/// Looks up the first origins, and stops at the first failure.
pub(in crate::poller) async fn run(confirmation: Confirmation) -> Confirmed {
    let Confirmation {
        client,
        zone,
        origins,
        urgency,
    } = confirmation;
    let call = urgency.call(BUDGET);
    let mut confirmed = Confirmed::default();
    for ip in origins.into_iter().take(LOOK_UPS) {
        match client.get_mapping(&zone, ip, &call).await {
            Ok(Some(_)) => {
                confirmed.mapped.insert(ip);
            }
            Ok(None) => {}
            Err(error) => {
                confirmed.error = Some(error);
                break;
            }
        }
    }
    confirmed
}
