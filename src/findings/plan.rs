//! What would fix a zone's findings.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ExpectedOrigin, WrongMapping, ZoneFindings};
use crate::domain::{ExpectedPlace, Mapping, OriginIp, Region, Vendor};

/// The changes to one zone's mappings that would fix its findings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ZonePlan {
    /// Mappings to create or replace, by address.
    pub put: Vec<Put>,
    /// Mappings to delete, by address.
    pub delete: Vec<Delete>,
    /// What is wrong, but cannot be fixed with what is known.
    pub undecided: Vec<Undecided>,
}

/// A mapping to create or replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Put {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The vendor to map it to.
    pub vendor: Vendor,
    /// The region to map it to.
    pub region: Region,
    /// The finding that it fixes.
    pub because: String,
    /// Whether the address has a mapping now.
    #[serde(skip)]
    pub is_mapped: bool,
}

/// A mapping to delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delete {
    /// The origin's address.
    pub origin_ip: OriginIp,
    /// The finding that it fixes.
    pub because: String,
}

/// A finding without a known fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// The origin's address; null if the finding is not about one origin.
    pub origin_ip: Option<OriginIp>,
    /// What is wrong, and what is not known.
    pub because: String,
}

impl ZonePlan {
    /// Whether there is nothing to fix.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty() && self.undecided.is_empty()
    }
}

/// Plans the fixes of a zone's missing and wrong mappings, and deletes the mappings in `unused`.
/// Other findings are left to the caller, who knows the time and the settings of tiered cache.
pub fn plan<'a>(
    findings: &ZoneFindings,
    unused: impl IntoIterator<Item = &'a Mapping>,
) -> ZonePlan {
    let mut plan = ZonePlan::default();
    for mapping in unused {
        plan.delete.push(Delete {
            origin_ip: mapping.origin_ip,
            because: format!(
                "unused: no source names the address (mapped to {} {})",
                mapping.vendor, mapping.region
            ),
        });
    }
    plan.delete.sort_by_key(|delete| delete.origin_ip);
    let mut open: BTreeMap<OriginIp, (String, bool)> = BTreeMap::new();
    for origin in &findings.missing {
        open.insert(origin.origin_ip, (missing(origin), false));
    }
    for rows in findings.wrong.chunk_by(|a, b| a.origin_ip == b.origin_ip) {
        if let Some(first) = rows.first() {
            open.insert(first.origin_ip, (wrong(first, rows), true));
        }
    }
    let is_deleted = |ip: &OriginIp| {
        plan.delete
            .binary_search_by_key(ip, |delete| delete.origin_ip)
            .is_ok()
    };
    open.retain(|ip, _| !is_deleted(ip));
    for (origin_ip, (because, is_mapped)) in open {
        match findings.remedies.get(&origin_ip) {
            Some(ExpectedPlace {
                vendor: Some(vendor),
                region: Some(region),
            }) if is_plain(vendor.as_str()) && is_plain(region.as_str()) => plan.put.push(Put {
                origin_ip,
                vendor: vendor.clone(),
                region: region.clone(),
                because,
                is_mapped,
            }),
            place => plan.undecided.push(Undecided {
                origin_ip: Some(origin_ip),
                because: format!("{because}; {}", not_known(place)),
            }),
        }
    }
    plan
}

/// Whether a name is a plain word, as all vendors and regions are. Plans are pasted into shells.
fn is_plain(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn missing(origin: &ExpectedOrigin) -> String {
    let source = origin.source().as_str();
    match origin.host() {
        Some(host) => format!("missing: expected by {source}, host {host}"),
        None => format!("missing: expected by {source}"),
    }
}

fn wrong(mapping: &WrongMapping, rows: &[WrongMapping]) -> String {
    let checks: Vec<_> = rows.iter().map(|row| row.check.as_str()).collect();
    let (vendor, region) = (&mapping.vendor, &mapping.region);
    format!(
        "wrong by {}: mapped to {vendor} {region}",
        checks.join(", ")
    )
}

fn not_known(place: Option<&ExpectedPlace>) -> String {
    match place {
        Some(ExpectedPlace {
            vendor: Some(vendor),
            ..
        }) => format!("it is at {vendor}, and its region is not known or not supported"),
        Some(_) => "its vendor and region are not known".to_owned(),
        None => {
            "a source or host that may name the address could not be read or resolved, and may \
                 give it another vendor and region"
                .to_owned()
        }
    }
}

/// The places to which the addresses with a missing or wrong mapping should be mapped, as far as
/// Cloudflare supports them. An address whose place would be a guess has none.
pub(super) fn remedies(
    findings: &ZoneFindings,
    place_of: impl Fn(OriginIp) -> Option<ExpectedPlace>,
) -> BTreeMap<OriginIp, ExpectedPlace> {
    let missing = findings.missing.iter().map(|origin| origin.origin_ip);
    let wrong = findings.wrong.iter().map(|mapping| mapping.origin_ip);
    let ips = missing.chain(wrong);
    ips.filter_map(|ip| Some((ip, place_of(ip)?))).collect()
}
