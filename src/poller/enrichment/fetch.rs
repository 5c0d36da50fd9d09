//! Reads the other data of a zone: DNS records, load balancers, rules, Tiered Cache settings and
//! supported regions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::candidates::{
    balanced_names, of_cloud_connector, of_pools, of_records, of_rules, pools_in_use,
};
use super::pool_cache::{PoolCache, Pools};
use crate::cloudflare::{ApiError, CallBudget, Client, DnsRecord, Operation, Reason, Rows};
use crate::domain::{PoolId, RecordName, Zone};
use crate::findings::{Candidates, SupportedRegions};
use crate::poller::tasks::Urgency;
use crate::poller::{EvaluationConfig, SourceOutcome};

/// The time limit for each call, excluding waits for the rate limit. A call that hangs does not
/// take time from the others.
const BUDGET: Duration = Duration::from_secs(30);

/// The calls that enrich a zone, in the order in which they are made: load balancers decide which
/// DNS records are in use.
pub(super) const CALLS: [Operation; 8] = [
    Operation::SupportedRegions,
    Operation::LoadBalancers,
    Operation::DnsRecords,
    Operation::OriginRules,
    Operation::CloudConnector,
    Operation::PageRules,
    Operation::TieredCache,
    Operation::SmartTieredCache,
];

/// The calls for rules that change the origin of requests.
pub(super) const RULES: [Operation; 3] = [
    Operation::OriginRules,
    Operation::CloudConnector,
    Operation::PageRules,
];

/// Whether the configuration needs what a call reads.
pub(super) fn is_on(call: Operation, config: &EvaluationConfig) -> bool {
    match call {
        Operation::DnsRecords => config.expect.from_dns,
        Operation::LoadBalancers => config.expect.from_load_balancers,
        Operation::TieredCache | Operation::SmartTieredCache => config.verify.tiered_cache,
        Operation::SupportedRegions => config.verify.supported_regions,
        _ => config.expect.from_rules,
    }
}

/// A request to enrich a zone.
pub(in crate::poller) struct Enrichment {
    pub(in crate::poller) zone: Zone,
    /// The calls to make, in the order of [`CALLS`].
    pub(in crate::poller) calls: Vec<Operation>,
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
    /// How each call ended.
    pub(in crate::poller) outcomes: Vec<(Operation, SourceOutcome)>,
}

impl Enriched {
    /// Drops data that a new configuration no longer requests.
    pub(in crate::poller) fn retain_needed(&mut self, config: &EvaluationConfig) {
        self.sources.retain(|call, _| is_on(*call, config));
        self.settings.retain(|call, _| is_on(*call, config));
        if !config.verify.supported_regions {
            self.supported_regions = None;
        }
        if !config.expect.from_load_balancers {
            self.balanced = None;
            self.pools_in_use = None;
        }
    }

    fn take_source<T>(
        &mut self,
        call: Operation,
        answer: &Result<Rows<T>, ApiError>,
        candidates: impl FnOnce(&Rows<T>) -> Candidates,
    ) {
        let answer = answer.as_ref();
        self.outcomes.push((call, SourceOutcome::of_rows(answer)));
        let source = answer.map(candidates).map_err(ApiError::clone);
        self.sources.insert(call, source);
    }

    fn take_setting(&mut self, call: Operation, answer: Result<bool, ApiError>) {
        self.outcomes.push((call, SourceOutcome::of(&answer)));
        self.settings.insert(call, answer);
    }

    fn take_regions(&mut self, answer: Result<Option<SupportedRegions>, ApiError>) {
        let outcome = match &answer {
            Ok(None) => SourceOutcome::NotAvailable,
            answer => SourceOutcome::of(answer),
        };
        self.outcomes.push((Operation::SupportedRegions, outcome));
        self.supported_regions = Some(answer);
    }
}

impl Enrichment {
    /// Reads the requested data, one call at a time.
    pub(in crate::poller) async fn run(&self, client: &Client) -> Enriched {
        let zone = &self.zone.id;
        let mut enriched = Enriched::default();
        for &call in &self.calls {
            let budget = self.urgency.call(BUDGET);
            match call {
                Operation::LoadBalancers => {
                    let answer = self.load_balancers(client, &budget, &mut enriched).await;
                    enriched.sources.insert(call, answer);
                }
                Operation::DnsRecords => {
                    // Include records that are not proxied, because hosts may resolve through them.
                    let records = client.dns_records(zone, &budget).await;
                    let known = enriched.balanced.as_ref().unwrap_or(&self.balanced);
                    let balanced = Arc::clone(known);
                    enriched.take_source(call, &records, |rows| of_records(rows, &balanced));
                    enriched.records = records.ok();
                }
                Operation::OriginRules => {
                    let rules = client.origin_rules(zone, &budget).await;
                    enriched.take_source(call, &rules, of_rules);
                }
                Operation::CloudConnector => {
                    let rules = client.cloud_connector(zone, &budget).await;
                    enriched.take_source(call, &rules, of_cloud_connector);
                }
                Operation::PageRules => {
                    let rules = client.page_rules(zone, &budget).await;
                    enriched.take_source(call, &rules, of_rules);
                }
                Operation::TieredCache => {
                    enriched.take_setting(call, client.tiered_cache(zone, &budget).await);
                }
                Operation::SmartTieredCache => {
                    enriched.take_setting(call, client.smart_tiered_cache(zone, &budget).await);
                }
                _ => enriched.take_regions(client.supported_regions(zone, &budget).await),
            }
        }
        enriched
    }

    /// The origins of the pools that the zone's load balancers use.
    async fn load_balancers(
        &self,
        client: &Client,
        budget: &CallBudget,
        enriched: &mut Enriched,
    ) -> Result<Candidates, ApiError> {
        let balancers = client.load_balancers(&self.zone.id, budget).await;
        let outcome = SourceOutcome::of_rows(balancers.as_ref());
        enriched.outcomes.push((Operation::LoadBalancers, outcome));
        let balancers = balancers?;
        enriched.balanced = Some(Arc::new(balanced_names(&balancers.rows)));
        let ids = enriched.pools_in_use.insert(pools_in_use(&balancers.rows));
        let (outcome, candidates) = if ids.is_empty() {
            (SourceOutcome::NotNeeded, Ok(Candidates::default()))
        } else {
            let pools = self.pools(client, budget).await;
            let outcome = SourceOutcome::of_rows(pools.as_deref());
            (outcome, pools.map(|pools| of_pools(&pools, ids)))
        };
        enriched
            .outcomes
            .push((Operation::LoadBalancerPools, outcome));
        let mut candidates = candidates?;
        candidates.has_unreadable |= !balancers.is_complete();
        Ok(candidates)
    }

    async fn pools(&self, client: &Client, budget: &CallBudget) -> Pools {
        let Some(owner) = &self.zone.owner else {
            let (operation, reason) = (Operation::LoadBalancerPools, Reason::NotFound);
            let detail = "the API does not say which account owns the zone";
            return Err(ApiError::new(operation, reason, detail));
        };
        let age = self.pools_age;
        self.pools.get(client, owner, age, budget).await
    }
}
