//! Compares mappings with what is expected of them.

use std::collections::BTreeSet;

use super::expected::{NamedAddresses, expected};
use super::places::Places;
use super::plan::remedies;
use super::supported::{effect, spell, supported_part};
use super::{Check, Evidence, ExpectedOrigin, RangesUse, Unverified, WrongMapping, ZoneFindings};
use crate::domain::{ExpectedPlace, Mapping, RangeVerdict, SupportedRegions, ZoneMappings};

/// The evaluation of a zone: its findings, and the addresses that its sources name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evaluation {
    /// The findings, without unused mappings: these depend on time, see [`Usage`](super::Usage).
    pub findings: ZoneFindings,
    /// The addresses that the sources name.
    pub named: NamedAddresses,
}

/// Evaluates the mappings of one zone. A mapping that fails several checks is listed once for each.
///
/// - *declared*, made if the configuration declares an origin of the zone: vendor and region, as
///   far as they are declared. A mapping that agrees is not judged by host names or ranges;
/// - *host name*, made if an origin host of the zone was resolved: vendor and region, as far as the
///   names of the host's CNAME chain contain them. A mapping that agrees with a region in a name is
///   not judged by the ranges;
/// - *vendor ranges*, made if the ranges are loaded (while some are missing, if the others can
///   judge at least one mapping): the vendor that publishes the address and, if its file gives it,
///   the region;
/// - *supported regions*, made if Cloudflare's list is known and not empty: whether it has the
///   mapping's vendor and region. It does not show which place is right.
pub fn evaluate(mappings: &ZoneMappings, evidence: &Evidence<'_>) -> Evaluation {
    let evidence = Evidence {
        supported: evidence.supported.filter(|supported| !supported.is_empty()),
        ..*evidence
    };
    let places = Places::new(&evidence);
    let Evaluation {
        mut findings,
        named,
    } = expected(&evidence, &places);
    findings.checks = checks_for_sure(&evidence);
    let mut evaluator = Evaluator {
        places: &places,
        supported: evidence.supported,
        findings: &mut findings,
    };
    for mapping in mappings.as_slice() {
        evaluator.check(mapping);
    }
    if findings.checks.contains(&Check::VendorRanges) {
        for reason in Unverified::ALL {
            findings.unverified.entry(reason).or_default();
        }
    }
    let is_missing = |origin: &&ExpectedOrigin| mappings.get(origin.origin_ip).is_none();
    let missing = findings.origins.iter().filter(is_missing);
    findings.missing = missing.cloned().collect();
    findings.remedies = remedies(&findings, |ip| {
        let (place, _) = places.of(ip);
        // What may name the address may also give it another place.
        let may_be_named = named.has_gap && !named.addresses.contains(&ip);
        if may_be_named || places.may_be_overridden(ip, &place) {
            return None;
        }
        let place = spell(place, evidence.supported);
        Some(supported_part(place, evidence.supported))
    });
    let ips = mappings.as_slice().iter().map(|mapping| mapping.origin_ip);
    let unnamed = ips.filter(|ip| !named.addresses.contains(ip));
    findings.unnamed = named.is_complete.then(|| unnamed.collect());
    findings.unsupported_declarations = places.unsupported;
    Evaluation { findings, named }
}

/// The checks that are made even if the zone has no mapping.
fn checks_for_sure(evidence: &Evidence<'_>) -> BTreeSet<Check> {
    let is_declared = !evidence.declared.is_empty() || !evidence.declared_hosts.is_empty();
    let has_answers = evidence.hosts_of_zone().any(|host| {
        let answer = evidence.hosts.get(host);
        answer.is_some_and(|answer| answer.is_known && answer.left_out.is_none())
    });
    let has_ranges = matches!(evidence.ranges, RangesUse::Loaded(_));
    [
        (Check::Declared, is_declared),
        (Check::HostName, has_answers),
        (Check::VendorRanges, has_ranges),
        (Check::SupportedRegions, evidence.supported.is_some()),
    ]
    .into_iter()
    .filter_map(|(check, made)| made.then_some(check))
    .collect()
}

struct Evaluator<'a> {
    places: &'a Places<'a>,
    supported: Option<&'a SupportedRegions>,
    findings: &'a mut ZoneFindings,
}

impl Evaluator<'_> {
    fn check(&mut self, mapping: &Mapping) {
        // What agrees with a declaration, or with a region in a host name, is not judged by weaker
        // evidence.
        let (places, ip) = (self.places, mapping.origin_ip);
        let declared = places.declared.get(&ip);
        let declared = declared.filter(|place| !place.is_unknown());
        let named = places.host_names.get(&ip);
        let is_settled = self.agrees(mapping, Check::Declared, declared)
            || self.agrees(mapping, Check::HostName, named)
                && named.is_some_and(ExpectedPlace::is_complete);
        if !is_settled {
            self.check_ranges(mapping);
        }
        self.check_supported(mapping);
    }

    /// Whether a check expects the mapping where it is.
    fn agrees(&mut self, mapping: &Mapping, check: Check, place: Option<&ExpectedPlace>) -> bool {
        let wrong = place.filter(|place| !place.agrees_with(mapping));
        if let Some(place) = wrong {
            self.wrong(mapping, check, place.clone());
        }
        place.is_some() && wrong.is_none()
    }

    fn check_ranges(&mut self, mapping: &Mapping) {
        let verdict = self.places.verdict(mapping.origin_ip);
        let unverified = match verdict {
            RangeVerdict::Unknown => return,
            RangeVerdict::NotInRanges => Some(Unverified::NotInRanges),
            RangeVerdict::InVendor(_) => Some(Unverified::RegionUnknown),
            RangeVerdict::InRegion(..) => None,
        };
        let place = verdict.place();
        self.findings.checks.insert(Check::VendorRanges);
        if !place.agrees_with(mapping) {
            self.wrong(mapping, Check::VendorRanges, place);
        } else if let Some(reason) = unverified {
            *self.findings.unverified.entry(reason).or_default() += 1;
        }
    }

    fn check_supported(&mut self, mapping: &Mapping) {
        let (vendor, region) = (&mapping.vendor, &mapping.region);
        let is_unlisted = |list: &SupportedRegions| list.find(vendor, region).is_none();
        if self.supported.is_some_and(is_unlisted) {
            self.wrong(mapping, Check::SupportedRegions, ExpectedPlace::default());
        }
    }

    fn wrong(&mut self, mapping: &Mapping, check: Check, expected: ExpectedPlace) {
        self.findings.wrong.push(WrongMapping {
            origin_ip: mapping.origin_ip,
            vendor: mapping.vendor.clone(),
            region: mapping.region.clone(),
            effect: effect(mapping, &expected, self.supported),
            expected: spell(expected, self.supported),
            check,
        });
    }
}
