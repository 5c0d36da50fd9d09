//! The poller's API calls, each in a separate task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::{error, warn};

use super::enrichment::confirm::Confirmed;
use super::enrichment::fetch::Enriched;
use super::enrichment::pool_cache::Pools;
use crate::cloudflare::{
    ApiError, AuditLogReading, CallBudget, Client, DnsRecord, MappingList, Operation, Reason, Rows,
    TokenStatus,
};
use crate::domain::{AccountName, Zone, ZoneId};
use crate::panics::caught;

/// The time limit for one read of a zone, excluding waits for the rate limit.
pub(super) const POLL_BUDGET: Duration = Duration::from_mins(2);
/// The time limit for listing all zones of an account: many pages, each with its retries.
const LISTING_BUDGET: Duration = Duration::from_mins(10);

/// The outcome of a task.
pub(super) enum Outcome {
    Listed(Result<Rows<Zone>, ApiError>),
    LookedUp(ZoneId, Result<Zone, ApiError>),
    Polled(ZoneId, Result<MappingList, ApiError>, Duration),
    Enriched(ZoneId, Box<Enriched>),
    Confirmed(ZoneId, Confirmed),
    RecordsRead(ZoneId, Result<Rows<DnsRecord>, ApiError>),
    CloudflareIps(Result<Vec<IpNet>, ApiError>),
    Verified(Result<TokenStatus, ApiError>),
    /// With the end of the period that was read.
    AuditLogRead(Arc<str>, Result<(AuditLogReading, Timestamp), ApiError>),
    PoolsRead(Arc<str>, Pools),
}

/// A task that has ended.
pub(super) struct Ended {
    pub(super) id: Id,
    pub(super) account: AccountName,
    pub(super) outcome: Outcome,
}

/// A running task. Dropping this cancels it.
#[derive(Debug)]
pub(super) struct Running(AbortHandle);

impl Running {
    pub(super) fn id(&self) -> Id {
        self.0.id()
    }

    /// Clears the current task if it is the one that has ended. An earlier one may have ended just
    /// as it was cancelled.
    pub(super) fn end(current: &mut Option<Self>, ended: Id) -> bool {
        current.take_if(|running| running.id() == ended).is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// At most one task per zone.
#[derive(Debug, Default)]
pub(super) struct ZoneTasks(HashMap<ZoneId, (Running, Urgency)>);

/// Whether a task takes precedence over others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Urgency {
    #[default]
    Regular,
    /// The audit log shows a write to what it reads.
    Urgent,
}

impl Urgency {
    /// An operation with this time budget.
    pub(super) fn call(self, budget: Duration) -> CallBudget {
        match self {
            Self::Regular => CallBudget::new(budget),
            Self::Urgent => CallBudget::urgent(budget),
        }
    }
}

impl ZoneTasks {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, zone: &ZoneId) -> bool {
        self.0.contains_key(zone)
    }

    /// Whether the zone has a regular task, which waits behind urgent ones.
    pub(super) fn has_regular(&self, zone: &ZoneId) -> bool {
        let task = self.0.get(zone);
        task.is_some_and(|(_, urgency)| *urgency == Urgency::Regular)
    }

    pub(super) fn insert(&mut self, zone: ZoneId, task: Running, urgency: Urgency) {
        self.0.insert(zone, (task, urgency));
    }

    /// Cancels the zone's task.
    pub(super) fn cancel(&mut self, zone: &ZoneId) {
        self.0.remove(zone);
    }

    /// Whether the ended task is the zone's current one. An earlier one may have ended just as it
    /// was cancelled.
    pub(super) fn end(&mut self, zone: &ZoneId, task: Id) -> bool {
        let running = self.0.get(zone);
        let is_current = running.is_some_and(|(running, _)| running.id() == task);
        if is_current {
            self.0.remove(zone);
        }
        is_current
    }
}

/// All tasks of the poller.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<Ended>);

impl Tasks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a task that makes calls for an account. If it panics, which is a bug in this program,
    /// `outcome` gets an error: it fails one call but not the daemon.
    pub(super) fn spawn<T: Send>(
        &mut self,
        account: &AccountName,
        operation: Operation,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
        outcome: impl FnOnce(Result<T, ApiError>) -> Outcome + Send + 'static,
    ) -> Running {
        let account = account.clone();
        Running(self.0.spawn(async move {
            let result = caught(work).await;
            Ended {
                id: tokio::task::id(),
                outcome: outcome(result.unwrap_or_else(|| Err(panicked(&account, operation)))),
                account,
            }
        }))
    }

    /// Waits for the next task to end; `None` if there are no tasks.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        // Only cancelled tasks end in an error.
        while let Some(joined) = self.0.join_next().await {
            if let Ok(ended) = joined {
                return Some(ended);
            }
        }
        None
    }

    /// Returns a task that has already ended.
    pub(super) fn try_next(&mut self) -> Option<Ended> {
        std::iter::from_fn(|| self.0.try_join_next()).find_map(Result::ok)
    }
}

fn panicked(account: &AccountName, operation: Operation) -> ApiError {
    let name = operation.as_str();
    error!(%account, operation = name, "poller task panicked; please report this");
    let detail = "this program failed on the answer; please report it";
    ApiError::new(operation, Reason::Malformed, detail)
}

/// Lists an account's zones. If the list is unexpectedly empty, reads it again.
pub(super) async fn list(client: Client, had_zones: bool) -> Result<Rows<Zone>, ApiError> {
    let call = CallBudget::new(LISTING_BUDGET);
    let mut list = client.list_zones(&call).await;
    if had_zones && matches!(&list, Ok(list) if list.rows.is_empty()) {
        warn!(account = %client.account(), "zone list is suddenly empty, reading it again");
        list = client.list_zones(&call).await;
    }
    list
}
