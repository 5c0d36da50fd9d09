//! API errors, with one variant per decision that a caller makes.

use std::fmt;

/// An API call, as in the label `operation`.
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
    /// `GET /zones/{zone_id}/origin/cloud_regions/supported_regions`
    SupportedRegions,
    /// `GET /zones/{zone_id}/dns_records`
    DnsRecords,
    /// `GET /zones/{zone_id}/load_balancers`
    LoadBalancers,
    /// `GET /accounts/{account_id}/load_balancers/pools`
    LoadBalancerPools,
    /// `GET /zones/{zone_id}/rulesets/phases/http_request_origin/entrypoint`
    OriginRules,
    /// `GET /zones/{zone_id}/cloud_connector/rules`
    CloudConnector,
    /// `GET /zones/{zone_id}/pagerules`
    PageRules,
    /// `GET /ips`
    CloudflareIps,
    /// `GET /accounts/{account_id}/logs/audit`
    AuditLog,
    /// `GET /zones/{zone_id}/argo/tiered_caching`
    TieredCache,
    /// `GET /zones/{zone_id}/cache/tiered_cache_smart_topology_enable`
    SmartTieredCache,
    /// `GET /user/tokens/verify` and `GET /accounts/{account_id}/tokens/verify`
    VerifyToken,
}

impl Operation {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListZones => "list_zones",
            Self::GetZone => "get_zone",
            Self::ListMappings => "list_mappings",
            Self::GetMapping => "get_mapping",
            Self::SupportedRegions => "supported_regions",
            Self::DnsRecords => "dns_records",
            Self::LoadBalancers => "load_balancers",
            Self::LoadBalancerPools => "load_balancer_pools",
            Self::OriginRules => "origin_rules",
            Self::CloudConnector => "cloud_connector",
            Self::PageRules => "page_rules",
            Self::CloudflareIps => "cloudflare_ips",
            Self::AuditLog => "audit_log",
            Self::TieredCache => "tiered_cache",
            Self::SmartTieredCache => "smart_tiered_cache",
            Self::VerifyToken => "verify_token",
        }
    }

    /// Whether the call reads mappings or the regions that they can name.
    pub(super) fn is_about_mappings(self) -> bool {
        matches!(
            self,
            Self::ListMappings | Self::GetMapping | Self::SupportedRegions
        )
    }

    /// The permission that the call needs, as named in Cloudflare's dashboard; `None` if it needs
    /// none. The permission for mappings is a guess, because Cloudflare does not document it.
    pub fn permission(self) -> Option<&'static str> {
        match self {
            Self::ListZones | Self::GetZone => Some("Zone: Zone: Read"),
            Self::ListMappings
            | Self::GetMapping
            | Self::SupportedRegions
            | Self::TieredCache
            | Self::SmartTieredCache => Some("Zone: Zone Settings: Read"),
            Self::DnsRecords => Some("Zone: DNS: Read"),
            Self::LoadBalancers => Some("Zone: Load Balancers: Read"),
            Self::LoadBalancerPools => Some("Account: Load Balancing: Monitors and Pools: Read"),
            Self::OriginRules => Some("Zone: Origin Rules: Read"),
            Self::CloudConnector => Some("Zone: Cloud Connector: Read"),
            Self::PageRules => Some("Zone: Page Rules: Read"),
            Self::AuditLog => Some("Account: Account Settings: Read"),
            Self::CloudflareIps | Self::VerifyToken => None,
        }
    }
}

/// The class of a failure, as in the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No complete response in time.
    Timeout,
    /// No connection: refused, unreachable, or the name did not resolve.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// Any other transport failure: cut mid-body, or a redirect, which is never followed.
    Http,
    /// The credentials are rejected: 401, 400 with code 9106 or 10000, 400 with 6003 and 6111 (a
    /// malformed token), or 403 with 9109 and a message that calls the token invalid.
    Unauthorized,
    /// 403: the credentials lack a permission.
    Forbidden,
    /// 404.
    NotFound,
    /// Codes 7000 and 7003: Cloudflare does not serve this path for this zone.
    NoRoute,
    /// 429.
    RateLimited,
    /// Any other 4xx.
    ClientError,
    /// 5xx.
    ServerError,
    /// A complete body that is not the API's envelope, or corrupt gzip.
    Malformed,
    /// `success: false` with a 2xx status.
    Unsuccessful,
    /// The pages of one listing contradict each other.
    InconsistentPages,
    /// More bytes, pages or rows than any real response has.
    TooLarge,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Timeout,
        Self::Connect,
        Self::Tls,
        Self::Http,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::NoRoute,
        Self::RateLimited,
        Self::ClientError,
        Self::ServerError,
        Self::Malformed,
        Self::Unsuccessful,
        Self::InconsistentPages,
        Self::TooLarge,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NoRoute => "no_route",
            Self::RateLimited => "rate_limited",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::Malformed => "malformed",
            Self::Unsuccessful => "unsuccessful",
            Self::InconsistentPages => "inconsistent_pages",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call, described for the operator. Contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", operation.as_str())]
pub struct ApiError {
    /// The call.
    pub operation: Operation,
    /// The class of the failure.
    pub reason: Reason,
    /// What happened and, if useful, what to do.
    pub detail: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// The API's own codes, if the response had any.
    pub codes: Vec<u32>,
}

impl ApiError {
    /// Whether the failure is transient.
    pub fn is_transient(&self) -> bool {
        match self.reason {
            Reason::Timeout
            | Reason::Connect
            | Reason::Tls
            | Reason::Http
            | Reason::RateLimited
            | Reason::ServerError
            | Reason::Malformed
            | Reason::Unsuccessful
            | Reason::InconsistentPages => true,
            Reason::Unauthorized
            | Reason::Forbidden
            | Reason::NotFound
            | Reason::NoRoute
            | Reason::ClientError
            | Reason::TooLarge => false,
        }
    }

    /// Whether the response has this API code.
    pub fn has_code(&self, code: u32) -> bool {
        self.codes.contains(&code)
    }
}
