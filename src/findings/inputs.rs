//! The inputs of an evaluation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{DeclaredHost, DeclaredOrigin, LeftOutReason, Source, SupportedRegions};
use crate::domain::{ExpectedPlace, HostName, HostState, OriginIp, RangeVerdict};

/// What one source names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Candidates {
    /// Addresses.
    pub addresses: BTreeSet<OriginIp>,
    /// Hosts that resolve to addresses.
    pub hosts: BTreeSet<HostName>,
    /// What the source itself shows not to be an origin.
    pub left_out: BTreeSet<Unusable>,
    /// Whether some rows of the source could not be read, and may name more.
    #[serde(default)]
    pub has_unreadable: bool,
}

/// Something that a source names, but itself shows not to be an origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unusable {
    /// The address, if it has one.
    pub origin_ip: Option<OriginIp>,
    /// The host, if it has one.
    pub host: Option<HostName>,
    /// Why it is not an origin.
    pub reason: LeftOutReason,
}

impl Candidates {
    /// Adds a host, or leaves it out if it cannot lead to an origin's address.
    pub fn add_host(&mut self, host: HostName) {
        if host.has_no_origin_address() {
            self.leave_out(None, Some(host), LeftOutReason::NoOriginAddress);
        } else {
            self.hosts.insert(host);
        }
    }

    /// Adds an address or a host that is not an origin.
    pub fn leave_out(
        &mut self,
        origin_ip: Option<OriginIp>,
        host: Option<HostName>,
        reason: LeftOutReason,
    ) {
        self.left_out.insert(Unusable {
            origin_ip,
            host,
            reason,
        });
    }
}

/// The state of one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SourceState {
    /// The configuration does not enable it.
    #[default]
    Off,
    /// It could not be read yet, or not for longer than its last good read is kept.
    NotRead,
    /// The last good read.
    Read {
        /// What the source names.
        candidates: Arc<Candidates>,
        /// Whether the last attempt to read the source succeeded completely.
        is_current: bool,
    },
}

impl SourceState {
    /// What the source names, if known.
    pub fn candidates(&self) -> Option<&Candidates> {
        match self {
            Self::Off | Self::NotRead => None,
            Self::Read { candidates, .. } => Some(candidates),
        }
    }

    fn is_off(&self) -> bool {
        *self == Self::Off
    }

    fn is_current(&self) -> bool {
        matches!(
            self,
            Self::Read {
                is_current: true,
                ..
            }
        )
    }
}

/// What the sources other than the configuration name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Discovered {
    /// The enabled origins of the enabled pools of the zone's load balancers.
    pub load_balancers: SourceState,
    /// The hosts of rules.
    pub rules: SourceState,
    /// The zone's proxied A, AAAA and CNAME records.
    pub dns: SourceState,
}

impl Discovered {
    /// What is known of every source, judged or not.
    pub(super) fn known(&self) -> impl Iterator<Item = (Source, &Candidates)> {
        let sources = [Source::LoadBalancer, Source::Rule, Source::Dns];
        let states = sources.into_iter().zip(self.all());
        states.filter_map(|(source, state)| Some((source, state.candidates()?)))
    }

    /// Every host that a source names.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.known().flat_map(|(_, candidates)| &candidates.hosts)
    }

    fn all(&self) -> impl Iterator<Item = &SourceState> {
        [&self.load_balancers, &self.rules, &self.dns].into_iter()
    }

    /// Whether every source is off.
    pub(super) fn is_off(&self) -> bool {
        self.all().all(SourceState::is_off)
    }

    /// Whether a source is on and was not read.
    pub(super) fn is_waiting(&self) -> bool {
        self.all().any(|state| *state == SourceState::NotRead)
    }

    /// Whether a source is on and its last read did not succeed completely.
    pub(super) fn has_gap(&self) -> bool {
        self.all()
            .any(|state| !state.is_off() && !state.is_current())
    }

    /// Whether every source is on and its last read succeeded.
    pub(super) fn is_current(&self) -> bool {
        self.all().all(SourceState::is_current)
    }
}

/// What is known of an origin host.
#[expect(clippy::struct_excessive_bools, reason = "five independent facts")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostAnswer {
    /// The addresses that count, without duplicates.
    pub addresses: Vec<OriginIp>,
    /// Whether there was ever an answer, including one that the host does not exist.
    pub is_known: bool,
    /// Whether the last lookup failed.
    pub is_failing: bool,
    /// Whether it may have other addresses than these.
    pub is_incomplete: bool,
    /// Whether it has more addresses than mappings can follow.
    pub is_rotating: bool,
    /// Whether it may turn out to be rotating.
    pub is_settling: bool,
    /// The vendor and region that the names of its CNAME chain contain.
    pub place: ExpectedPlace,
    /// Set if its CNAME chain ends where there is no origin: at a tunnel or a Worker's record.
    pub left_out: Option<LeftOutReason>,
}

impl HostAnswer {
    /// Whether the addresses are all that the host has.
    pub(super) fn is_complete(&self) -> bool {
        self.is_known && !self.is_failing && !self.is_incomplete
    }

    /// The host's state; `None` before the first lookup has ended.
    pub fn state(&self) -> Option<HostState> {
        // A rotating host that fails stays rotating.
        if self.is_rotating {
            Some(HostState::Rotating)
        } else if self.is_failing {
            Some(HostState::Failing)
        } else if !self.is_known {
            None
        } else if self.addresses.is_empty() {
            Some(HostState::NoAddress)
        } else {
            Some(HostState::Resolved)
        }
    }
}

/// How far the vendors' address ranges can be used. The function judges one address.
#[derive(Clone, Copy)]
pub enum RangesUse<'a> {
    /// They are not used.
    Off,
    /// The ranges of at least one enabled vendor were never loaded. Mappings are judged if the
    /// loaded ranges suffice. Discovered origins are not judged at all, because one that is in no
    /// loaded file may still be in a cloud.
    NotLoaded(&'a dyn Fn(OriginIp) -> RangeVerdict),
    /// All are loaded.
    Loaded(&'a dyn Fn(OriginIp) -> RangeVerdict),
}

/// Everything that a zone's mappings are compared with.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The zone's declared addresses.
    pub declared: &'a [DeclaredOrigin],
    /// The zone's declared hosts.
    pub declared_hosts: &'a [DeclaredHost],
    /// Addresses that need no mapping.
    pub ignore: &'a [IpNet],
    /// What the other sources name.
    pub discovered: &'a Discovered,
    /// What is known of the hosts that the sources name. It may contain other hosts too.
    pub hosts: &'a BTreeMap<HostName, HostAnswer>,
    /// Cloudflare's own addresses.
    pub cloudflare: &'a [IpNet],
    /// The regions that Cloudflare supports, if they are known.
    pub supported: Option<&'a SupportedRegions>,
    /// The vendors' ranges.
    pub ranges: RangesUse<'a>,
}

impl Evidence<'_> {
    /// The hosts that the zone's sources name, judged or not.
    pub(super) fn hosts_of_zone(&self) -> impl Iterator<Item = &HostName> {
        let declared = self.declared_hosts.iter().map(|origin| &origin.host);
        declared.chain(self.discovered.hosts())
    }
}
