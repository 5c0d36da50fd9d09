//! Looking up origins before they are called missing for the first time.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cloudflare::{ApiError, Client};
use crate::domain::{OriginIp, ZoneId};
use crate::poller::tasks::Urgency;

/// What the look-ups may take, not counting the wait for the rate limit.
const BUDGET: Duration = Duration::from_secs(30);
/// Origins that are looked up one by one. Where more seem to be missing at once, the list itself is
/// as believable as they are.
const LOOK_UPS: usize = 5;

/// Look-ups to make.
pub(in crate::poller) struct Confirmation {
    pub(in crate::poller) client: Client,
    pub(in crate::poller) zone: ZoneId,
    pub(in crate::poller) origins: BTreeSet<OriginIp>,
    pub(in crate::poller) urgency: Urgency,
}

/// What the look-ups found.
#[derive(Debug, Default)]
pub(in crate::poller) struct Confirmed {
    /// Origins that have a mapping after all: the list was out of date.
    pub(in crate::poller) mapped: BTreeSet<OriginIp>,
    /// Why a look-up failed.
    pub(in crate::poller) error: Option<ApiError>,
}

/// Looks up the first of the origins, up to the first failure.
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
