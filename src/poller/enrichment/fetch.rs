//! Reads the other data of a zone: DNS records, load balancers, rules, Tiered Cache settings and
//! supported regions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pool_cache::PoolCache;
use crate::cloudflare::{
    ApiError, CallBudget, Client, CloudConnectorRule, DnsRecord, LoadBalancer, Operation,
    OriginTarget, Pool, Reason, RecordScope, Rows, StorageProvider,
};
use crate::domain::{PoolId, RecordName, Zone, ZoneId};
use crate::findings::{
    Candidates, ExpectSettings, LeftOutReason, SupportedRegions, VerifySettings,
};
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

/// A kind of rules that change the origin of requests. Each has its own call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::poller) enum RuleKind {
    OriginRules,
    CloudConnector,
    PageRules,
}

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

/// The data that was read; `None` if it was not requested.
#[derive(Debug, Default)]
pub(in crate::poller) struct Enriched {
    pub(in crate::poller) dns: Option<Result<Candidates, ApiError>>,
    /// All records of the zone.
    pub(in crate::poller) records: Option<Vec<DnsRecord>>,
    pub(in crate::poller) load_balancers: Option<Result<Candidates, ApiError>>,
    /// The names that load balancers serve.
    pub(in crate::poller) balanced: Option<Arc<BTreeSet<RecordName>>>,
    /// The pools that load balancers use.
    pub(in crate::poller) pools_in_use: Option<BTreeSet<PoolId>>,
    /// The origins in each kind of rules.
    pub(in crate::poller) rules: Vec<(RuleKind, Result<Candidates, ApiError>)>,
    pub(in crate::poller) tiered_cache: Option<Result<bool, ApiError>>,
    pub(in crate::poller) smart_tiered_cache: Option<Result<bool, ApiError>>,
    /// The inner value is `None` if this zone does not return the regions.
    pub(in crate::poller) supported_regions: Option<Result<Option<SupportedRegions>, ApiError>>,
}

impl Enriched {
    /// The errors of failed calls.
    pub(in crate::poller) fn failures(&self) -> impl Iterator<Item = &ApiError> {
        let origins = [self.dns.as_ref(), self.load_balancers.as_ref()].map(failure);
        let settings = [self.tiered_cache.as_ref(), self.smart_tiered_cache.as_ref()].map(failure);
        let regions = failure(self.supported_regions.as_ref());
        let all = origins.into_iter().chain(settings).chain([regions]);
        let rules = self.rules.iter();
        all.flatten()
            .chain(rules.filter_map(|(_, answer)| answer.as_ref().err()))
    }

    /// The calls for origins that returned rows which could not be read.
    pub(in crate::poller) fn unreadable(&self) -> impl Iterator<Item = Operation> {
        let sources = [
            (Operation::DnsRecords, &self.dns),
            (Operation::LoadBalancers, &self.load_balancers),
        ];
        let sources = sources
            .into_iter()
            .filter_map(|(operation, answer)| Some((operation, answer.as_ref()?)));
        let rules = self.rules.iter();
        let rules = rules.map(|(kind, answer)| (kind.operation(), answer));
        sources
            .chain(rules)
            .filter(|(_, answer)| answer.as_ref().is_ok_and(|read| read.has_unreadable))
            .map(|(operation, _)| operation)
    }

    /// Whether reading a setting failed for a transient reason, so that a retry may succeed soon.
    pub(in crate::poller) fn has_transient_settings_failure(&self) -> bool {
        let settings = [self.tiered_cache.as_ref(), self.smart_tiered_cache.as_ref()];
        let mut failures = settings.into_iter().filter_map(failure);
        failures.any(ApiError::is_transient)
    }

    /// Whether reading rules failed for a transient reason.
    pub(in crate::poller) fn has_transient_rules_failure(&self) -> bool {
        let mut failures = self
            .rules
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().err());
        failures.any(ApiError::is_transient)
    }

    /// Drops data that a new configuration no longer requests.
    pub(in crate::poller) fn retain_wanted(
        &mut self,
        expect: &ExpectSettings,
        verify: VerifySettings,
    ) {
        if !expect.from_dns {
            self.dns = None;
            self.records = None;
        }
        if !expect.from_load_balancers {
            self.load_balancers = None;
            self.balanced = None;
            self.pools_in_use = None;
        }
        if !expect.from_rules {
            self.rules.clear();
        }
        if !verify.tiered_cache {
            self.tiered_cache = None;
            self.smart_tiered_cache = None;
        }
        if !verify.supported_regions {
            self.supported_regions = None;
        }
    }
}

fn failure<T>(answer: Option<&Result<T, ApiError>>) -> Option<&ApiError> {
    answer.and_then(|answer| answer.as_ref().err())
}

/// Reads the requested data, one call at a time.
pub(in crate::poller) async fn run(enrichment: Enrichment) -> Enriched {
    let Enrichment {
        client,
        zone,
        wanted,
        urgency,
        ..
    } = &enrichment;
    let budget = || urgency.call(BUDGET);
    let mut enriched = Enriched::default();
    if wanted.supported_regions {
        enriched.supported_regions = Some(client.supported_regions(&zone.id, &budget()).await);
    }
    if wanted.load_balancers {
        let call = budget();
        let balancers = client.load_balancers(&zone.id, &call).await;
        if let Ok(balancers) = &balancers {
            enriched.balanced = Some(Arc::new(balanced_names(&balancers.rows)));
            enriched.pools_in_use = Some(pools_in_use(&balancers.rows));
        }
        enriched.load_balancers = Some(match balancers {
            Ok(balancers) => enrichment.pools(&balancers, &call).await,
            Err(error) => Err(error),
        });
    }
    if wanted.dns {
        let call = budget();
        // Include records that are not proxied, because hosts may resolve through them.
        let records = client.dns_records(&zone.id, RecordScope::All, &call);
        let balanced = enriched.balanced.as_ref().unwrap_or(&enrichment.balanced);
        let records = records.await;
        enriched.dns = Some(match records {
            Ok(records) => {
                let candidates = of_records(&records, balanced);
                enriched.records = Some(records.rows);
                Ok(candidates)
            }
            Err(error) => Err(error),
        });
    }
    if wanted.rules {
        for kind in RuleKind::ALL {
            let answer = kind.read(client, &zone.id, &budget()).await;
            enriched.rules.push((kind, answer));
        }
    }
    if wanted.tiered_cache {
        enriched.tiered_cache = Some(client.tiered_cache(&zone.id, &budget()).await);
        enriched.smart_tiered_cache = Some(client.smart_tiered_cache(&zone.id, &budget()).await);
    }
    enriched
}

impl RuleKind {
    /// Every kind.
    pub(in crate::poller) const ALL: [Self; 3] =
        [Self::OriginRules, Self::CloudConnector, Self::PageRules];

    pub(in crate::poller) fn operation(self) -> Operation {
        match self {
            Self::OriginRules => Operation::OriginRules,
            Self::CloudConnector => Operation::CloudConnector,
            Self::PageRules => Operation::PageRules,
        }
    }

    async fn read(
        self,
        client: &Client,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Candidates, ApiError> {
        match self {
            Self::OriginRules => client.origin_rules(zone, call).await.map(of_rules),
            Self::PageRules => client.page_rules(zone, call).await.map(of_rules),
            Self::CloudConnector => {
                let rules = client.cloud_connector(zone, call).await?;
                Ok(of_cloud_connector(rules))
            }
        }
    }
}

fn of_rules(rules: Rows<OriginTarget>) -> Candidates {
    let mut candidates = none_of(&rules);
    for target in rules.rows {
        add(&mut candidates, target);
    }
    candidates
}

/// The hosts of storage services. Cloudflare's R2 has no origin address.
fn of_cloud_connector(rules: Rows<CloudConnectorRule>) -> Candidates {
    let mut candidates = none_of(&rules);
    for rule in rules.rows {
        match rule.host {
            OriginTarget::Host(host) if rule.provider == StorageProvider::R2 => {
                candidates.leave_out_host(host, LeftOutReason::NoOriginAddress);
            }
            target => add(&mut candidates, target),
        }
    }
    candidates
}

impl Enrichment {
    async fn pools(
        &self,
        balancers: &Rows<LoadBalancer>,
        call: &CallBudget,
    ) -> Result<Candidates, ApiError> {
        let ids = pools_in_use(&balancers.rows);
        match &self.zone.owner {
            _ if ids.is_empty() => Ok(none_of(balancers)),
            Some(owner) => {
                let pools = self
                    .pools
                    .get(&self.client, owner, self.pools_age, call)
                    .await?;
                let mut candidates = of_pools(&pools, &ids);
                candidates.has_unreadable |= !balancers.is_complete();
                Ok(candidates)
            }
            None => Err(ApiError {
                operation: Operation::LoadBalancerPools,
                reason: Reason::NotFound,
                detail: "the API does not say which account owns the zone".to_owned(),
                status: None,
                codes: Vec::new(),
            }),
        }
    }
}

/// The addresses and hosts of proxied records. A record is unused if a load balancer serves its
/// name, and its content is not an origin if another product manages it.
fn of_records(records: &Rows<DnsRecord>, balanced: &BTreeSet<RecordName>) -> Candidates {
    let mut candidates = none_of(records);
    let is_hidden = |name: &RecordName| balanced.contains(name);
    for record in &records.rows {
        if !record.proxied || record.name.as_ref().is_some_and(is_hidden) {
            continue;
        }
        let unusable = if record.is_workers {
            Some(LeftOutReason::Worker)
        } else if record.is_read_only {
            Some(LeftOutReason::ReadOnly)
        } else {
            None
        };
        match (unusable, record.target.clone()) {
            (None, target) => add(&mut candidates, target),
            (Some(reason), OriginTarget::Address(ip)) => candidates.leave_out_address(ip, reason),
            (Some(reason), OriginTarget::Host(host)) => candidates.leave_out_host(host, reason),
        }
    }
    candidates
}

/// The names that enabled load balancers serve.
fn balanced_names(balancers: &[LoadBalancer]) -> BTreeSet<RecordName> {
    let enabled = balancers.iter().filter(|row| row.enabled);
    enabled.filter_map(|row| row.name.clone()).collect()
}

/// The pools of enabled, proxied load balancers.
fn pools_in_use(balancers: &[LoadBalancer]) -> BTreeSet<PoolId> {
    let in_use = balancers.iter().filter(|row| row.enabled && row.proxied);
    in_use.flat_map(|row| row.pools.iter().cloned()).collect()
}

/// The enabled origins of those pools in `ids` that are enabled.
pub(super) fn of_pools(pools: &Rows<Pool>, ids: &BTreeSet<PoolId>) -> Candidates {
    let mut candidates = none_of(pools);
    let pools = pools
        .rows
        .iter()
        .filter(|pool| pool.enabled && ids.contains(&pool.id));
    let origins = pools
        .flat_map(|pool| &pool.origins)
        .filter(|origin| origin.enabled);
    for origin in origins {
        match &origin.target {
            OriginTarget::Address(ip) if origin.in_virtual_network => {
                candidates.leave_out_address(*ip, LeftOutReason::VirtualNetwork);
            }
            target => add(&mut candidates, target.clone()),
        }
    }
    candidates
}

/// No candidates yet, of a source with these rows.
fn none_of<T>(rows: &Rows<T>) -> Candidates {
    Candidates {
        has_unreadable: !rows.is_complete(),
        ..Candidates::default()
    }
}

fn add(candidates: &mut Candidates, target: OriginTarget) {
    match target {
        OriginTarget::Address(ip) => {
            candidates.addresses.insert(ip);
        }
        OriginTarget::Host(host) => candidates.add_host(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::{PoolOrigin, RejectedRows};
    use crate::domain::RecordName;

    fn target(text: &str) -> OriginTarget {
        OriginTarget::parse(text).unwrap()
    }

    fn pool_id(text: &str) -> PoolId {
        PoolId::parse(text).unwrap()
    }

    fn rows<T>(rows: Vec<T>) -> Rows<T> {
        Rows {
            rows,
            ..Rows::default()
        }
    }

    fn shown(candidates: &Candidates) -> (Vec<String>, Vec<String>, Vec<&'static str>) {
        let addresses = candidates.addresses.iter();
        let left_out = candidates.left_out.iter();
        (
            addresses.map(ToString::to_string).collect(),
            candidates.hosts.iter().map(ToString::to_string).collect(),
            left_out.map(|unusable| unusable.reason.as_str()).collect(),
        )
    }

    #[test]
    fn records_name_addresses_and_hosts_once() {
        let record = |text| DnsRecord {
            name: RecordName::parse("www.example.com"),
            target: target(text),
            proxied: true,
            is_workers: false,
            is_read_only: false,
        };
        let records = rows(vec![
            record("192.0.2.2"),
            record("elsewhere.example"),
            record("192.0.2.1"),
            record("::ffff:192.0.2.2"),
        ]);
        let expected = ["192.0.2.1", "192.0.2.2"].map(str::to_owned).to_vec();
        assert_eq!(
            shown(&of_records(&records, &BTreeSet::new())),
            (expected, vec!["elsewhere.example".to_owned()], vec![])
        );
    }

    #[test]
    fn only_enabled_origins_of_enabled_pools_that_are_used_count() {
        let origin = |target, enabled, in_virtual_network| PoolOrigin {
            enabled,
            target,
            in_virtual_network,
        };
        let pool = |id: &str, enabled, origins| Pool {
            id: pool_id(id),
            enabled,
            origins,
        };
        let pools = rows(vec![
            pool(
                "used",
                true,
                vec![
                    origin(target("192.0.2.1"), true, false),
                    origin(target("192.0.2.2"), false, false),
                    origin(target("10.0.0.1"), true, true),
                    origin(target("origin.example"), true, false),
                    origin(target("off.example"), false, false),
                ],
            ),
            pool("off", false, vec![origin(target("192.0.2.3"), true, false)]),
            pool(
                "of others",
                true,
                vec![origin(target("192.0.2.4"), true, false)],
            ),
        ]);
        let ids = ["used", "off", "unknown"].map(pool_id).into();
        let (ips, hosts, left_out) = shown(&of_pools(&pools, &ids));
        assert_eq!(ips, ["192.0.2.1"]);
        assert_eq!(hosts, ["origin.example"]);
        assert_eq!(left_out, ["virtual_network"]);
    }

    #[test]
    fn a_row_that_cannot_be_read_may_name_more() {
        fn unreadable<T>() -> Rows<T> {
            Rows {
                rejected: RejectedRows {
                    count: 1,
                    examples: Vec::new(),
                },
                ..Rows::default()
            }
        }
        let none = BTreeSet::new();
        assert!(!of_records(&rows(vec![]), &none).has_unreadable);
        assert!(of_records(&unreadable(), &none).has_unreadable);
        assert!(of_rules(unreadable()).has_unreadable);
        assert!(of_cloud_connector(unreadable()).has_unreadable);
        assert!(of_pools(&unreadable(), &BTreeSet::new()).has_unreadable);
    }

    #[test]
    fn every_failure_is_reported() {
        let error = |operation| ApiError {
            operation,
            reason: Reason::Timeout,
            detail: String::new(),
            status: None,
            codes: Vec::new(),
        };
        let enriched = Enriched {
            dns: Some(Err(error(Operation::DnsRecords))),
            load_balancers: Some(Ok(Candidates::default())),
            smart_tiered_cache: Some(Err(error(Operation::SmartTieredCache))),
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
