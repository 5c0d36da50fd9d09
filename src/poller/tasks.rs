//! The poller's API calls, each in a separate task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{error, warn};

use super::enrichment::confirm::{self, Confirmation, Confirmed};
use super::enrichment::fetch::{self, Enriched, Enrichment};
use super::enrichment::pool_cache::{PoolCache, Pools};
use crate::cloudflare::{
    ApiError, AuditLogReading, CallBudget, Client, DnsRecord, MappingList, Operation, Reason,
    RecordScope, TokenStatus, ZoneList,
};
use crate::domain::{AccountName, Zone, ZoneId};

/// The time limit for one read of a zone, excluding waits for the rate limit.
const POLL_BUDGET: Duration = Duration::from_mins(2);
/// The time limit for listing all zones of an account: many pages, each with its retries.
const LISTING_BUDGET: Duration = Duration::from_mins(10);

/// The subject of a task. It is known even if the task panics.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// Lists the account's zones.
    List,
    /// Looks up a zone that is configured by identifier.
    Lookup(ZoneId),
    /// Reads a zone's mappings.
    Poll(ZoneId),
    /// Reads a zone's other data.
    Enrich(ZoneId),
    /// Looks up origins that seem to be missing.
    Confirm(ZoneId),
    /// Reads the DNS records of a zone that is not enriched with them.
    Records(ZoneId),
    /// Reads Cloudflare's own addresses.
    CloudflareIps,
    /// Verifies the account's token.
    Verify,
    /// Reads the audit log of a Cloudflare account.
    AuditLog(Arc<str>),
    /// Reads the load balancer pools of a Cloudflare account.
    Pools(Arc<str>),
}

/// The outcome of a task.
pub(super) enum Outcome {
    Listed(Result<ZoneList, ApiError>),
    LookedUp(ZoneId, Result<Zone, ApiError>),
    Polled(ZoneId, Result<MappingList, ApiError>, Duration),
    Enriched(ZoneId, Box<Enriched>),
    Confirmed(ZoneId, Confirmed),
    RecordsRead(ZoneId, Result<Vec<DnsRecord>, ApiError>),
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
    pub(super) fn is(&self, task: Id) -> bool {
        self.0.id() == task
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
        let is_current = running.is_some_and(|(running, _)| running.is(task));
        if is_current {
            self.0.remove(zone);
        }
        is_current
    }
}

/// All tasks of the poller.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<Outcome>,
    about: HashMap<Id, (AccountName, Task)>,
}

impl Tasks {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn spawn(
        &mut self,
        account: &AccountName,
        task: Task,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) -> Running {
        let handle = self.set.spawn(work);
        self.about.insert(handle.id(), (account.clone(), task));
        Running(handle)
    }

    /// Waits for the next task to end; `None` if there are no tasks.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        loop {
            let joined = self.set.join_next_with_id().await?;
            if let Some(ended) = self.ended(joined) {
                return Some(ended);
            }
        }
    }

    /// Returns a task that has already ended.
    pub(super) fn try_next(&mut self) -> Option<Ended> {
        loop {
            let joined = self.set.try_join_next_with_id()?;
            if let Some(ended) = self.ended(joined) {
                return Some(ended);
            }
        }
    }

    fn ended(&mut self, joined: Result<(Id, Outcome), JoinError>) -> Option<Ended> {
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let (account, task) = self.about.remove(&id)?;
        let outcome = match joined {
            Ok((_, outcome)) => outcome,
            Err(error) if error.is_cancelled() => return None,
            // A bug in this program. It fails one call but not the daemon.
            Err(panic) => {
                error!(%account, ?task, %panic, "poller task panicked; please report this");
                task.failed()
            }
        };
        Some(Ended {
            id,
            account,
            outcome,
        })
    }
}

impl Task {
    /// The outcome of a task that panicked.
    fn failed(self) -> Outcome {
        let error = |operation| ApiError {
            operation,
            reason: Reason::Malformed,
            detail: "this program failed on the answer; please report it".to_owned(),
            status: None,
            codes: Vec::new(),
        };
        match self {
            Self::List => Outcome::Listed(Err(error(Operation::ListZones))),
            Self::Lookup(zone) => Outcome::LookedUp(zone, Err(error(Operation::GetZone))),
            Self::Poll(zone) => {
                Outcome::Polled(zone, Err(error(Operation::ListMappings)), Duration::ZERO)
            }
            Self::Enrich(zone) => Outcome::Enriched(zone, Box::default()),
            Self::Confirm(zone) => Outcome::Confirmed(zone, Confirmed::default()),
            Self::Records(zone) => Outcome::RecordsRead(zone, Err(error(Operation::DnsRecords))),
            Self::CloudflareIps => Outcome::CloudflareIps(Err(error(Operation::CloudflareIps))),
            Self::AuditLog(owner) => Outcome::AuditLogRead(owner, Err(error(Operation::AuditLog))),
            Self::Pools(owner) => {
                Outcome::PoolsRead(owner, Err(error(Operation::LoadBalancerPools)))
            }
            Self::Verify => Outcome::Verified(Err(error(Operation::VerifyToken))),
        }
    }
}

/// Lists an account's zones. If the list is unexpectedly empty, reads it again.
pub(super) async fn list(client: Client, had_zones: bool) -> Outcome {
    let call = CallBudget::new(LISTING_BUDGET);
    let mut list = client.list_zones(&call).await;
    if had_zones && matches!(&list, Ok(list) if list.zones.is_empty()) {
        warn!(account = %client.account(), "zone list is suddenly empty, reading it again");
        list = client.list_zones(&call).await;
    }
    Outcome::Listed(list)
}

/// Looks up one zone.
pub(super) async fn look_up(client: Client, id: ZoneId) -> Outcome {
    let zone = client.get_zone(&id, &CallBudget::new(POLL_BUDGET)).await;
    Outcome::LookedUp(id, zone)
}

/// The time budget of one poll.
pub(super) fn poll_budget(urgency: Urgency) -> Arc<CallBudget> {
    Arc::new(urgency.call(POLL_BUDGET))
}

/// Reads a zone's mappings.
pub(super) async fn poll(client: Client, id: ZoneId, call: Arc<CallBudget>) -> Outcome {
    let started = Instant::now();
    let list = client.list_mappings(&id, &call).await;
    Outcome::Polled(id, list, started.elapsed())
}

/// Reads a zone's other data.
pub(super) async fn enrich(enrichment: Enrichment) -> Outcome {
    let id = enrichment.zone.id.clone();
    Outcome::Enriched(id, Box::new(fetch::run(enrichment).await))
}

/// Looks up origins that seem to be missing.
pub(super) async fn confirm(confirmation: Confirmation) -> Outcome {
    let id = confirmation.zone.clone();
    Outcome::Confirmed(id, confirm::run(confirmation).await)
}

/// Reads a zone's DNS records, proxied or not.
pub(super) async fn read_records(client: Client, id: ZoneId) -> Outcome {
    let call = CallBudget::new(POLL_BUDGET);
    let records = client.dns_records(&id, RecordScope::All, &call).await;
    Outcome::RecordsRead(id, records.map(|records| records.rows))
}

/// Reads Cloudflare's own addresses.
pub(super) async fn read_cloudflare_ips(client: Client) -> Outcome {
    let call = CallBudget::new(POLL_BUDGET);
    Outcome::CloudflareIps(client.cloudflare_ips(&call).await)
}

/// Verifies an account's token. `owner` is the Cloudflare account of one of its zones.
pub(super) async fn verify(client: Client, owner: Option<Arc<str>>) -> Outcome {
    let call = CallBudget::new(POLL_BUDGET);
    Outcome::Verified(client.verify_token(owner.as_deref(), &call).await)
}

/// Reads the audit log of a Cloudflare account.
pub(super) async fn read_audit_log(
    client: Client,
    owner: Arc<str>,
    since: Timestamp,
    before: Timestamp,
    actors: bool,
) -> Outcome {
    let call = CallBudget::urgent(POLL_BUDGET);
    let reading = client.audit_log(&owner, since, before, actors, &call).await;
    Outcome::AuditLogRead(owner, reading.map(|reading| (reading, before)))
}

/// Reads the load balancer pools of a Cloudflare account again.
pub(super) async fn read_pools(client: Client, cache: Arc<PoolCache>, owner: Arc<str>) -> Outcome {
    let call = CallBudget::urgent(POLL_BUDGET);
    let pools = cache.refresh(&client, &owner, &call).await;
    Outcome::PoolsRead(owner, pools)
}
