//! The poller's API calls, each in a separate task.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
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
    pub(super) account: AccountName,
    pub(super) outcome: Outcome,
    cancelled: CancellationToken,
}

/// A running task. Dropping this cancels it: its outcome is lost, even if it has just ended.
pub(super) type Running = DropGuard;

/// A poll in progress.
pub(super) struct Poll {
    pub(super) _task: Running,
    pub(super) urgency: Urgency,
    /// How late it started.
    pub(super) late: Duration,
    pub(super) call: Arc<CallBudget>,
}

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

/// All tasks of the poller.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<Option<Ended>>);

impl Tasks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a task that makes calls with an account's client. If it panics, which is a bug in this
    /// program, `outcome` gets an error: it fails one call but not the daemon.
    pub(super) fn spawn<T: Send, W>(
        &mut self,
        client: &Client,
        operation: Operation,
        work: impl FnOnce(Client) -> W,
        outcome: impl FnOnce(Result<T, ApiError>) -> Outcome + Send + 'static,
    ) -> Running
    where
        W: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        let account = client.account().clone();
        let work = work(client.clone());
        let cancelled = CancellationToken::new();
        let running = cancelled.clone().drop_guard();
        self.0.spawn(async move {
            let result = cancelled.run_until_cancelled(caught(work)).await?;
            Some(Ended {
                outcome: outcome(result.unwrap_or_else(|| Err(panicked(&account, operation)))),
                account,
                cancelled,
            })
        });
        running
    }

    /// Waits for the next task to end; `None` if there are no tasks.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        while let Some(joined) = self.0.join_next().await {
            if let Some(ended) = not_cancelled(joined) {
                return Some(ended);
            }
        }
        None
    }

    /// Returns a task that has already ended.
    pub(super) fn try_next(&mut self) -> Option<Ended> {
        std::iter::from_fn(|| self.0.try_join_next()).find_map(not_cancelled)
    }
}

fn not_cancelled(joined: Result<Option<Ended>, JoinError>) -> Option<Ended> {
    let ended = joined.ok().flatten();
    ended.filter(|ended| !ended.cancelled.is_cancelled())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poller::tests::account;

    #[tokio::test]
    async fn a_task_that_is_cancelled_has_no_outcome_even_if_it_has_just_ended() {
        let client = account().client;
        let mut tasks = Tasks::default();
        let mut spawn = || {
            let work = |_| async { Ok(Vec::new()) };
            let operation = Operation::CloudflareIps;
            tasks.spawn(&client, operation, work, Outcome::CloudflareIps)
        };
        let (cancelled, current) = (spawn(), spawn());
        // Both end before either outcome is taken.
        tokio::task::yield_now().await;
        drop(cancelled);
        assert!(tasks.next().await.is_some());
        assert!(tasks.next().await.is_none());
        drop(current);
    }
}
