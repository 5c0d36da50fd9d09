//! Where a zone's origins are named: DNS records and load balancer pools.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, Interner, lenient};
use super::listing::Listing;
use super::zones::unique;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{OriginIp, ZoneId};

/// What a record or a pool's origin points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginTarget {
    /// An address.
    Address(OriginIp),
    /// A host name, or anything else that is no address.
    Host(String),
}

impl From<String> for OriginTarget {
    fn from(text: String) -> Self {
        OriginIp::parse(&text).map_or(Self::Host(text), Self::Address)
    }
}

/// A proxied DNS record that names an origin: A, AAAA or CNAME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// The record's identifier.
    pub id: String,
    /// The record's name.
    pub name: String,
    /// What it points to.
    pub target: OriginTarget,
}

/// A load balancer pool of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The identifier that load balancers name.
    pub id: String,
    /// Whether it is in use.
    pub enabled: bool,
    /// Its origins.
    pub origins: Vec<PoolOrigin>,
}

/// An origin of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOrigin {
    /// Whether it is in use.
    pub enabled: bool,
    /// What it points to.
    pub target: OriginTarget,
    /// Whether it is reached through a virtual network, so that its address is private.
    pub in_virtual_network: bool,
}

impl Client {
    /// The proxied A, AAAA and CNAME records of a zone. Rows that cannot be read are left out.
    pub async fn dns_records(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Vec<DnsRecord>, ApiError> {
        let mut url = self.url(&["zones", zone.as_str(), "dns_records"]);
        url.query_pairs_mut().append_pair("proxied", "true");
        let (records, rejected) = self.list::<DnsListing>(&url, call).await?;
        if rejected.count > 0 {
            tracing::debug!(
                account = %self.account(),
                zone_id = %zone,
                count = rejected.count,
                examples = ?rejected.examples,
                "some DNS records cannot be read and are left out"
            );
        }
        Ok(records)
    }

    /// The identifiers of the pools that the zone's load balancers name, in whatever role.
    pub async fn load_balancers(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<BTreeSet<String>, ApiError> {
        let request = Request {
            operation: Operation::LoadBalancers,
            url: &self.url(&["zones", zone.as_str(), "load_balancers"]),
            expected: |_| false,
        };
        let page = self.get(request, call, |body| envelope::page(body, read_balancer));
        Ok(page.await?.rows.into_iter().flatten().collect())
    }

    /// The pools of the Cloudflare account `owner`. Rows that cannot be read are left out.
    pub async fn load_balancer_pools(
        &self,
        owner: &str,
        call: &CallBudget,
    ) -> Result<Vec<Pool>, ApiError> {
        let request = Request {
            operation: Operation::LoadBalancerPools,
            url: &self.url(&["accounts", owner, "load_balancers", "pools"]),
            expected: |_| false,
        };
        let page = self.get(request, call, |body| envelope::page(body, read_pool));
        Ok(page.await?.rows)
    }
}

pub(super) struct DnsListing;

#[derive(Deserialize)]
struct DnsRow {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    r#type: String,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    proxied: Option<bool>,
}

impl Listing for DnsListing {
    const OPERATION: Operation = Operation::DnsRecords;
    /// The API takes more; an answer with so many stays well below the bound of a body.
    const PER_PAGE: u64 = 5000;
    /// Half a million records.
    const MAX_PAGES: u64 = 100;
    /// `None` stands for a record that names no origin.
    type Row = (String, Option<DnsRecord>);
    type Key = String;
    type Output = Vec<DnsRecord>;

    fn read(row: &RawValue, _: &mut Interner) -> Result<Self::Row, String> {
        let row: DnsRow =
            serde_json::from_str(row.get()).map_err(|_| "no record with a type".to_owned())?;
        let names_an_origin = matches!(row.r#type.as_str(), "A" | "AAAA" | "CNAME");
        // Proxied records alone were asked for.
        let is_proxied = row.proxied.unwrap_or(true);
        let name = row.name.unwrap_or_default();
        let content = row.content.unwrap_or_default();
        // What a record says stands for an identifier that it lacks.
        let id = row
            .id
            .unwrap_or_else(|| format!("{} {name} {content}", row.r#type));
        let record = (names_an_origin && is_proxied && !content.is_empty()).then(|| DnsRecord {
            id: id.clone(),
            name,
            target: content.into(),
        });
        Ok((id, record))
    }

    fn key((id, _): &Self::Row) -> String {
        id.clone()
    }

    fn collect(rows: Vec<Self::Row>) -> Result<Vec<DnsRecord>, String> {
        let rows = unique(rows, Self::key)?;
        Ok(rows.into_iter().filter_map(|(_, record)| record).collect())
    }
}

/// The pools of a load balancer; its rules can name others.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the API's")]
struct Pools {
    #[serde(default, deserialize_with = "lenient")]
    default_pools: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    fallback_pool: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    region_pools: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, deserialize_with = "lenient")]
    country_pools: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, deserialize_with = "lenient")]
    pop_pools: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default, deserialize_with = "lenient")]
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(default, deserialize_with = "lenient")]
    overrides: Option<Box<Pools>>,
}

impl Pools {
    fn ids(self) -> Vec<String> {
        let by_place = [self.region_pools, self.country_pools, self.pop_pools];
        let rules = self.rules.into_iter().flatten();
        self.default_pools
            .into_iter()
            .flatten()
            .chain(self.fallback_pool)
            .chain(
                by_place
                    .into_iter()
                    .flatten()
                    .flat_map(BTreeMap::into_values)
                    .flatten(),
            )
            .chain(
                rules
                    .filter_map(|rule| rule.overrides)
                    .flat_map(|pools| pools.ids()),
            )
            .filter(|id| !id.is_empty())
            .collect()
    }
}

pub(super) fn read_balancer(row: &RawValue) -> Result<Vec<String>, String> {
    serde_json::from_str::<Pools>(row.get())
        .map(Pools::ids)
        .map_err(|_| "no load balancer".to_owned())
}

#[derive(Deserialize)]
struct PoolRow {
    id: String,
    #[serde(default, deserialize_with = "lenient")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    origins: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct OriginRow {
    address: String,
    #[serde(default, deserialize_with = "lenient")]
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    virtual_network_id: Option<String>,
}

pub(super) fn read_pool(row: &RawValue) -> Result<Pool, String> {
    let row: PoolRow = serde_json::from_str(row.get()).map_err(|_| "no pool".to_owned())?;
    let origins = row.origins.unwrap_or_default();
    Ok(Pool {
        id: row.id,
        enabled: row.enabled.unwrap_or(true),
        origins: origins
            .into_iter()
            .filter_map(|origin| {
                // `lenient` reads from the text of a document, so the origin is read as one.
                serde_json::from_str::<OriginRow>(&origin.to_string()).ok()
            })
            .map(|origin| PoolOrigin {
                enabled: origin.enabled.unwrap_or(true),
                target: origin.address.into(),
                in_virtual_network: origin.virtual_network_id.is_some_and(|id| !id.is_empty()),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn pools_are_found_in_every_role() {
        let mut ids = read_balancer(raw(
            r#"{"id": "lb", "default_pools": ["a", "b"], "fallback_pool": "c",
                "region_pools": {"WNAM": ["d"]}, "country_pools": {"GB": ["e"]},
                "pop_pools": {"LAX": ["f"]},
                "rules": [{"overrides": {"default_pools": ["g"], "region_pools": {"ENAM": ["h"]}}},
                          {"fixed_response": {}}]}"#,
        ))
        .unwrap();
        ids.sort();
        assert_eq!(ids, ["a", "b", "c", "d", "e", "f", "g", "h"]);
        assert!(
            read_balancer(raw(r#"{"default_pools":null,"rules":7}"#))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_pool_with_its_origins() {
        let pool = read_pool(raw(
            r#"{"id": "p", "name": "x", "enabled": true, "origins": [
                {"name": "1", "address": "192.0.2.1", "enabled": true},
                {"name": "2", "address": "origin.example.com", "enabled": false},
                {"name": "3", "address": "10.0.0.1", "virtual_network_id": "v"},
                {"name": "no address"}]}"#,
        ))
        .unwrap();
        let [first, second, third] = &pool.origins[..] else {
            panic!("{pool:?}")
        };
        let ip = OriginIp::parse("192.0.2.1").unwrap();
        assert_eq!(first.target, OriginTarget::Address(ip));
        assert!(first.enabled && !first.in_virtual_network);
        assert_eq!(
            second.target,
            OriginTarget::Host("origin.example.com".to_owned())
        );
        assert!(!second.enabled);
        assert!(third.enabled && third.in_virtual_network);
    }

    #[test]
    fn only_proxied_address_and_cname_records_name_an_origin() {
        let target = |kind: &str, content: &str, proxied: bool| {
            let json = format!(
                r#"{{"id":"i","name":"n","type":"{kind}","content":"{content}","proxied":{proxied}}}"#
            );
            let (_, record) = DnsListing::read(raw(&json), &mut Interner::default()).unwrap();
            record.map(|record| record.target)
        };
        let ip = OriginIp::parse("2001:db8::1").unwrap();
        assert_eq!(
            target("AAAA", "2001:DB8::1", true),
            Some(OriginTarget::Address(ip))
        );
        assert_eq!(target("A", "192.0.2.1", false), None);
        assert_eq!(target("TXT", "192.0.2.1", true), None);
        assert_eq!(
            target("CNAME", "example.net", true),
            Some(OriginTarget::Host("example.net".to_owned()))
        );
    }
}
