//! What is expected of the mappings, and which checks are made.

use super::ExpectedPlace;
use crate::domain::OriginIp;

/// Where expectations come from.
#[derive(Debug, Clone, Default)]
pub struct ExpectSettings {
    /// The origins that the configuration declares.
    pub zones: Vec<DeclaredZone>,
    /// Expect the addresses of proxied A and AAAA records.
    pub from_dns: bool,
    /// Expect the addresses of enabled origins of load balancer pools.
    pub from_load_balancers: bool,
}

/// The declared origins of one zone.
#[derive(Debug, Clone)]
pub struct DeclaredZone {
    /// The zone's name, in any case, or its identifier.
    pub zone: String,
    /// Its origins, each address once.
    pub origins: Vec<DeclaredOrigin>,
}

/// One declared origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredOrigin {
    /// Its address.
    pub origin_ip: OriginIp,
    /// Where it is, as far as the configuration says.
    pub place: ExpectedPlace,
}

/// Which of Cloudflare's own settings are read beside the mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySettings {
    /// Compare the mappings with the regions that the API supports.
    pub supported_regions: bool,
    /// Read whether tiered caching is on.
    pub tiered_cache: bool,
}
