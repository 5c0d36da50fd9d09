//! Reports the results of all calls except polls, in a single round.

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
    /// It was not made, because nothing needs its response.
    NotNeeded,
    /// The zone does not support it.
    NotAvailable,
    /// It failed.
    Failed(ApiError),
}

impl SourceOutcome {
    fn of<T>(answer: &Result<T, ApiError>) -> Self {
        match answer {
            Ok(_) => Self::Read,
            Err(error) => Self::Failed(error.clone()),
        }
    }
}

impl Enriched {
    /// The result of each call.
    fn outcomes(&self) -> Vec<(Operation, SourceOutcome)> {
        let mut outcomes = Vec::new();
        if let Some(answer) = &self.dns {
            outcomes.push((Operation::DnsRecords, SourceOutcome::of(answer)));
        }
        match &self.load_balancers {
            None => {}
            Some(Err(error)) if error.operation == Operation::LoadBalancers => {
                let failed = SourceOutcome::Failed(error.clone());
                outcomes.push((Operation::LoadBalancers, failed));
            }
            Some(answer) => {
                let pools = match &self.pools_in_use {
                    Some(pools) if !pools.is_empty() => SourceOutcome::of(answer),
                    _ => SourceOutcome::NotNeeded,
                };
                outcomes.push((Operation::LoadBalancers, SourceOutcome::Read));
                outcomes.push((Operation::LoadBalancerPools, pools));
            }
        }
        let rules = self.rules.iter();
        outcomes.extend(rules.map(|(kind, answer)| (kind.operation(), SourceOutcome::of(answer))));
        for (operation, answer) in [
            (Operation::TieredCache, &self.tiered_cache),
            (Operation::SmartTieredCache, &self.smart_tiered_cache),
        ] {
            if let Some(answer) = answer {
                outcomes.push((operation, SourceOutcome::of(answer)));
            }
        }
        if let Some(answer) = &self.supported_regions {
            let outcome = match answer {
                Ok(None) => SourceOutcome::NotAvailable,
                answer => SourceOutcome::of(answer),
            };
            outcomes.push((Operation::SupportedRegions, outcome));
        }
        outcomes
    }
}

impl Poller {
    /// Records the results of a zone's calls in a single round.
    pub(super) fn report_enrichment(
        &mut self,
        account: &AccountName,
        id: &ZoneId,
        enriched: &Enriched,
    ) {
        if !self.context.once {
            return;
        }
        for (operation, outcome) in enriched.outcomes() {
            self.report(account, Some(id), operation, outcome);
        }
    }

    /// Records the result of a call in a single round.
    pub(super) fn report_call<T>(
        &mut self,
        account: &AccountName,
        id: Option<&ZoneId>,
        operation: Operation,
        answer: &Result<T, ApiError>,
    ) {
        if self.context.once {
            self.report(account, id, operation, SourceOutcome::of(answer));
        }
    }

    fn report(
        &mut self,
        account: &AccountName,
        id: Option<&ZoneId>,
        operation: Operation,
        outcome: SourceOutcome,
    ) {
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
