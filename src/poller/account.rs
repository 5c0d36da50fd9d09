//! One account's schedule: its zone listing and its zones' turns.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::ZoneSelection;
use super::enrichment::fetch::PoolCache;
use super::enrichment::refresh::{Cooldown, Regions};
use super::schedule::budget::BudgetCheck;
use super::schedule::listing_backoff;
use super::schedule::queue::Queue;
use crate::cloudflare::{ApiError, Client, Operation, Reason, ZoneList};
use crate::domain::{Zone, ZoneId};
use crate::snapshot::{AccountState, ZoneCounts};

/// Zones of an account that are read at once, as a multiple of its requests in flight: enough that
/// zones which wait before a retry do not keep the others from using the connection.
const POLLS_PER_REQUEST: usize = 4;

/// What the poller knows of an account.
pub(super) struct Account {
    pub(super) client: Client,
    pub(super) selection: ZoneSelection,
    pub(super) state: AccountState,
    /// The zones of the last good listing; for explicit ids, all of them from their first answer.
    pub(super) zones: BTreeMap<ZoneId, Zone>,
    /// These are all zones that the account has: a listing was read whole.
    pub(super) listed: bool,
    /// Explicit ids that, by the last answer, are no zones of this account.
    pub(super) absent: BTreeSet<ZoneId>,
    pub(super) listing: ListingSchedule,
    /// Zones by when they are due; a zone that is being polled is not in it.
    pub(super) due: Queue,
    /// Zones whose secondary data is to be read when no poll is waiting.
    pub(super) follow_ups: VecDeque<ZoneId>,
    /// Zones that were found and not tried yet.
    pub(super) untried: HashSet<ZoneId>,
    /// The first round was over once. In it nothing comes before the zones that nobody has read.
    pub(super) settled: bool,
    /// Polls of zones that are under way.
    pub(super) running: usize,
    /// Follow-ups that are under way.
    pub(super) following: usize,
    /// The regions that Cloudflare supports, by way of one of the zones.
    pub(super) regions: Regions,
    /// Of reading its zones' tiered cache settings.
    pub(super) settings_trouble: Cooldown,
    /// The load balancer pools, read once for all zones.
    pub(super) pools: Arc<PoolCache>,
    /// Failures of optional calls that the log has told.
    pub(super) optional_failures: HashSet<(Operation, Reason)>,
    /// When the token is verified next; `None` while it is.
    pub(super) verification: Option<Instant>,
    /// Whether the interval can be kept.
    pub(super) pace: BudgetCheck,
}

/// When the zones are listed next, and how the listing under way fares.
#[derive(Debug)]
pub(super) struct ListingSchedule {
    /// `None` while one is under way.
    pub(super) due: Option<Instant>,
    /// Listings that failed in a row.
    pub(super) failures: u32,
    /// Answers that the listing under way still waits for.
    pub(super) outstanding: usize,
    /// Its first failure.
    pub(super) error: Option<ApiError>,
    /// Other zones were asked for meanwhile, so that it says nothing.
    pub(super) again: bool,
}

impl Account {
    pub(super) fn new(client: Client, selection: ZoneSelection, now: Instant) -> Self {
        let state = AccountState {
            name: client.account().clone(),
            up: None,
            last_success: None,
            error: None,
            zones: ZoneCounts::default(),
        };
        let listing = ListingSchedule {
            due: Some(now),
            failures: 0,
            outstanding: 0,
            error: None,
            again: false,
        };
        Self {
            client,
            selection,
            state,
            zones: BTreeMap::new(),
            listed: false,
            absent: BTreeSet::new(),
            listing,
            due: Queue::default(),
            follow_ups: VecDeque::new(),
            untried: HashSet::new(),
            settled: false,
            running: 0,
            following: 0,
            regions: Regions::default(),
            settings_trouble: Cooldown::default(),
            pools: Arc::default(),
            optional_failures: HashSet::new(),
            verification: Some(now),
            pace: BudgetCheck::default(),
        }
    }

    /// How many polls of zones may be under way at once.
    pub(super) fn most_running(&self) -> usize {
        POLLS_PER_REQUEST * self.client.concurrency()
    }

    /// How many follow-ups may be under way at once. Each has one request in flight, so that those
    /// which hang leave polls at least half of the requests, where there are two or more. Where
    /// polls have to wait one follow-up still runs, or an account whose polls always wait would
    /// never know of its DNS records.
    pub(super) fn most_following(&self, poll_waits: bool) -> usize {
        if poll_waits {
            1
        } else {
            (self.client.concurrency() / 2).max(1)
        }
    }

    /// Whether the listing and every zone were tried once, or a 429 keeps them from it.
    pub(super) fn tried(&self) -> bool {
        self.client.is_blocked() || self.first_round_over()
    }

    /// Whether the listing and every zone were tried once, well or badly.
    pub(super) fn first_round_over(&self) -> bool {
        self.state.up.is_some() && self.untried.is_empty()
    }

    /// When the token is to be verified; `None` while that has to wait or cannot be.
    pub(super) fn verification_due(&self) -> Option<Instant> {
        self.verification
            .filter(|_| self.settled || self.first_round_over())
            .filter(|_| self.client.has_token())
    }

    /// Takes the whole listing of the account. A row that could not be read may be any zone's, so
    /// with such a row only those zones have gone that `refused` says cannot be read either.
    pub(super) fn list(&mut self, list: ZoneList, refused: impl Fn(&ZoneId) -> bool) {
        if matches!(self.selection, ZoneSelection::Ids(_)) {
            return;
        }
        if list.complete {
            self.zones.clear();
        } else {
            self.zones.retain(|id, _| !refused(id));
        }
        let zones = list.zones.into_iter().map(|zone| (zone.id.clone(), zone));
        self.zones.extend(zones);
        self.listed = list.complete;
    }

    /// Takes the answer on one explicit id. That there is no such zone is an answer too.
    pub(super) fn name(&mut self, id: ZoneId, answer: Result<Zone, ApiError>) {
        if !matches!(&self.selection, ZoneSelection::Ids(ids) if ids.contains(&id)) {
            return;
        }
        match answer {
            Ok(zone) => {
                self.absent.remove(&id);
                self.zones.insert(id, zone);
            }
            Err(error) => {
                let reason = error.reason;
                self.zones
                    .entry(id.clone())
                    .or_insert_with(|| Zone::unknown(id.clone()));
                if matches!(
                    reason,
                    Reason::NotFound | Reason::Forbidden | Reason::NoRoute
                ) {
                    self.absent.insert(id);
                } else {
                    self.listing.error.get_or_insert(error);
                }
            }
        }
    }

    /// Takes note of how the listing ended and when the next is due.
    pub(super) fn conclude_listing(&mut self, interval: Duration, now: Instant, at: Timestamp) {
        if std::mem::take(&mut self.listing.again) {
            self.listing.due = Some(now);
            return;
        }
        let account = &self.state.name;
        let pause = if let Some(error) = self.listing.error.take() {
            let text = error.to_string();
            if self.state.error.as_ref() == Some(&text) {
                debug!(%account, %error, "listing the zones failed again");
            } else {
                warn!(%account, reason = %error.reason, %error, "listing the zones failed");
            }
            self.listing.failures = self.listing.failures.saturating_add(1);
            self.state.up = Some(false);
            self.state.error = Some(text);
            listing_backoff(self.listing.failures, interval, fastrand::f64())
        } else {
            if self.state.up == Some(false) {
                info!(%account, zones = self.zones.len(), "the zones can be listed again");
            }
            self.listing.failures = 0;
            self.listed |= matches!(self.selection, ZoneSelection::Ids(_));
            self.state.up = Some(true);
            self.state.last_success = Some(at);
            self.state.error = None;
            interval
        };
        self.listing.due = Some(now + pause);
        self.pace.judged = false;
    }
}
