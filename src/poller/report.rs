//! Reports the results of all calls except polls, in a single round.

use std::collections::BTreeSet;

use super::Poller;
use super::enrichment::fetch::Enriched;
use crate::cloudflare::{ApiError, Operation};
use crate::domain::{AccountName, ZoneId};

/// The result of one call.
#[derive(Debug, Clone)]
pub struct SourceReading {
    /// The account whose credentials were used.
    pub account: AccountName,
    /// The name of the zone; empty for a call that serves all zones.
    pub zone: String,
    /// The call.
    pub operation: Operation,
    /// The result.
    pub outcome: SourceOutcome,
}

/// The result of a call.
#[derive(Debug, Clone)]
pub enum SourceOutcome {
    /// It succeeded.
    Read,
    /// It succeeded, but some rows could not be read.
    PartlyRead,
    /// It was not made, because nothing needs its response.
    NotNeeded,
    /// The zone does not support it.
    NotAvailable,
    /// It failed.
    Failed(ApiError),
}

impl SourceOutcome {
    pub(super) fn of<T>(answer: &Result<T, ApiError>, has_unreadable: bool) -> Self {
        match answer {
            Ok(_) if has_unreadable => Self::PartlyRead,
            Ok(_) => Self::Read,
            Err(error) => Self::Failed(error.clone()),
        }
    }
}

impl Enriched {
    /// The result of each call.
    pub(super) fn outcomes(&self) -> Vec<(Operation, SourceOutcome)> {
        let mut outcomes = Vec::new();
        let has_unreadable = |operation| self.unreadable.contains(&operation);
        for (&operation, answer) in &self.sources {
            let mut outcome = SourceOutcome::of(answer, has_unreadable(operation));
            if let Operation::LoadBalancers = operation
                && !matches!(answer, Err(error) if error.operation == operation)
            {
                let pools = Operation::LoadBalancerPools;
                let are_unused = self.pools_in_use.as_ref().is_none_or(BTreeSet::is_empty);
                let of_pools = if are_unused {
                    SourceOutcome::NotNeeded
                } else {
                    SourceOutcome::of(answer, has_unreadable(pools))
                };
                outcomes.push((pools, of_pools));
                outcome = SourceOutcome::of(&Ok(()), has_unreadable(operation));
            }
            outcomes.push((operation, outcome));
        }
        for (operation, answer) in &self.settings {
            outcomes.push((*operation, SourceOutcome::of(answer, false)));
        }
        if let Some(answer) = &self.supported_regions {
            let outcome = match answer {
                Ok(None) => SourceOutcome::NotAvailable,
                answer => SourceOutcome::of(answer, false),
            };
            outcomes.push((Operation::SupportedRegions, outcome));
        }
        outcomes
    }
}

impl Poller {
    /// Records the result of a call in a single round.
    pub(super) fn report(
        &mut self,
        account: &AccountName,
        id: Option<&ZoneId>,
        operation: Operation,
        outcome: SourceOutcome,
    ) {
        if !self.context.once {
            return;
        }
        let zone = id.map_or_else(String::new, |id| self.zone_name(account, id));
        self.readings.push(SourceReading {
            account: account.clone(),
            zone,
            operation,
            outcome,
        });
    }

    /// The name of a listed zone, polled or not.
    fn zone_name(&self, account: &AccountName, id: &ZoneId) -> String {
        let account = self.accounts.get(account);
        let listed = account.and_then(|account| account.listing.zones.get(id));
        listed.map_or_else(|| id.to_string(), |zone| zone.name.to_string())
    }
}
