//! The zone listing of an account, and its schedule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::cloudflare::{ApiError, Reason, Rows};
use crate::domain::{Zone, ZoneId};
use crate::poller::account::Account;
use crate::poller::schedule::listing_backoff;
use crate::poller::tasks::Running;
use crate::poller::zone::PolledZone;
use crate::poller::{Context, ZoneSelection};

/// The zone listing of an account, and its schedule.
pub(in crate::poller) struct Listing {
    pub(in crate::poller) selection: ZoneSelection,
    /// The zones of the last successful listing. Zones selected by identifier are all included from
    /// their first response on.
    pub(in crate::poller) zones: BTreeMap<ZoneId, Zone>,
    /// Whether a complete listing was read, so that `zones` are all zones of the account.
    pub(in crate::poller) complete: bool,
    /// Configured identifiers that, according to the last response, are not zones of this account.
    pub(in crate::poller) absent: BTreeSet<ZoneId>,
    /// When the zones are listed next; `None` during a listing.
    pub(in crate::poller) due: Option<Instant>,
    /// The calls in progress, by zone if zones are selected by identifier.
    pub(in crate::poller) running: HashMap<Option<ZoneId>, Running>,
    /// The first failure of the current listing.
    error: Option<ApiError>,
    /// Whether a call of the current listing succeeded.
    succeeded: bool,
    /// Consecutive failed listings.
    failures: u32,
}

impl Listing {
    pub(in crate::poller) fn new(selection: ZoneSelection, now: Instant) -> Self {
        Self {
            selection,
            zones: BTreeMap::new(),
            complete: false,
            absent: BTreeSet::new(),
            due: Some(now),
            running: HashMap::new(),
            error: None,
            succeeded: false,
            failures: 0,
        }
    }

    /// Starts a listing.
    pub(in crate::poller) fn started(&mut self) {
        self.due = None;
        self.error = None;
        self.succeeded = false;
    }

    /// Changes the selection of zones.
    pub(in crate::poller) fn select(&mut self, selection: ZoneSelection, now: Instant) {
        let same_calls = match (&self.selection, &selection) {
            (ZoneSelection::Filter { .. }, ZoneSelection::Filter { .. }) => true,
            (ZoneSelection::Ids(old), ZoneSelection::Ids(new)) => old == new,
            _ => false,
        };
        match &selection {
            ZoneSelection::Ids(ids) => {
                self.zones.retain(|id, _| ids.contains(id));
                self.absent.retain(|id| ids.contains(id));
            }
            ZoneSelection::Filter { .. } => self.absent.clear(),
        }
        self.selection = selection;
        if !same_calls {
            self.complete = false;
            self.running.clear();
            self.due = Some(now);
        }
    }

    /// Processes the response for a configured identifier. "No such zone" is a valid response.
    pub(in crate::poller) fn looked_up(&mut self, id: ZoneId, answer: Result<Zone, ApiError>) {
        match answer {
            Ok(zone) => {
                self.succeeded = true;
                self.absent.remove(&id);
                self.zones.insert(id, zone);
            }
            Err(error) => {
                self.zones
                    .entry(id.clone())
                    .or_insert_with(|| Zone::unknown(id.clone()));
                if matches!(
                    error.reason,
                    Reason::NotFound | Reason::Forbidden | Reason::NoRoute
                ) {
                    self.succeeded = true;
                    self.absent.insert(id);
                } else {
                    self.error.get_or_insert(error);
                }
            }
        }
    }
}

impl Account {
    /// Processes a list of all zones. An unreadable row may be any zone, so a list with such a row
    /// removes only zones that are also inaccessible.
    pub(in crate::poller) fn listed(&mut self, list: Result<Rows<Zone>, ApiError>) {
        let listing = &mut self.listing;
        match list {
            Ok(list) => {
                listing.succeeded = true;
                listing.complete = list.is_complete();
                let is_complete = listing.complete;
                let is_gone = |id: &ZoneId| {
                    is_complete || self.zones.get(id).is_some_and(PolledZone::is_inaccessible)
                };
                listing.zones.retain(|id, _| !is_gone(id));
                let zones = list.rows.into_iter().map(|zone| (zone.id.clone(), zone));
                listing.zones.extend(zones);
            }
            Err(error) => listing.error = Some(error),
        }
    }

    /// Ends a call of the current listing. After the last one, records the result and schedules the
    /// next listing.
    pub(in crate::poller) fn listing_ended(&mut self, context: &Context) {
        let listing = &mut self.listing;
        if !listing.running.is_empty() {
            return;
        }
        let account = &self.state.name;
        let interval = context.settings.discovery_interval;
        let pause = if let Some(error) = listing.error.take() {
            let text = error.to_string();
            if self.state.error.as_ref() == Some(&text) {
                debug!(%account, %error, "listing zones failed again");
            } else {
                warn!(%account, reason = %error.reason, %error, "listing zones failed");
            }
            self.token.discovery_refused =
                error.reason == Reason::Unauthorized && !listing.succeeded;
            listing.failures = listing.failures.saturating_add(1);
            self.state.up = Some(false);
            self.state.error = Some(text);
            listing_backoff(listing.failures, interval, fastrand::f64())
        } else {
            if self.state.up == Some(false) {
                info!(%account, zones = listing.zones.len(), "listing zones succeeded again");
            }
            self.token.discovery_refused = false;
            listing.failures = 0;
            listing.complete |= matches!(listing.selection, ZoneSelection::Ids(_));
            self.state.up = Some(true);
            self.state.last_success = Some(Timestamp::now());
            self.state.error = None;
            interval
        };
        listing.due = (!context.once).then_some(context.now + pause);
        self.budget_check.is_current = false;
        self.judge_credentials(context);
    }
}
