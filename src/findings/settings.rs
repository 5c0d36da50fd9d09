//! What is expected of the mappings, and which checks are made.

use std::time::Duration;

use ipnet::IpNet;

use super::ExpectedPlace;
use crate::domain::{HostName, OriginIp};

/// Where expectations come from.
#[derive(Debug, Clone, Default)]
pub struct ExpectSettings {
    /// The origins that the configuration declares.
    pub zones: Vec<DeclaredZone>,
    /// Expect the addresses of proxied A and AAAA records.
    pub from_dns: bool,
    /// Expect the addresses of enabled origins of load balancer pools.
    pub from_load_balancers: bool,
    /// Expect the hosts of Origin Rules, Cloud Connector rules and page rules.
    pub from_rules: bool,
    /// Addresses that need no mapping.
    pub ignore: Vec<IpNet>,
    /// How long no source must have named the address of a mapping before it counts as unused, at
    /// least 1 s; `None` if mappings never do.
    pub unused_after: Option<Duration>,
}

/// The declared origins of one zone.
#[derive(Debug, Clone)]
pub struct DeclaredZone {
    /// The zone's name, in any case, or its identifier.
    pub zone: String,
    /// Its origins, each address once.
    pub origins: Vec<DeclaredOrigin>,
    /// Its origins by host name, each host once.
    pub hosts: Vec<DeclaredHost>,
}

/// One declared origin host: every address that it resolves to is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredHost {
    /// The host.
    pub host: HostName,
    /// Where it is, as far as the configuration says.
    pub place: ExpectedPlace,
}

/// One declared origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredOrigin {
    /// Its address.
    pub origin_ip: OriginIp,
    /// Where it is, as far as the configuration says.
    pub place: ExpectedPlace,
}

/// Which of Cloudflare's own settings are read besides the mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySettings {
    /// Compare the mappings with the regions that the API supports.
    pub supported_regions: bool,
    /// Read whether tiered caching is on.
    pub tiered_cache: bool,
}
