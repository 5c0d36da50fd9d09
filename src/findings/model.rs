//! The types of findings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{ExpectedPlace, HostName, HostState, Mapping, OriginIp, Region, Vendor};
use crate::words::words;

words! {
    /// Where an expected origin was found, in order of precedence: an origin found in several sources
    /// counts under the first.
    pub enum Source {
        /// Declared in the configuration.
        Config = "config",
        /// An enabled origin of an enabled pool of one of the zone's load balancers.
        LoadBalancer = "load_balancer",
        /// A host of an Origin Rule, a Cloud Connector rule or a page rule.
        Rule = "rule",
        /// A proxied A, AAAA or CNAME record.
        Dns = "dns",
    }
}

/// A set of sources, in one byte because there is one for each expected origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "SourcesForm", into = "Vec<Source>")]
pub struct Sources(u8);

impl Sources {
    /// Adds a source.
    pub fn insert(&mut self, source: Source) {
        self.0 |= 1 << source as u8;
    }

    /// The sources, in order of precedence.
    pub fn iter(self) -> impl Iterator<Item = Source> {
        let is_in = move |source: &Source| self.0 & (1 << *source as u8) != 0;
        Source::ALL.into_iter().filter(is_in)
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        let mut set = Self::default();
        sources.into_iter().for_each(|source| set.insert(source));
        set
    }
}

/// Version 0.2.0 stored the bits.
#[derive(Deserialize)]
#[serde(untagged)]
enum SourcesForm {
    Words(Vec<Source>),
    Bits(u8),
}

impl From<SourcesForm> for Sources {
    fn from(form: SourcesForm) -> Self {
        match form {
            SourcesForm::Words(sources) => sources.into_iter().collect(),
            SourcesForm::Bits(bits) => Self(bits),
        }
    }
}

impl From<Sources> for Vec<Source> {
    fn from(sources: Sources) -> Self {
        sources.iter().collect()
    }
}

/// An origin that should have a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedOrigin {
    /// Its address.
    pub origin_ip: OriginIp,
    /// The sources that name it.
    pub sources: Sources,
    /// The origin hosts that led to it, sorted by name.
    pub hosts: Vec<HostName>,
    /// Whether a source also names the address itself.
    pub named_itself: bool,
    /// Where it should be.
    pub place: ExpectedPlace,
    /// The strongest check that knows the place; `None` if nothing is known of it.
    pub check: Option<Check>,
}

impl ExpectedOrigin {
    /// The source under which it counts.
    pub fn source(&self) -> Source {
        self.sources.iter().next().unwrap_or(Source::Config)
    }

    /// The host under which it is shown: the first by name, or `None` if a source names the address
    /// itself.
    pub fn host(&self) -> Option<&HostName> {
        self.hosts.first().filter(|_| !self.named_itself)
    }
}

words! {
    /// A way to judge a mapping. Stronger evidence comes first.
    pub enum Check {
        /// Against the configuration.
        Declared = "declared",
        /// Against the region in a host name of the origin.
        HostName = "host_name",
        /// Against the vendors' published address ranges.
        VendorRanges = "vendor_ranges",
        /// Against the regions that the API reports as supported.
        SupportedRegions = "supported_regions",
    }
}

words! {
    /// Whether Tiered Cache chooses other upper tiers for a wrong mapping than for the right one.
    pub enum Effect {
        /// The two regions have different upper tiers.
        OtherTiers = "other_tiers",
        /// Both regions have the same upper tiers, so Tiered Cache behaves the same.
        SameTiers = "same_tiers",
        /// The upper tiers of at least one of the regions are not known.
        Unknown = "unknown",
    }
}

/// A mapping that disagrees with what a check expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongMapping {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The vendor of the mapping.
    pub vendor: Vendor,
    /// The region of the mapping.
    pub region: Region,
    /// What the check expects instead, as far as it is known.
    pub expected: ExpectedPlace,
    /// The check.
    pub check: Check,
    /// Whether Tiered Cache chooses other upper tiers because of it.
    pub effect: Effect,
}

words! {
    /// Why the vendors' ranges could not verify a mapping.
    pub enum Unverified {
        /// No vendor publishes the address.
        NotInRanges = "not_in_ranges",
        /// The vendor is right, but its file does not give the address's region.
        RegionUnknown = "region_unknown",
    }
}

words! {
    /// Why something that a source names is not an expected origin. If several reasons apply, the first
    /// one is given.
    pub enum LeftOutReason {
        /// The record belongs to a Worker's custom domain.
        Worker = "worker",
        /// Another Cloudflare product manages the record.
        ReadOnly = "read_only",
        /// The origin is reached through a virtual network.
        VirtualNetwork = "virtual_network",
        /// The host does not lead to an origin's address: a tunnel, Pages, Workers, R2.
        NoOriginAddress = "no_origin_address",
        /// A discovered address that is only a placeholder: a documentation address or `100::`.
        Placeholder = "placeholder",
        /// The address is not globally reachable.
        SpecialPurpose = "special_purpose",
        /// The address belongs to Cloudflare.
        Cloudflare = "cloudflare",
        /// The configuration lists the address under `expect.ignore`.
        Ignored = "ignored",
        /// The host has more addresses than mappings can follow.
        Rotating = "rotating",
        /// No cloud vendor publishes the address.
        OutsideVendorRanges = "outside_vendor_ranges",
    }
}

/// Something that a source names, but that is not an expected origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// The address, if it has one.
    pub origin_ip: Option<OriginIp>,
    /// The sources that name it.
    pub sources: Sources,
    /// The host, or the hosts that led to the address.
    pub hosts: BTreeSet<HostName>,
    /// Why it is left out.
    pub reason: LeftOutReason,
}

/// An origin host with more addresses than mappings can follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatingHost {
    /// The host.
    pub host: HostName,
    /// The sources that name it.
    pub sources: Sources,
    /// How many of its addresses count.
    pub addresses: usize,
}

/// The most hosts per state in a zone's findings. If a name server is down, every host fails.
pub const MAX_UNRESOLVED_HOSTS: usize = 100;

/// An origin host that does not resolve now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnresolvedHost {
    /// [`HostState::Failing`] or [`HostState::NoAddress`].
    pub state: HostState,
    /// The host.
    pub host: HostName,
    /// The sources that name it.
    pub sources: Sources,
}

/// A declared place that Cloudflare does not support, probably because of a typo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedDeclaration {
    /// The declared address or host.
    pub origin: String,
    /// What is declared for it.
    pub place: ExpectedPlace,
}

impl fmt::Display for UnsupportedDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExpectedPlace { vendor, region } = &self.place;
        let vendor = vendor.as_ref().map(Vendor::as_str);
        let region = region.as_ref().map(Region::as_str);
        let place: Vec<_> = [vendor, region].into_iter().flatten().collect();
        write!(f, "{}: {}", self.origin, place.join(" "))
    }
}

/// The findings of one zone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoneFindings {
    /// How many origins each source expects, each origin under one source. A source that is off or
    /// could not be judged has no entry.
    pub expected: BTreeMap<Source, usize>,
    /// The expected origins, by address.
    pub origins: Vec<ExpectedOrigin>,
    /// Expected origins without a mapping, by address.
    pub missing: Vec<ExpectedOrigin>,
    /// Expected origins for which it was never known whether they have a mapping.
    pub undetermined: BTreeSet<OriginIp>,
    /// The mappings that disagree with a check, by address, then check.
    pub wrong: Vec<WrongMapping>,
    /// The checks that could be made.
    pub checks: BTreeSet<Check>,
    /// Mappings that the vendors' ranges could not verify; empty if that check was not made.
    pub unverified: BTreeMap<Unverified, usize>,
    /// Mappings of addresses that no source names any more, by address; `None` if not known.
    pub unused: Option<Vec<Mapping>>,
    /// Hosts with more addresses than mappings can follow, by name.
    pub rotating: Vec<RotatingHost>,
    /// The zone's origin hosts by state; `None` if the zone has none and no source of hosts was
    /// read.
    pub hosts: Option<BTreeMap<HostState, usize>>,
    /// Hosts that are failing or have no address, by state, then name: at most
    /// [`MAX_UNRESOLVED_HOSTS`] per state.
    pub unresolved_hosts: Vec<UnresolvedHost>,
    /// What the sources name, but is not an expected origin.
    pub left_out: Vec<LeftOut>,
    /// Mapped addresses that no source names now; `None` if not all sources and hosts are known.
    pub unnamed: Option<BTreeSet<OriginIp>>,
    /// The places to which the addresses with a missing or wrong mapping should be mapped, as far
    /// as they are known and Cloudflare supports them. An address has none while a source or host
    /// that is not known may give it another place.
    pub remedies: BTreeMap<OriginIp, ExpectedPlace>,
    /// Whether a source that is on could not be judged, or a host was not looked up yet, so that
    /// more origins may be expected than are listed.
    pub is_partial: bool,
    /// Declarations that Cloudflare's list of regions contradicts.
    pub unsupported_declarations: Vec<UnsupportedDeclaration>,
}

impl ZoneFindings {
    /// How many origins have a wrong mapping, each counted once however many checks it fails.
    pub fn wrong_origins(&self) -> usize {
        self.wrong
            .chunk_by(|a, b| a.origin_ip == b.origin_ip)
            .count()
    }

    /// How many entries are left out, by reason.
    pub fn left_out_by_reason(&self) -> BTreeMap<LeftOutReason, usize> {
        let mut counts = BTreeMap::new();
        for left_out in &self.left_out {
            *counts.entry(left_out.reason).or_default() += 1;
        }
        counts
    }
}

/// The zone's tiered cache settings, as far as they could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TieredCache {
    /// Whether tiered caching is on. Without it mappings have no effect.
    pub enabled: Option<bool>,
    /// Whether the smart topology is on. Without it mappings have no effect.
    pub smart_enabled: Option<bool>,
}

impl TieredCache {
    /// Whether mappings have no effect; `None` if not known.
    pub fn makes_mappings_idle(self) -> Option<bool> {
        match (self.enabled, self.smart_enabled) {
            (Some(false), _) | (_, Some(false)) => Some(true),
            (Some(true), Some(true)) => Some(false),
            _ => None,
        }
    }
}

words! {
    /// A kind of finding.
    pub enum FindingKind {
        /// An expected origin without a mapping.
        Missing = "missing",
        /// A mapping that disagrees with a check.
        Wrong = "wrong",
        /// A mapping older than the zone's threshold.
        Stale = "stale",
        /// A mapping of an address that no source names any more.
        Unused = "unused",
        /// A host with more addresses than mappings can follow.
        Rotating = "rotating",
        /// Mappings without effect, because tiered cache is off.
        Idle = "idle",
    }
}
