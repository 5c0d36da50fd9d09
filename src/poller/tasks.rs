//! The API calls that the poller starts, each in a task of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::enrichment::fetch::{self, Enriched, Enrichment};
use super::evaluate::Criteria;
use crate::cloudflare::{
    ApiError, CallBudget, Client, MappingList, RejectedRows, TokenStatus, ZoneList,
};
use crate::domain::{OriginIp, Zone, ZoneId, ZoneMappings};
use crate::findings::ZoneFindings;

/// What one reading of a zone may spend, waiting for the rate limit aside.
const POLL_BUDGET: Duration = Duration::from_mins(2);
/// What listing all zones of an account may spend: many pages, each of them retried.
const LISTING_BUDGET: Duration = Duration::from_mins(10);

/// What a task was about: known even where it panicked.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// Listing the zones of the account with this index.
    List(usize),
    /// Looking up one explicit id of the account with this index.
    Name(usize, ZoneId),
    /// Reading the mappings of a zone for the account with this index.
    Poll(usize, ZoneId),
    /// Reading what stands beside the mappings; `asks` for the account's supported regions too.
    Enrichment {
        index: usize,
        zone: ZoneId,
        asks: bool,
    },
    /// Verifying the token of the account with this index.
    Verify(usize),
}

impl Task {
    /// The index of the account that the job is for.
    pub(super) fn account_mut(&mut self) -> &mut usize {
        match self {
            Self::List(index)
            | Self::Name(index, _)
            | Self::Poll(index, _)
            | Self::Enrichment { index, .. }
            | Self::Verify(index) => index,
        }
    }
}

/// What came of it.
pub(super) enum Answer {
    Listed(Result<ZoneList, ApiError>),
    Named(Result<Zone, ApiError>),
    Polled {
        poll: Result<Poll, ApiError>,
        duration: Duration,
    },
    Enriched(Box<Enriched>),
    Verified(Result<TokenStatus, ApiError>),
}

/// Lists an account's zones. A listing that is suddenly empty is read again before it is believed.
pub(super) async fn list(client: Client, had_zones: bool) -> Answer {
    let call = CallBudget::new(LISTING_BUDGET);
    let mut list = client.list_zones(&call).await;
    if had_zones && matches!(&list, Ok(list) if list.zones.is_empty()) {
        warn!(account = %client.account(), "the zone list is suddenly empty: reading it again");
        list = client.list_zones(&call).await;
    }
    Answer::Listed(list)
}

/// Looks up one zone.
pub(super) async fn name(client: Client, id: ZoneId) -> Answer {
    Answer::Named(client.get_zone(&id, &CallBudget::new(POLL_BUDGET)).await)
}

/// The time budget of one poll.
pub(super) fn poll_call() -> Arc<CallBudget> {
    Arc::new(CallBudget::new(POLL_BUDGET))
}

/// A zone's mappings and the judgement on them.
pub(super) struct Poll {
    pub(super) mappings: ZoneMappings,
    pub(super) rejected: RejectedRows,
    pub(super) findings: ZoneFindings,
    /// Origins that seem to be missing for the first time, and are not among the findings.
    pub(super) unconfirmed: BTreeSet<OriginIp>,
}

impl Poll {
    pub(super) fn judge(
        mappings: ZoneMappings,
        rejected: RejectedRows,
        criteria: &Criteria,
    ) -> Self {
        let (findings, new) = criteria.judge(&mappings);
        Self {
            mappings,
            rejected,
            findings,
            unconfirmed: new.into_iter().map(|origin| origin.origin_ip).collect(),
        }
    }
}

/// Reads a zone's mappings and judges them.
pub(super) async fn poll(
    client: Client,
    id: ZoneId,
    criteria: Criteria,
    call: Arc<CallBudget>,
) -> Answer {
    let started = Instant::now();
    let list = client.list_mappings(&id, &call).await;
    let poll =
        list.map(|MappingList { mappings, rejected }| Poll::judge(mappings, rejected, &criteria));
    Answer::Polled {
        poll,
        duration: started.elapsed(),
    }
}

/// Reads what stands beside a zone's mappings.
pub(super) async fn follow_up(job: Enrichment) -> Answer {
    Answer::Enriched(Box::new(fetch::run(job).await))
}

/// Verifies an account's token. `owner` is the Cloudflare account of one of its zones.
pub(super) async fn verify(client: Client, owner: Option<Arc<str>>) -> Answer {
    Answer::Verified(
        client
            .verify_token(owner.as_deref(), &CallBudget::new(POLL_BUDGET))
            .await,
    )
}
