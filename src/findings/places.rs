//! Where each address is expected to be, by the available evidence.

use std::collections::BTreeMap;

use super::supported::spell;
use super::{Check, Evidence, HostAnswer, RangesUse, UnsupportedDeclaration};
use crate::domain::{
    ExpectedPlace, OriginIp, RangeVerdict, SupportedRegions, same_region, same_vendor,
};

/// The evidence on where addresses are, strongest first: declarations, host names and the vendors'
/// ranges.
pub(super) struct Places<'a> {
    pub(super) declared: BTreeMap<OriginIp, ExpectedPlace>,
    pub(super) host_names: BTreeMap<OriginIp, ExpectedPlace>,
    /// The places of declared hosts whose addresses are not all known.
    open: Vec<ExpectedPlace>,
    ranges: RangesUse<'a>,
    pub(super) unsupported: Vec<UnsupportedDeclaration>,
}

impl<'a> Places<'a> {
    pub(super) fn new(evidence: &Evidence<'a>) -> Self {
        let mut places = Self {
            declared: BTreeMap::new(),
            host_names: spelled_places(evidence),
            open: Vec::new(),
            ranges: evidence.ranges,
            unsupported: Vec::new(),
        };
        // A declared address takes precedence over a declared host, and among hosts the first by
        // name.
        for origin in evidence.declared {
            let place = places.usable(&origin.origin_ip, &origin.place, evidence.supported);
            places.declared.entry(origin.origin_ip).or_insert(place);
        }
        let mut hosts: Vec<_> = evidence.declared_hosts.iter().collect();
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        for origin in hosts {
            let place = places.usable(&origin.host, &origin.place, evidence.supported);
            let answer = evidence.hosts.get(&origin.host);
            if !answer.is_some_and(HostAnswer::is_complete) {
                places.open.push(place.clone());
            }
            for ip in answer.iter().flat_map(|answer| &answer.addresses) {
                places.declared.entry(*ip).or_insert_with(|| place.clone());
            }
        }
        places
    }

    /// The place of an address, and the strongest check that knows something of it. If that check
    /// does not know the region, a weaker one with the same vendor fills it in.
    pub(super) fn of(&self, ip: OriginIp) -> (ExpectedPlace, Option<Check>) {
        let ranges = self.verdict(ip).place();
        let evidence = [
            (Check::Declared, self.declared.get(&ip)),
            (Check::HostName, self.host_names.get(&ip)),
            (Check::VendorRanges, Some(&ranges)),
        ];
        let mut place = ExpectedPlace::default();
        let mut strongest = None;
        for (check, known) in evidence {
            let Some(known) = known.filter(|known| !known.is_unknown()) else {
                continue;
            };
            if strongest.is_none() {
                strongest = Some(check);
                place = known.clone();
            } else if place.region.is_none() && is_same_vendor(&place, known) {
                place.region.clone_from(&known.region);
            }
        }
        (place, strongest)
    }

    /// Whether a declared host that may have the address gives it another place than this one.
    pub(super) fn may_be_overridden(&self, ip: OriginIp, place: &ExpectedPlace) -> bool {
        let mut open = self.open.iter();
        !self.declared.contains_key(&ip) && open.any(|declared| !is_part_of(declared, place))
    }

    /// What the vendors' ranges show, as far as they are used and loaded.
    pub(super) fn verdict(&self, ip: OriginIp) -> RangeVerdict {
        match self.ranges {
            RangesUse::Off => RangeVerdict::Unknown,
            RangesUse::Loaded(verdict) | RangesUse::NotLoaded(verdict) => verdict(ip),
        }
    }

    /// The part of a declared place that Cloudflare supports. The rest is probably a typo: it is
    /// noted, and mappings are not judged by it.
    fn usable(
        &mut self,
        origin: &impl ToString,
        place: &ExpectedPlace,
        supported: Option<&SupportedRegions>,
    ) -> ExpectedPlace {
        let Some(supported) = supported else {
            return place.clone();
        };
        let usable = confirmed_part(place, supported);
        if usable != *place {
            self.unsupported.push(UnsupportedDeclaration {
                origin: origin.to_string(),
                place: place.clone(),
            });
        }
        usable
    }
}

/// The part of a place that Cloudflare's list confirms.
fn confirmed_part(place: &ExpectedPlace, supported: &SupportedRegions) -> ExpectedPlace {
    let is_listed = |place: &ExpectedPlace| {
        supported.iter().any(|(vendor, row)| {
            let is_vendor = |name| same_vendor(vendor, name);
            let is_region = |name| same_region(vendor, &row.region, name);
            place.vendor.as_ref().is_none_or(is_vendor)
                && place.region.as_ref().is_none_or(is_region)
        })
    };
    let vendor_alone = ExpectedPlace {
        vendor: place.vendor.clone(),
        region: None,
    };
    if place.is_unknown() || is_listed(place) {
        place.clone()
    } else if is_listed(&vendor_alone) && place.vendor.is_some() {
        vendor_alone
    } else {
        ExpectedPlace::default()
    }
}

/// The places that the host names of each address contain. Names that contradict each other yield
/// no place. A name with a region takes precedence over one with only a vendor.
fn spelled_places(evidence: &Evidence<'_>) -> BTreeMap<OriginIp, ExpectedPlace> {
    let mut spelled: BTreeMap<OriginIp, Vec<ExpectedPlace>> = BTreeMap::new();
    for answer in evidence
        .hosts_of_zone()
        .filter_map(|host| evidence.hosts.get(host))
    {
        if answer.left_out.is_some() || answer.place.vendor.is_none() {
            continue;
        }
        let place = spell(answer.place.clone(), None);
        for ip in &answer.addresses {
            let places = spelled.entry(*ip).or_default();
            if !places.contains(&place) {
                places.push(place.clone());
            }
        }
    }
    spelled
        .into_iter()
        .filter_map(|(ip, places)| Some((ip, agreed(&places)?)))
        .collect()
}

/// The one place that agrees with all of these.
fn agreed(places: &[ExpectedPlace]) -> Option<ExpectedPlace> {
    let best = places
        .iter()
        .find(|place| place.is_complete())
        .or(places.first())?;
    let fits = |place: &ExpectedPlace| {
        is_same_vendor(place, best) && (place.region.is_none() || place.region == best.region)
    };
    places.iter().all(fits).then(|| best.clone())
}

/// Whether `place` has everything that `part` says.
fn is_part_of(part: &ExpectedPlace, place: &ExpectedPlace) -> bool {
    let is_vendor = part.vendor.is_none() || is_same_vendor(part, place);
    let is_region = match (&part.region, &place.region, &place.vendor) {
        (None, ..) => true,
        (Some(part), Some(region), Some(vendor)) => same_region(vendor, part, region),
        (Some(part), region, _) => Some(part) == region.as_ref(),
    };
    is_vendor && is_region
}

fn is_same_vendor(a: &ExpectedPlace, b: &ExpectedPlace) -> bool {
    match (&a.vendor, &b.vendor) {
        (Some(a), Some(b)) => same_vendor(a, b),
        _ => false,
    }
}
