//! Paths and methods.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::answer::Failure;
use super::world::Permission;

/// The path prefix of every call of the API.
pub(super) const BASE_PATH: &str = "/client/v4";

/// A call of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `GET /zones`
    ListZones,
    /// `GET /zones/{zone_id}`
    GetZone,
    /// `GET /zones/{zone_id}/origin/cloud_regions`
    ListMappings,
    /// `GET /zones/{zone_id}/origin/cloud_regions/{origin_ip}`
    GetMapping,
    /// `PUT /zones/{zone_id}/origin/cloud_regions/{origin_ip}`
    PutMapping,
    /// `DELETE /zones/{zone_id}/origin/cloud_regions/{origin_ip}`
    DeleteMapping,
    /// `PUT /zones/{zone_id}/origin/cloud_regions/batch`
    PutBatch,
    /// `DELETE /zones/{zone_id}/origin/cloud_regions/batch`
    DeleteBatch,
    /// `GET /zones/{zone_id}/origin/cloud_regions/supported_regions`
    SupportedRegions,
    /// `GET /zones/{zone_id}/argo/tiered_caching`
    TieredCache,
    /// `PATCH /zones/{zone_id}/argo/tiered_caching`
    SetTieredCache,
    /// `GET /zones/{zone_id}/cache/tiered_cache_smart_topology_enable`
    SmartTieredCache,
    /// `PATCH /zones/{zone_id}/cache/tiered_cache_smart_topology_enable`
    SetSmartTieredCache,
    /// `GET /zones/{zone_id}/dns_records`
    DnsRecords,
    /// `GET /zones/{zone_id}/load_balancers`
    LoadBalancers,
    /// `GET /accounts/{account_id}/load_balancers/pools`
    LoadBalancerPools,
    /// `POST /zones/{zone_id}/dns_records`
    CreateDnsRecord,
    /// `PUT` and `PATCH /zones/{zone_id}/dns_records/{id}`
    ChangeDnsRecord,
    /// `DELETE /zones/{zone_id}/dns_records/{id}`
    DeleteDnsRecord,
    /// `POST /zones/{zone_id}/load_balancers`
    CreateLoadBalancer,
    /// `PUT` and `PATCH /zones/{zone_id}/load_balancers/{id}`
    ChangeLoadBalancer,
    /// `DELETE /zones/{zone_id}/load_balancers/{id}`
    DeleteLoadBalancer,
    /// `POST /accounts/{account_id}/load_balancers/pools`
    CreatePool,
    /// `PUT` and `PATCH /accounts/{account_id}/load_balancers/pools/{id}`
    ChangePool,
    /// `DELETE /accounts/{account_id}/load_balancers/pools/{id}`
    DeletePool,
    /// `GET /zones/{zone_id}/rulesets/phases/http_request_origin/entrypoint`
    OriginRules,
    /// `PUT /zones/{zone_id}/rulesets/phases/http_request_origin/entrypoint`
    SetOriginRules,
    /// `GET /zones/{zone_id}/cloud_connector/rules`
    CloudConnector,
    /// `PUT /zones/{zone_id}/cloud_connector/rules`
    SetCloudConnector,
    /// `GET /zones/{zone_id}/pagerules`
    PageRules,
    /// `POST /zones/{zone_id}/pagerules`
    CreatePageRule,
    /// `DELETE /zones/{zone_id}/pagerules/{id}`
    DeletePageRule,
    /// `GET /ips`
    CloudflareIps,
    /// `GET /accounts/{account_id}/logs/audit`
    AuditLog,
    /// `GET /user/tokens/verify`
    VerifyUserToken,
    /// `GET /accounts/{account_id}/tokens/verify`
    VerifyAccountToken,
}

impl Operation {
    /// The permission that a credential needs. Verifications need none.
    pub(super) fn permission(self) -> Option<Permission> {
        match self {
            Self::ListZones | Self::GetZone => Some(Permission::ZoneRead),
            Self::ListMappings
            | Self::GetMapping
            | Self::SupportedRegions
            | Self::TieredCache
            | Self::SmartTieredCache => Some(Permission::ZoneSettingsRead),
            Self::PutMapping
            | Self::DeleteMapping
            | Self::PutBatch
            | Self::DeleteBatch
            | Self::SetTieredCache
            | Self::SetSmartTieredCache => Some(Permission::ZoneSettingsWrite),
            Self::DnsRecords => Some(Permission::DnsRead),
            Self::LoadBalancers => Some(Permission::LoadBalancersRead),
            Self::LoadBalancerPools => Some(Permission::PoolsRead),
            Self::OriginRules => Some(Permission::OriginRulesRead),
            Self::CloudConnector => Some(Permission::CloudConnectorRead),
            Self::PageRules => Some(Permission::PageRulesRead),
            Self::CreateDnsRecord | Self::ChangeDnsRecord | Self::DeleteDnsRecord => {
                Some(Permission::DnsWrite)
            }
            Self::CreateLoadBalancer | Self::ChangeLoadBalancer | Self::DeleteLoadBalancer => {
                Some(Permission::LoadBalancersWrite)
            }
            Self::CreatePool | Self::ChangePool | Self::DeletePool => Some(Permission::PoolsWrite),
            Self::SetOriginRules
            | Self::SetCloudConnector
            | Self::CreatePageRule
            | Self::DeletePageRule => Some(Permission::RulesWrite),
            Self::AuditLog => Some(Permission::AccountSettingsRead),
            Self::CloudflareIps | Self::VerifyUserToken | Self::VerifyAccountToken => None,
        }
    }
}

/// A call and the objects that its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) operation: Operation,
    /// The identifier of the zone; empty if the path has none.
    pub(super) zone: Cow<'a, str>,
    /// The identifier of the account; empty if the path has none.
    pub(super) account: Cow<'a, str>,
    /// The object in the last segment: an address, a record, a pool, …
    pub(super) object: Cow<'a, str>,
}

/// Finds the call for a method and path.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Route<'a>, Failure> {
    let no_route = || Failure::no_route(path);
    let inner = path.strip_prefix(BASE_PATH).ok_or_else(no_route)?;
    let segments: Vec<Cow<'a, str>> = inner
        .strip_prefix('/')
        .ok_or_else(no_route)?
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let calls = calls(&names).ok_or_else(no_route)?;
    let Some((_, operation)) = calls.iter().find(|(allowed, _)| allowed == method) else {
        return Err(Failure::method_not_allowed(calls.iter().map(|(m, _)| m)));
    };
    let identifier = |kind: &str, at: usize| {
        let is_kind = names.first() == Some(&kind);
        segments
            .get(at)
            .filter(|_| is_kind)
            .cloned()
            .unwrap_or_default()
    };
    Ok(Route {
        operation: *operation,
        zone: identifier("zones", 1),
        account: identifier("accounts", 1),
        object: segments.last().cloned().unwrap_or_default(),
    })
}

/// The calls of a path, by method; `None` if the path does not belong to the API.
fn calls(path: &[&str]) -> Option<Vec<(Method, Operation)>> {
    use Operation as Op;

    let calls = match path {
        ["zones"] => vec![(Method::GET, Op::ListZones)],
        ["zones", _] => vec![(Method::GET, Op::GetZone)],
        ["zones", _, "origin", "cloud_regions"] => vec![(Method::GET, Op::ListMappings)],
        ["zones", _, "origin", "cloud_regions", "supported_regions"] => {
            vec![(Method::GET, Op::SupportedRegions)]
        }
        ["zones", _, "origin", "cloud_regions", "batch"] => vec![
            (Method::PUT, Op::PutBatch),
            (Method::DELETE, Op::DeleteBatch),
        ],
        ["zones", _, "origin", "cloud_regions", _] => vec![
            (Method::GET, Op::GetMapping),
            (Method::PUT, Op::PutMapping),
            (Method::DELETE, Op::DeleteMapping),
        ],
        ["zones", _, "argo", "tiered_caching"] => vec![
            (Method::GET, Op::TieredCache),
            (Method::PATCH, Op::SetTieredCache),
        ],
        ["zones", _, "cache", "tiered_cache_smart_topology_enable"] => vec![
            (Method::GET, Op::SmartTieredCache),
            (Method::PATCH, Op::SetSmartTieredCache),
        ],
        ["zones", _, "dns_records"] => vec![
            (Method::GET, Op::DnsRecords),
            (Method::POST, Op::CreateDnsRecord),
        ],
        ["zones", _, "dns_records", _] => vec![
            (Method::PUT, Op::ChangeDnsRecord),
            (Method::PATCH, Op::ChangeDnsRecord),
            (Method::DELETE, Op::DeleteDnsRecord),
        ],
        ["zones", _, "load_balancers"] => vec![
            (Method::GET, Op::LoadBalancers),
            (Method::POST, Op::CreateLoadBalancer),
        ],
        ["zones", _, "load_balancers", _] => vec![
            (Method::PUT, Op::ChangeLoadBalancer),
            (Method::PATCH, Op::ChangeLoadBalancer),
            (Method::DELETE, Op::DeleteLoadBalancer),
        ],
        ["accounts", _, "load_balancers", "pools"] => vec![
            (Method::GET, Op::LoadBalancerPools),
            (Method::POST, Op::CreatePool),
        ],
        ["accounts", _, "load_balancers", "pools", _] => vec![
            (Method::PUT, Op::ChangePool),
            (Method::PATCH, Op::ChangePool),
            (Method::DELETE, Op::DeletePool),
        ],
        [
            "zones",
            _,
            "rulesets",
            "phases",
            "http_request_origin",
            "entrypoint",
        ] => vec![
            (Method::GET, Op::OriginRules),
            (Method::PUT, Op::SetOriginRules),
        ],
        ["zones", _, "cloud_connector", "rules"] => vec![
            (Method::GET, Op::CloudConnector),
            (Method::PUT, Op::SetCloudConnector),
        ],
        ["zones", _, "pagerules"] => vec![
            (Method::GET, Op::PageRules),
            (Method::POST, Op::CreatePageRule),
        ],
        ["zones", _, "pagerules", _] => vec![(Method::DELETE, Op::DeletePageRule)],
        ["ips"] => vec![(Method::GET, Op::CloudflareIps)],
        ["accounts", _, "logs", "audit"] => vec![(Method::GET, Op::AuditLog)],
        ["accounts", _, "tokens", "verify"] => vec![(Method::GET, Op::VerifyAccountToken)],
        ["user", "tokens", "verify"] => vec![(Method::GET, Op::VerifyUserToken)],
        _ => return None,
    };
    Some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_method_mean_one_call() {
        let route = find(
            &Method::PUT,
            "/client/v4/zones/abc/origin/cloud_regions/2001%3Adb8%3A%3A1",
        )
        .unwrap();
        assert_eq!(route.operation, Operation::PutMapping);
        assert_eq!(route.zone, "abc");
        assert_eq!(route.object, "2001:db8::1");
        let route = find(&Method::GET, "/client/v4/accounts/abc/load_balancers/pools").unwrap();
        assert_eq!(route.operation, Operation::LoadBalancerPools);
        assert_eq!(route.account, "abc");
        assert_eq!(route.zone, "");
    }

    #[test]
    fn what_is_not_served_says_so() {
        let unknown = find(&Method::GET, "/client/v4/zones/abc/unknown").unwrap_err();
        assert_eq!(unknown.status, 400);
        let outside = find(&Method::GET, "/zones").unwrap_err();
        assert_eq!(outside.status, 400);
        let method = find(&Method::POST, "/client/v4/zones/abc/argo/tiered_caching").unwrap_err();
        assert_eq!(
            (method.status.as_u16(), method.allow.as_deref()),
            (405, Some("GET, PATCH"))
        );
    }
}
