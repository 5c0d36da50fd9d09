//! Load balancers of a zone, and pools of the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use super::envelope::{self, Interner, Lenient, RejectedRows, Rows};
use super::list::ListCall;
use super::origin_target::OriginTarget;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{PoolId, RecordName, ZoneId};

/// A load balancer of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// The host name that it serves, whose DNS record it overrides. `None` if it is neither a host
    /// name nor a wildcard.
    pub name: Option<RecordName>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether Cloudflare proxies it; if not, nothing is cached.
    pub proxied: bool,
    /// All pools that it names: as default or fallback, for a region, country or data centre, in a
    /// rule or in a pool set. Disabled rules and pool sets are ignored.
    pub pools: BTreeSet<PoolId>,
}

/// A load balancer pool of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The identifier that load balancers use.
    pub id: PoolId,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its origins.
    pub origins: Vec<PoolOrigin>,
}

/// An origin of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOrigin {
    /// Whether it is enabled.
    pub enabled: bool,
    /// What it points to.
    pub target: OriginTarget,
    /// Whether it is in a virtual network, so that its address is private.
    pub in_virtual_network: bool,
}

impl Client {
    /// The load balancers of a zone.
    pub async fn load_balancers(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Rows<LoadBalancer>, ApiError> {
        let url = self.zone_url(zone, "load_balancers");
        self.list::<ListLoadBalancers, _>(&url, call, Ok).await
    }

    /// The pools of the Cloudflare account `owner`. Unreadable origins are left out, and counted as
    /// rejected too.
    pub async fn load_balancer_pools(
        &self,
        owner: &str,
        call: &CallBudget,
    ) -> Result<Rows<Pool>, ApiError> {
        let url = self.url(&["accounts", owner, "load_balancers", "pools"]);
        let list = self.list::<ListPools, _>(&url, call, Ok).await?;
        let (rows, rejected_origins): (_, Vec<_>) = list.rows.into_iter().unzip();
        let mut rejected = list.rejected;
        for origins in rejected_origins {
            rejected.append(origins);
        }
        Ok(Rows { rows, rejected })
    }
}

pub(super) struct ListLoadBalancers;

#[derive(Deserialize)]
struct BalancerRow {
    id: String,
    name: Lenient<String>,
    enabled: Lenient<bool>,
    proxied: Lenient<bool>,
    #[serde(flatten)]
    pools: PoolNames,
    rules: Option<Vec<Override>>,
    pool_sets: Option<Vec<Override>>,
}

/// A rule or a pool set.
#[derive(Deserialize)]
struct Override {
    disabled: Option<bool>,
    overrides: Option<PoolNames>,
}

/// Every field that names pools. A field of another type invalidates the row, so that no pool is
/// missed silently.
#[derive(Default, Deserialize)]
struct PoolNames {
    default_pools: Option<Vec<String>>,
    fallback_pool: Option<String>,
    region_pools: Option<BTreeMap<String, Vec<String>>>,
    country_pools: Option<BTreeMap<String, Vec<String>>>,
    pop_pools: Option<BTreeMap<String, Vec<String>>>,
    pools: Option<Vec<String>>,
}

impl PoolNames {
    fn ids(self) -> impl Iterator<Item = String> {
        let by_location = [self.region_pools, self.country_pools, self.pop_pools];
        let by_location = by_location.into_iter().flatten();
        let lists = [self.default_pools, self.pools].into_iter().flatten();
        lists
            .chain(by_location.flat_map(BTreeMap::into_values))
            .flatten()
            .chain(self.fallback_pool)
    }
}

impl ListCall for ListLoadBalancers {
    const OPERATION: Operation = Operation::LoadBalancers;
    type Row = LoadBalancer;
    type Key = String;

    fn read(row: &RawValue, _: &mut Interner) -> Result<(String, LoadBalancer), String> {
        let row: BalancerRow = envelope::row(row, "a load balancer as documented")?;
        let overrides = [row.rules, row.pool_sets].into_iter().flatten().flatten();
        let overrides = overrides
            .filter(|entry| !entry.disabled.unwrap_or(false))
            .filter_map(|entry| entry.overrides);
        let pools = row.pools.ids().chain(overrides.flat_map(PoolNames::ids));
        let balancer = LoadBalancer {
            name: row.name.0.as_deref().and_then(RecordName::parse),
            enabled: row.enabled.0.unwrap_or(true),
            proxied: row.proxied.0.unwrap_or(false),
            pools: pools.filter_map(|id| PoolId::parse(&id).ok()).collect(),
        };
        Ok((row.id, balancer))
    }
}

pub(super) struct ListPools;

#[derive(Deserialize)]
struct PoolRow<'a> {
    id: String,
    enabled: Lenient<bool>,
    disabled_at: Lenient<String>,
    #[serde(borrow)]
    origins: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct OriginRow {
    address: String,
    enabled: Lenient<bool>,
    disabled_at: Lenient<String>,
    virtual_network_id: Lenient<String>,
}

/// `disabled_at` is present only while a pool or origin is disabled (API reference, "Pools").
fn is_enabled(enabled: &Lenient<bool>, disabled_at: &Lenient<String>) -> bool {
    enabled.0.unwrap_or(true) && disabled_at.0.is_none()
}

fn read_origin(row: &RawValue) -> Result<PoolOrigin, String> {
    let row: OriginRow = envelope::row(row, "an origin with an address")?;
    let target = OriginTarget::parse(&row.address)
        .ok_or("the origin's address is neither an address nor a host name")?;
    Ok(PoolOrigin {
        enabled: is_enabled(&row.enabled, &row.disabled_at),
        target,
        in_virtual_network: row.virtual_network_id.0.is_some_and(|id| !id.is_empty()),
    })
}

impl ListCall for ListPools {
    const OPERATION: Operation = Operation::LoadBalancerPools;
    /// A pool, and its unreadable origins.
    type Row = (Pool, RejectedRows);
    type Key = PoolId;

    fn read(row: &RawValue, _: &mut Interner) -> Result<(PoolId, Self::Row), String> {
        let row: PoolRow<'_> = envelope::row(row, "a pool with an id")?;
        let mut origins = Rows::default();
        for origin in row.origins.into_iter().flatten() {
            origins.add(origin, read_origin(origin));
        }
        let pool = Pool {
            id: PoolId::parse(&row.id).map_err(|error| format!("the id {error}"))?,
            enabled: is_enabled(&row.enabled, &row.disabled_at),
            origins: origins.rows,
        };
        Ok((pool.id.clone(), (pool, origins.rejected)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{HostName, OriginIp};

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn balancer(json: &str) -> Result<LoadBalancer, String> {
        ListLoadBalancers::read(raw(json), &mut Interner::default()).map(|(_, row)| row)
    }

    #[test]
    fn pools_are_found_in_every_place() {
        let read = balancer(
            r#"{"id": "lb", "name": "*.www.example.com", "enabled": true, "proxied": true,
                "default_pools": ["a", "b"], "fallback_pool": "c",
                "region_pools": {"WNAM": ["d"]}, "country_pools": {"GB": ["e"]},
                "pop_pools": {"LAX": ["f"]},
                "rules": [{"overrides": {"default_pools": ["g"], "region_pools": {"ENAM": ["h"]},
                                         "pools": ["i"], "fallback_pool": "j"}},
                          {"fixed_response": {}},
                          {"disabled": true, "overrides": {"pools": ["off"]}}],
                "pool_sets": [{"disabled": false, "overrides": {"pools": ["k"],
                                                                "fallback_pool": "l"}},
                              {"disabled": true, "overrides": {"pools": ["off"]}}]}"#,
        )
        .unwrap();
        let ids: Vec<_> = read.pools.iter().map(PoolId::as_str).collect();
        assert_eq!(
            ids,
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
        );
        assert!(read.enabled && read.proxied);
        assert_eq!(read.name.unwrap().to_string(), "*.www.example.com");
    }

    #[test]
    fn a_load_balancer_may_lack_everything_but_its_id() {
        let read = balancer(r#"{"id": "lb", "default_pools": null, "fallback_pool": ""}"#).unwrap();
        assert!(read.enabled && !read.proxied && read.pools.is_empty());
        assert!(
            !balancer(r#"{"id": "lb", "enabled": false}"#)
                .unwrap()
                .enabled
        );
    }

    #[test]
    fn a_place_of_another_shape_is_not_overlooked() {
        for field in [
            r#""rules": 7"#,
            r#""default_pools": "a""#,
            r#""region_pools": {"WNAM": "a"}"#,
            r#""pool_sets": [{"overrides": {"pools": [{"id": "a"}]}}]"#,
        ] {
            assert!(balancer(&format!(r#"{{"id": "lb", {field}}}"#)).is_err());
        }
    }

    fn pool(json: &str) -> (Pool, RejectedRows) {
        ListPools::read(raw(json), &mut Interner::default())
            .unwrap()
            .1
    }

    #[test]
    fn a_pool_with_its_origins() {
        let (pool, rejected) = pool(
            r#"{"id": "p", "name": "x", "enabled": true, "origins": [
                {"name": "1", "address": "192.0.2.1", "enabled": true},
                {"name": "2", "address": "origin.example.com", "enabled": false},
                {"name": "3", "address": "10.0.0.1", "virtual_network_id": "v"},
                {"name": "no address"}]}"#,
        );
        let [first, second, third] = &pool.origins[..] else {
            panic!("{pool:?}")
        };
        let ip = OriginIp::parse("192.0.2.1").unwrap();
        assert_eq!(first.target, OriginTarget::Address(ip));
        assert!(first.enabled && !first.in_virtual_network);
        let host = HostName::parse("origin.example.com").unwrap();
        assert_eq!(second.target, OriginTarget::Host(host));
        assert!(!second.enabled);
        assert!(third.enabled && third.in_virtual_network);
        assert_eq!(rejected.count, 1);
    }

    #[test]
    fn what_was_disabled_at_some_time_is_disabled() {
        let (pool, _) = pool(
            r#"{"id": "p", "disabled_at": "2026-01-01T00:00:00Z", "origins": [
                {"address": "192.0.2.1", "enabled": true, "disabled_at": "2026-01-01T00:00:00Z"},
                {"address": "192.0.2.2", "disabled_at": null}]}"#,
        );
        let enabled: Vec<_> = pool.origins.iter().map(|origin| origin.enabled).collect();
        assert_eq!((pool.enabled, enabled), (false, vec![false, true]));
    }
}
