//! The words of a judgement.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{NonPublic, OriginIp, Region, Vendor};

/// Where an expected origin was found. The order is their precedence: an origin found in several
/// sources counts under the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Declared in the configuration.
    Config,
    /// An enabled origin of an enabled pool of one of the zone's load balancers.
    LoadBalancer,
    /// A proxied A or AAAA record.
    Dns,
}

impl Source {
    /// Every source, in order of precedence.
    pub const ALL: [Self; 3] = [Self::Config, Self::LoadBalancer, Self::Dns];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::LoadBalancer => "load_balancer",
            Self::Dns => "dns",
        }
    }
}

/// Where an origin ought to be; what is not known is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpectedPlace {
    /// The vendor.
    pub vendor: Option<Vendor>,
    /// The region, spelt as Cloudflare spells it.
    pub region: Option<Region>,
}

/// An origin that ought to have a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedOrigin {
    /// Its address.
    pub origin_ip: OriginIp,
    /// The first source that names it.
    pub source: Source,
    /// Where it ought to be.
    pub place: ExpectedPlace,
}

/// A way to judge a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Against the configuration.
    Declared,
    /// Against the vendors' published address ranges.
    VendorRanges,
    /// Against the regions that the API says it supports.
    SupportedRegions,
}

impl Check {
    /// Every check.
    pub const ALL: [Self; 3] = [Self::Declared, Self::VendorRanges, Self::SupportedRegions];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::VendorRanges => "vendor_ranges",
            Self::SupportedRegions => "supported_regions",
        }
    }
}

/// A mapping that disagrees with what a check expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongMapping {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The vendor that the mapping names.
    pub vendor: Vendor,
    /// The region that the mapping names.
    pub region: Region,
    /// What the check expects instead, as far as it can say.
    pub expected: ExpectedPlace,
    /// The check.
    pub check: Check,
}

/// Why the vendors' ranges could not judge a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unverified {
    /// No vendor publishes the address.
    NotInRanges,
    /// The vendor is right, and its file does not say which region the address is in.
    RegionUnknown,
}

impl Unverified {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::NotInRanges, Self::RegionUnknown];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInRanges => "not_in_ranges",
            Self::RegionUnknown => "region_unknown",
        }
    }
}

/// Why something that a source names is no expected origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// No public origin can have the address.
    NonPublic(NonPublic),
    /// The origin is reached through a virtual network.
    VirtualNetwork,
    /// A host name stands where an address would.
    HostName,
    /// The address is in no cloud vendor's ranges, so it needs no mapping.
    NotInRanges,
}

impl LeftOut {
    /// The word for it in logs, the page and the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NonPublic(why) => why.as_str(),
            Self::VirtualNetwork => "virtual_network",
            Self::HostName => "host_name",
            Self::NotInRanges => "not_in_ranges",
        }
    }
}

/// The judgement on one zone's mappings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZoneFindings {
    /// How many origins each source expects, each origin under one source; a source that was not
    /// asked, or could not be judged, has no entry.
    pub expected: BTreeMap<Source, usize>,
    /// The expected origins that have no mapping, by address.
    pub missing: Vec<ExpectedOrigin>,
    /// The mappings that disagree with a check, by address, then check.
    pub wrong: Vec<WrongMapping>,
    /// The checks that could be made.
    pub checks: BTreeSet<Check>,
    /// What the vendors' ranges could not judge; empty where that check was not made.
    pub unverified: BTreeMap<Unverified, usize>,
    /// What was found and is no expected origin.
    pub left_out: BTreeMap<LeftOut, usize>,
}

impl ZoneFindings {
    /// How many origins have a wrong mapping, each counted once however many checks it fails.
    pub fn wrong_origins(&self) -> usize {
        self.wrong
            .chunk_by(|a, b| a.origin_ip == b.origin_ip)
            .count()
    }
}

/// The zone's tiered cache settings, as far as they could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TieredCache {
    /// Tiered caching is on. Without it mappings have no effect.
    pub enabled: Option<bool>,
    /// The smart topology is on. Without it mappings have no effect.
    pub smart_enabled: Option<bool>,
}
