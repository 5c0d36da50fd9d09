//! Reads the other data of a zone: DNS records, load balancers, rules, Tiered Cache settings and
//! supported regions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::candidates::{
    balanced_names, none_of, of_cloud_connector, of_pools, of_records, of_rules, pools_in_use,
};
use super::pool_cache::PoolCache;
use crate::cloudflare::{
    ApiError, CallBudget, Client, DnsRecord, LoadBalancer, Operation, Reason, Rows,
};
use crate::domain::{PoolId, RecordName, Zone};
use crate::findings::{Candidates, ExpectSettings, SupportedRegions};
use crate::poller::EvaluationConfig;
use crate::poller::tasks::Urgency;

/// The time limit for each call, excluding waits for the rate limit. A call that hangs does not
/// take time from the others.
const BUDGET: Duration = Duration::from_secs(30);

/// The data to read.
#[expect(
    clippy::struct_excessive_bools,
    reason = "five things that are read independently"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::poller) struct Wanted {
    pub(in crate::poller) dns: bool,
    pub(in crate::poller) load_balancers: bool,
    pub(in crate::poller) rules: bool,
    pub(in crate::poller) tiered_cache: bool,
    pub(in crate::poller) supported_regions: bool,
}

impl Wanted {
    pub(in crate::poller) fn anything(self) -> bool {
        self != Self::default()
    }
}

/// The calls for rules that change the origin of requests.
pub(super) const RULES: [Operation; 3] = [
    Operation::OriginRules,
    Operation::CloudConnector,
    Operation::PageRules,
];

/// A request to enrich a zone.
pub(in crate::poller) struct Enrichment {
    pub(in crate::poller) client: Client,
    pub(in crate::poller) zone: Zone,
    pub(in crate::poller) wanted: Wanted,
    pub(in crate::poller) urgency: Urgency,
    pub(in crate::poller) pools: Arc<PoolCache>,
    /// The maximum age of the account's pools.
    pub(in crate::poller) pools_age: Duration,
    /// The names that load balancers serve, as far as known.
    pub(in crate::poller) balanced: Arc<BTreeSet<RecordName>>,
}

/// The data that was read. What was not requested is empty.
#[derive(Debug, Default)]
pub(in crate::poller) struct Enriched {
    /// What each source names, by its call. Pools count as load balancers.
    pub(in crate::poller) sources: BTreeMap<Operation, Result<Candidates, ApiError>>,
    /// All records of the zone.
    pub(in crate::poller) records: Option<Rows<DnsRecord>>,
    /// The names that load balancers serve.
    pub(in crate::poller) balanced: Option<Arc<BTreeSet<RecordName>>>,
    /// The pools that load balancers use.
    pub(in crate::poller) pools_in_use: Option<BTreeSet<PoolId>>,
    /// Whether Tiered Cache and its smart topology are on, by call.
    pub(in crate::poller) settings: BTreeMap<Operation, Result<bool, ApiError>>,
    /// The inner value is `None` if this zone does not return the regions.
    pub(in crate::poller) supported_regions: Option<Result<Option<SupportedRegions>, ApiError>>,
    /// The calls that returned rows which could not be read.
    pub(in crate::poller) unreadable: BTreeSet<Operation>,
}

impl Enriched {
    /// Notes whether a call returned rows which could not be read.
    fn note_rows<T>(&mut self, operation: Operation, rows: &Rows<T>) {
        if !rows.is_complete() {
            self.unreadable.insert(operation);
        }
    }

    /// The errors of failed calls.
    pub(in crate::poller) fn failures(&self) -> impl Iterator<Item = &ApiError> {
        let sources = self.sources.values().filter_map(failure);
        let settings = self.settings.values().filter_map(failure);
        let regions = self.supported_regions.iter().filter_map(failure);
        sources.chain(settings).chain(regions)
    }

    /// Drops data that a new configuration no longer requests.
    pub(in crate::poller) fn retain_wanted(&mut self, config: &EvaluationConfig) {
        let (expect, verify) = (&config.expect, config.verify);
        self.sources.retain(|call, _| is_on(*call, expect));
        if !expect.from_dns {
            self.records = None;
        }
        if !expect.from_load_balancers {
            self.balanced = None;
            self.pools_in_use = None;
        }
        if !verify.tiered_cache {
            self.settings.clear();
        }
        if !verify.supported_regions {
            self.supported_regions = None;
        }
    }
}

/// Whether the source that a call reads is on.
pub(super) fn is_on(call: Operation, expect: &ExpectSettings) -> bool {
    match call {
        Operation::DnsRecords => expect.from_dns,
        Operation::LoadBalancers => expect.from_load_balancers,
        _ => expect.from_rules,
    }
}

fn failure<T>(answer: &Result<T, ApiError>) -> Option<&ApiError> {
    answer.as_ref().err()
}

/// Whether a call failed for a transient reason, so that a retry may succeed soon.
pub(super) fn has_transient_failure<'a, T: 'a>(
    answers: impl IntoIterator<Item = &'a Result<T, ApiError>>,
) -> bool {
    let mut failures = answers.into_iter().filter_map(failure);
    failures.any(ApiError::is_transient)
}

impl Enrichment {
    /// Reads the requested data, one call at a time.
    pub(in crate::poller) async fn run(&self) -> Enriched {
        let (client, zone, wanted) = (&self.client, &self.zone.id, self.wanted);
        let budget = || self.urgency.call(BUDGET);
        let mut enriched = Enriched::default();
        if wanted.supported_regions {
            enriched.supported_regions = Some(client.supported_regions(zone, &budget()).await);
        }
        if wanted.load_balancers {
            let call = budget();
            let balancers = client.load_balancers(zone, &call).await;
            if let Ok(balancers) = &balancers {
                enriched.note_rows(Operation::LoadBalancers, balancers);
                enriched.balanced = Some(Arc::new(balanced_names(&balancers.rows)));
                enriched.pools_in_use = Some(pools_in_use(&balancers.rows));
            }
            let answer = match balancers {
                Ok(balancers) => self.pool_origins(&balancers, &call, &mut enriched).await,
                Err(error) => Err(error),
            };
            enriched.sources.insert(Operation::LoadBalancers, answer);
        }
        if wanted.dns {
            let call = budget();
            // Include records that are not proxied, because hosts may resolve through them.
            let answer = client.dns_records(zone, &call).await.map(|records| {
                enriched.note_rows(Operation::DnsRecords, &records);
                let balanced = enriched.balanced.as_ref().unwrap_or(&self.balanced);
                let candidates = of_records(&records, balanced);
                enriched.records = Some(records);
                candidates
            });
            enriched.sources.insert(Operation::DnsRecords, answer);
        }
        if wanted.rules {
            for operation in RULES {
                let call = budget();
                let answer = match operation {
                    Operation::OriginRules => client.origin_rules(zone, &call).await.map(of_rules),
                    Operation::PageRules => client.page_rules(zone, &call).await.map(of_rules),
                    _ => client
                        .cloud_connector(zone, &call)
                        .await
                        .map(of_cloud_connector),
                };
                if answer.as_ref().is_ok_and(|read| read.has_unreadable) {
                    enriched.unreadable.insert(operation);
                }
                enriched.sources.insert(operation, answer);
            }
        }
        if wanted.tiered_cache {
            let answer = client.tiered_cache(zone, &budget()).await;
            enriched.settings.insert(Operation::TieredCache, answer);
            let answer = client.smart_tiered_cache(zone, &budget()).await;
            enriched
                .settings
                .insert(Operation::SmartTieredCache, answer);
        }
        enriched
    }

    async fn pool_origins(
        &self,
        balancers: &Rows<LoadBalancer>,
        call: &CallBudget,
        enriched: &mut Enriched,
    ) -> Result<Candidates, ApiError> {
        let ids = pools_in_use(&balancers.rows);
        match &self.zone.owner {
            _ if ids.is_empty() => Ok(none_of(balancers)),
            Some(owner) => {
                let pools = self
                    .pools
                    .get(&self.client, owner, self.pools_age, call)
                    .await?;
                enriched.note_rows(Operation::LoadBalancerPools, &pools);
                let mut candidates = of_pools(&pools, &ids);
                candidates.has_unreadable |= !balancers.is_complete();
                Ok(candidates)
            }
            None => {
                let (operation, reason) = (Operation::LoadBalancerPools, Reason::NotFound);
                let detail = "the API does not say which account owns the zone";
                Err(ApiError::new(operation, reason, detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_reported() {
        let error = |operation| ApiError::new(operation, Reason::Timeout, "");
        let enriched = Enriched {
            sources: BTreeMap::from([
                (Operation::DnsRecords, Err(error(Operation::DnsRecords))),
                (Operation::LoadBalancers, Ok(Candidates::default())),
            ]),
            settings: BTreeMap::from([(
                Operation::SmartTieredCache,
                Err(error(Operation::SmartTieredCache)),
            )]),
            supported_regions: Some(Err(error(Operation::SupportedRegions))),
            ..Enriched::default()
        };
        let operations: Vec<_> = enriched.failures().map(|error| error.operation).collect();
        assert_eq!(
            operations,
            [
                Operation::DnsRecords,
                Operation::SmartTieredCache,
                Operation::SupportedRegions,
            ]
        );
    }
}
