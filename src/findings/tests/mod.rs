//! What is expected of a zone, and how its mappings compare.

mod checks;
mod expectations;
mod left_out;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::*;
use crate::domain::{
    HostName, HostState, Mapping, OriginIp, RangeVerdict, Region, Vendor, ZoneMappings,
};

pub(super) fn ip(text: &str) -> OriginIp {
    OriginIp::parse(text).unwrap()
}

pub(super) fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// A place. Names that are empty are not known.
pub(super) fn place(vendor: &str, region: &str) -> ExpectedPlace {
    ExpectedPlace {
        vendor: Vendor::parse(vendor).ok(),
        region: Region::parse(region).ok(),
    }
}

pub(super) fn zone(rows: &[(&str, &str, &str)]) -> ZoneMappings {
    let mapping = |(address, vendor, region): &(&str, &str, &str)| Mapping {
        origin_ip: ip(address),
        vendor: Vendor::parse(vendor).unwrap(),
        region: Region::parse(region).unwrap(),
        modified_on: None,
    };
    ZoneMappings::from_rows(rows.iter().map(mapping).collect()).unwrap()
}

/// Regions with the upper tiers in the third text, separated by spaces; none if it is empty.
pub(super) fn supported(rows: &[(&str, &str, &str)]) -> SupportedRegions {
    let mut list: SupportedRegions = rows
        .iter()
        .map(|(vendor, name, colos)| {
            let row = SupportedRegion {
                region: Region::parse(name).unwrap(),
                upper_tier_colos: colos.split_whitespace().map(Arc::from).collect(),
            };
            (Vendor::parse(vendor).unwrap(), row)
        })
        .collect();
    list.colos_complete = true;
    list
}

/// A source that names these addresses and hosts.
pub(super) fn read(targets: &[&str]) -> SourceState {
    let mut candidates = Candidates::default();
    for target in targets {
        match OriginIp::parse(target) {
            Ok(ip) => drop(candidates.addresses.insert(ip)),
            Err(_) => candidates.add_host(host(target)),
        }
    }
    SourceState::Read {
        candidates: Arc::new(candidates),
        is_current: true,
    }
}

pub(super) fn answer(addresses: &[&str]) -> HostAnswer {
    HostAnswer {
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        is_known: true,
        ..HostAnswer::default()
    }
}

/// How the ranges are used in a test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ranges {
    Off,
    NotLoaded,
    Loaded,
}

/// A zone and what it is compared with.
pub(super) struct World {
    pub(super) declared: Vec<DeclaredOrigin>,
    pub(super) declared_hosts: Vec<DeclaredHost>,
    pub(super) ignore: Vec<IpNet>,
    pub(super) discovered: Discovered,
    pub(super) hosts: BTreeMap<HostName, HostAnswer>,
    pub(super) cloudflare: Vec<IpNet>,
    pub(super) supported: Option<SupportedRegions>,
    pub(super) ranges: Ranges,
    pub(super) verdict: Box<dyn Fn(OriginIp) -> RangeVerdict>,
    pub(super) mappings: ZoneMappings,
}

impl Default for World {
    fn default() -> Self {
        Self {
            declared: Vec::new(),
            declared_hosts: Vec::new(),
            ignore: Vec::new(),
            discovered: Discovered::default(),
            hosts: BTreeMap::new(),
            cloudflare: Vec::new(),
            supported: None,
            ranges: Ranges::Off,
            verdict: Box::new(verdict),
            mappings: ZoneMappings::default(),
        }
    }
}

impl World {
    pub(super) fn evaluation(&self) -> Evaluation {
        let verdict = |ip| (self.verdict)(ip);
        let ranges = match self.ranges {
            Ranges::Off => RangesUse::Off,
            Ranges::NotLoaded => RangesUse::NotLoaded(&verdict),
            Ranges::Loaded => RangesUse::Loaded(&verdict),
        };
        let evidence = Evidence {
            declared: &self.declared,
            declared_hosts: &self.declared_hosts,
            ignore: &self.ignore,
            discovered: &self.discovered,
            hosts: &self.hosts,
            cloudflare: &self.cloudflare,
            supported: self.supported.as_ref(),
            ranges,
        };
        evaluate(&self.mappings, &evidence)
    }

    pub(super) fn findings(&self) -> ZoneFindings {
        self.evaluation().findings
    }
}

/// Declared addresses and hosts with vendor and region, which are empty if they are not declared.
pub(super) fn declared(rows: &[(&str, &str, &str)]) -> World {
    let mut world = World::default();
    for (origin, vendor, region) in rows {
        let place = place(vendor, region);
        match OriginIp::parse(origin) {
            Ok(origin_ip) => world.declared.push(DeclaredOrigin { origin_ip, place }),
            Err(_) => world.declared_hosts.push(DeclaredHost {
                host: host(origin),
                place,
            }),
        }
    }
    world
}

/// 3.1.0.0/16 is in us-east-1, 3.2.0.0/16 somewhere at AWS, 34.1.0.0/16 in a region of Google,
/// 192.0.2.0/24 in us-east-1, all others at no vendor.
pub(super) fn verdict(ip: OriginIp) -> RangeVerdict {
    let region = |name| Region::parse(name).unwrap();
    let text = ip.to_string();
    if text.starts_with("3.1.") || text.starts_with("192.0.2.") {
        RangeVerdict::InRegion(Vendor::Aws, region("us-east-1"))
    } else if text.starts_with("3.2.") {
        RangeVerdict::InVendor(Vendor::Aws)
    } else if text.starts_with("34.1.") {
        RangeVerdict::InRegion(Vendor::Gcp, region("us-central1"))
    } else {
        RangeVerdict::NotInRanges
    }
}
