//! API errors, with one variant per decision that a caller makes.

use crate::words::words;

words! {
    /// An API call, as in the label `operation`.
    pub enum Operation {
        /// `GET /zones`
        ListZones = "list_zones",
        /// `GET /zones/{zone_id}`
        GetZone = "get_zone",
        /// `GET /zones/{zone_id}/origin/cloud_regions`
        ListMappings = "list_mappings",
        /// `GET /zones/{zone_id}/origin/cloud_regions/{origin_ip}`
        GetMapping = "get_mapping",
        /// `GET /zones/{zone_id}/origin/cloud_regions/supported_regions`
        SupportedRegions = "supported_regions",
        /// `GET /zones/{zone_id}/dns_records`
        DnsRecords = "dns_records",
        /// `GET /zones/{zone_id}/load_balancers`
        LoadBalancers = "load_balancers",
        /// `GET /accounts/{account_id}/load_balancers/pools`
        LoadBalancerPools = "load_balancer_pools",
        /// `GET /zones/{zone_id}/rulesets/phases/http_request_origin/entrypoint`
        OriginRules = "origin_rules",
        /// `GET /zones/{zone_id}/cloud_connector/rules`
        CloudConnector = "cloud_connector",
        /// `GET /zones/{zone_id}/pagerules`
        PageRules = "page_rules",
        /// `GET /ips`
        CloudflareIps = "cloudflare_ips",
        /// `GET /accounts/{account_id}/logs/audit`
        AuditLog = "audit_log",
        /// `GET /zones/{zone_id}/argo/tiered_caching`
        TieredCache = "tiered_cache",
        /// `GET /zones/{zone_id}/cache/tiered_cache_smart_topology_enable`
        SmartTieredCache = "smart_tiered_cache",
        /// `GET /user/tokens/verify` and `GET /accounts/{account_id}/tokens/verify`
        VerifyToken = "verify_token",
    }
}

impl Operation {
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

words! {
    /// The class of a failure, as in the label `reason`.
    pub enum Reason {
        /// No complete response in time.
        Timeout = "timeout",
        /// No connection: refused, unreachable, or the name did not resolve.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// Any other transport failure: cut mid-body, or a redirect, which is never followed.
        Http = "http",
        /// The credentials are rejected: 401, 400 with code 9106 or 10000, 400 with 6003 and 6111 (a
        /// malformed token), or 403 with 9109 and a message that calls the token invalid.
        Unauthorized = "unauthorized",
        /// 403: the credentials lack a permission.
        Forbidden = "forbidden",
        /// 404.
        NotFound = "not_found",
        /// Codes 7000 and 7003: Cloudflare does not serve this path for this zone.
        NoRoute = "no_route",
        /// 429.
        RateLimited = "rate_limited",
        /// Any other 4xx.
        ClientError = "client_error",
        /// 5xx.
        ServerError = "server_error",
        /// A complete body that is not the API's envelope, or corrupt gzip.
        Malformed = "malformed",
        /// `success: false` with a 2xx status.
        Unsuccessful = "unsuccessful",
        /// The pages of one listing contradict each other.
        InconsistentPages = "inconsistent_pages",
        /// More bytes, pages or rows than any real response has.
        TooLarge = "too_large",
    }
}

impl Reason {
    /// Whether a failure of this class is transient.
    pub(super) fn is_transient(self) -> bool {
        !matches!(
            self,
            Self::Unauthorized
                | Self::Forbidden
                | Self::NotFound
                | Self::NoRoute
                | Self::ClientError
                | Self::TooLarge
        )
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
    /// Whether a reused connection ended before the response, so that the request may be sent again
    /// at once.
    pub(super) connection_ended: bool,
}

impl ApiError {
    /// A failure without a response.
    pub fn new(operation: Operation, reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            operation,
            reason,
            detail: detail.into(),
            status: None,
            codes: Vec::new(),
            connection_ended: false,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }

    /// Whether the failure is transient.
    pub fn is_transient(&self) -> bool {
        self.reason.is_transient()
    }
}
