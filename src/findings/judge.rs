//! Mappings against what is expected of them.

use std::collections::{BTreeMap, BTreeSet};

use super::supported::spell;
use super::{
    Check, Expectations, ExpectedOrigin, ExpectedPlace, RangesUse, SupportedRegions, Unverified,
    WrongMapping, ZoneFindings,
};
use crate::domain::{Mapping, RangeVerdict, Vendor, ZoneMappings, same_region, same_vendor};

/// Judges the mappings of one zone. A mapping that fails several checks is named once for each.
///
/// - *declared*, made where the configuration declares an origin of the zone: vendor and region,
///   as far as they are declared;
/// - *vendor ranges*, made with loaded ranges (while some are missing, where the others could judge
///   at least one mapping): the vendor and, where the file says it, the region that publishes the
///   address;
/// - *supported regions*, made where Cloudflare's list is known and not empty: that it has the
///   mapping's vendor and region. It names nothing else to expect.
pub fn judge(
    mappings: &ZoneMappings,
    expectations: &Expectations,
    supported: Option<&SupportedRegions>,
    ranges: RangesUse<'_>,
) -> ZoneFindings {
    let supported = supported.filter(|supported| !supported.is_empty());
    let mut judgement = Judgement {
        expectations,
        supported,
        ranges,
        wrong: Vec::new(),
        checks: checks_for_sure(expectations, supported, ranges),
        unverified: BTreeMap::new(),
    };
    for mapping in mappings.as_slice() {
        judgement.check_declared(mapping);
        judgement.check_ranges(mapping);
        judgement.check_supported(mapping);
    }
    if judgement.checks.contains(&Check::VendorRanges) {
        for reason in Unverified::ALL {
            judgement.unverified.entry(reason).or_default();
        }
    }
    ZoneFindings {
        expected: expectations.sources.clone(),
        missing: missing(mappings, expectations, supported),
        wrong: judgement.wrong,
        checks: judgement.checks,
        unverified: judgement.unverified,
        left_out: expectations.left_out.clone(),
    }
}

/// The checks that are made even where the zone has no mapping.
fn checks_for_sure(
    expectations: &Expectations,
    supported: Option<&SupportedRegions>,
    ranges: RangesUse<'_>,
) -> BTreeSet<Check> {
    [
        (Check::Declared, !expectations.declared.is_empty()),
        (Check::VendorRanges, matches!(ranges, RangesUse::Loaded(_))),
        (Check::SupportedRegions, supported.is_some()),
    ]
    .into_iter()
    .filter_map(|(check, made)| made.then_some(check))
    .collect()
}

fn missing(
    mappings: &ZoneMappings,
    expectations: &Expectations,
    supported: Option<&SupportedRegions>,
) -> Vec<ExpectedOrigin> {
    expectations
        .origins
        .values()
        .filter(|origin| mappings.get(origin.origin_ip).is_none())
        .map(|origin| ExpectedOrigin {
            place: spell(origin.place.clone(), supported),
            ..origin.clone()
        })
        .collect()
}

struct Judgement<'a> {
    expectations: &'a Expectations,
    supported: Option<&'a SupportedRegions>,
    ranges: RangesUse<'a>,
    wrong: Vec<WrongMapping>,
    checks: BTreeSet<Check>,
    unverified: BTreeMap<Unverified, usize>,
}

impl Judgement<'_> {
    fn check_declared(&mut self, mapping: &Mapping) {
        let Some(place) = self.expectations.declared.get(&mapping.origin_ip) else {
            return;
        };
        if !agrees(mapping, place) {
            self.wrong(mapping, Check::Declared, place.clone());
        }
    }

    fn check_ranges(&mut self, mapping: &Mapping) {
        let (RangesUse::Loaded(verdict) | RangesUse::NotLoaded(verdict)) = self.ranges else {
            return;
        };
        let (place, unverified) = match verdict(mapping.origin_ip) {
            RangeVerdict::Unknown => return,
            RangeVerdict::NotInRanges => (ExpectedPlace::default(), Some(Unverified::NotInRanges)),
            RangeVerdict::InVendor(vendor) => (
                ExpectedPlace {
                    vendor: Some(vendor),
                    region: None,
                },
                Some(Unverified::RegionUnknown),
            ),
            RangeVerdict::InRegion(vendor, region) => (
                ExpectedPlace {
                    vendor: Some(vendor),
                    region: Some(region),
                },
                None,
            ),
        };
        self.checks.insert(Check::VendorRanges);
        if !agrees(mapping, &place) {
            self.wrong(mapping, Check::VendorRanges, place);
        } else if let Some(reason) = unverified {
            *self.unverified.entry(reason).or_default() += 1;
        }
    }

    fn check_supported(&mut self, mapping: &Mapping) {
        let is_listed =
            |list: &SupportedRegions| list.find(&mapping.vendor, &mapping.region).is_some();
        if self.supported.is_some_and(|list| !is_listed(list)) {
            self.wrong(mapping, Check::SupportedRegions, ExpectedPlace::default());
        }
    }

    fn wrong(&mut self, mapping: &Mapping, check: Check, expected: ExpectedPlace) {
        self.wrong.push(WrongMapping {
            origin_ip: mapping.origin_ip,
            vendor: mapping.vendor.clone(),
            region: mapping.region.clone(),
            expected: spell(expected, self.supported),
            check,
        });
    }
}

/// Whether a mapping is where a place says; what the place leaves open is right.
fn agrees(mapping: &Mapping, place: &ExpectedPlace) -> bool {
    let is_vendor = |vendor: &Vendor| same_vendor(&mapping.vendor, vendor);
    place.vendor.as_ref().is_none_or(is_vendor)
        && place
            .region
            .as_ref()
            .is_none_or(|region| same_region(&mapping.vendor, &mapping.region, region))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{OriginIp, Region};
    use crate::findings::{
        Candidates, DeclaredOrigin, Discovered, Source, SupportedRegion, expected,
    };

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    fn region(text: &str) -> Region {
        Region::parse(text).unwrap()
    }

    /// An empty name is one that is not known.
    fn place(vendor: &str, name: &str) -> ExpectedPlace {
        ExpectedPlace {
            vendor: Vendor::parse(vendor).ok(),
            region: Region::parse(name).ok(),
        }
    }

    fn declared(rows: &[(&str, &str, &str)]) -> Expectations {
        let origins: Vec<_> = rows
            .iter()
            .map(|(address, vendor, name)| DeclaredOrigin {
                origin_ip: ip(address),
                place: place(vendor, name),
            })
            .collect();
        expected(&origins, &Discovered::default(), RangesUse::Off)
    }

    fn zone(rows: &[(&str, &str, &str)]) -> ZoneMappings {
        let mapping = |(address, vendor, name): &(&str, &str, &str)| Mapping {
            origin_ip: ip(address),
            vendor: Vendor::parse(vendor).unwrap(),
            region: region(name),
            modified_on: None,
        };
        ZoneMappings::from_rows(rows.iter().map(mapping).collect()).unwrap()
    }

    fn wrong(findings: &ZoneFindings) -> Vec<(String, Check, ExpectedPlace)> {
        findings
            .wrong
            .iter()
            .map(|row| (row.origin_ip.to_string(), row.check, row.expected.clone()))
            .collect()
    }

    fn supported(rows: &[(&str, &str)]) -> SupportedRegions {
        rows.iter()
            .map(|(vendor, name)| {
                let row = SupportedRegion {
                    region: region(name),
                    upper_tier_colos: Vec::new(),
                };
                (Vendor::parse(vendor).unwrap(), row)
            })
            .collect()
    }

    #[test]
    fn missing_origins_are_in_the_order_of_their_addresses() {
        let expectations = declared(&[
            ("2001:db8::1", "", ""),
            ("192.0.2.10", "azure", "centralfrance"),
            ("192.0.2.9", "", ""),
            ("::ffff:192.0.2.8", "", ""),
        ]);
        let mappings = zone(&[("192.0.2.8", "aws", "us-east-1")]);
        let findings = judge(&mappings, &expectations, None, RangesUse::Off);
        let shown: Vec<_> = findings
            .missing
            .iter()
            .map(|origin| (origin.origin_ip.to_string(), origin.place.clone()))
            .collect();
        assert_eq!(
            shown,
            [
                ("192.0.2.9".to_owned(), place("", "")),
                ("192.0.2.10".to_owned(), place("azure", "francecentral")),
                ("2001:db8::1".to_owned(), place("", "")),
            ]
        );
        assert_eq!(findings.expected, BTreeMap::from([(Source::Config, 4)]));
    }

    #[test]
    fn a_declaration_is_compared_as_far_as_it_goes() {
        for (mapped, says, is_wrong) in [
            (("aws", "us-east-1"), ("aws", "us-east-1"), false),
            (("aws", "us-east-1"), ("AWS", "US-EAST-1"), false),
            (("aws", "us-east-1"), ("aws", ""), false),
            (("aws", "us-east-1"), ("", ""), false),
            (("aws", "us-east-1"), ("", "us-east-1"), false),
            (("aws", "us-east-1"), ("aws", "us-east-2"), true),
            (("aws", "us-east-1"), ("", "us-east-2"), true),
            (("aws", "us-east-1"), ("gcp", ""), true),
            (("aws", "us-east-1"), ("gcp", "us-east-1"), true),
            (
                ("azure", "francecentral"),
                ("azure", "centralfrance"),
                false,
            ),
            (("hetzner", "fsn1"), ("Hetzner", "FSN1"), false),
            (("hetzner", "fsn1"), ("aws", "eu-central-1"), true),
        ] {
            let mappings = zone(&[("2001:db8::1", mapped.0, mapped.1)]);
            let expectations = declared(&[("2001:DB8:0::1", says.0, says.1)]);
            let findings = judge(&mappings, &expectations, None, RangesUse::Off);
            let expected_rows = if is_wrong {
                vec![(
                    "2001:db8::1".to_owned(),
                    Check::Declared,
                    place(says.0, says.1),
                )]
            } else {
                Vec::new()
            };
            assert_eq!(wrong(&findings), expected_rows, "{mapped:?} {says:?}");
            assert_eq!(findings.checks, BTreeSet::from([Check::Declared]));
        }
    }

    #[test]
    fn a_declared_private_address_is_not_missing_but_its_mapping_is_compared() {
        let expectations = declared(&[("10.0.0.1", "aws", ""), ("10.0.0.2", "aws", "")]);
        let mappings = zone(&[("10.0.0.1", "gcp", "us-east1")]);
        let findings = judge(&mappings, &expectations, None, RangesUse::Off);
        assert_eq!(findings.missing, []);
        assert_eq!(findings.wrong.len(), 1);
        assert_eq!(findings.left_out.values().sum::<usize>(), 2);
    }

    #[test]
    fn the_ranges_judge_vendor_and_region() {
        use RangeVerdict::{InRegion, InVendor, NotInRanges, Unknown};
        let in_us = InRegion(Vendor::Aws, region("us-east-1"));
        let france = InRegion(Vendor::Azure, region("francecentral"));
        let not_in_ranges = Some(Unverified::NotInRanges);
        let region_unknown = Some(Unverified::RegionUnknown);
        for (mapped, verdict, expected_place, unverified) in [
            (("aws", "us-east-1"), in_us.clone(), None, None),
            (("aws", "US-EAST-1"), in_us.clone(), None, None),
            (
                ("aws", "us-west-2"),
                in_us.clone(),
                Some(("aws", "us-east-1")),
                None,
            ),
            (
                ("gcp", "us-east-1"),
                in_us.clone(),
                Some(("aws", "us-east-1")),
                None,
            ),
            (("hetzner", "fsn1"), in_us, Some(("aws", "us-east-1")), None),
            (
                ("hetzner", "fsn1"),
                InVendor(Vendor::Oci),
                Some(("oci", "")),
                None,
            ),
            (("hetzner", "fsn1"), NotInRanges, None, not_in_ranges),
            (("azure", "centralfrance"), france.clone(), None, None),
            (
                ("azure", "francesouth"),
                france,
                Some(("azure", "francecentral")),
                None,
            ),
            (
                ("gcp", "us-central1"),
                InVendor(Vendor::Gcp),
                None,
                region_unknown,
            ),
            (
                ("aws", "us-east-1"),
                InVendor(Vendor::Gcp),
                Some(("gcp", "")),
                None,
            ),
            (("aws", "us-east-1"), NotInRanges, None, not_in_ranges),
            (("aws", "us-east-1"), Unknown, None, None),
        ] {
            let mappings = zone(&[("192.0.2.1", mapped.0, mapped.1)]);
            let lookup = |_| verdict.clone();
            let ranges = RangesUse::Loaded(&lookup);
            let findings = judge(&mappings, &Expectations::default(), None, ranges);
            let row = |(vendor, name)| {
                let expected = place(vendor, name);
                ("192.0.2.1".to_owned(), Check::VendorRanges, expected)
            };
            let rows: Vec<_> = expected_place.map(row).into_iter().collect();
            assert_eq!(wrong(&findings), rows, "{mapped:?} {verdict:?}");
            for reason in Unverified::ALL {
                let count = usize::from(unverified == Some(reason));
                assert_eq!(
                    findings.unverified.get(&reason),
                    Some(&count),
                    "{verdict:?}"
                );
            }
            assert_eq!(findings.checks, BTreeSet::from([Check::VendorRanges]));
        }
    }

    #[test]
    fn the_ranges_are_no_check_while_they_are_off_or_can_judge_nothing() {
        let mappings = zone(&[("192.0.2.1", "aws", "us-east-1")]);
        let unknown = |_| RangeVerdict::Unknown;
        for ranges in [RangesUse::Off, RangesUse::NotLoaded(&unknown)] {
            let findings = judge(&mappings, &Expectations::default(), None, ranges);
            assert_eq!(findings, ZoneFindings::default());
        }
        let known = |_| RangeVerdict::InVendor(Vendor::Gcp);
        let ranges = RangesUse::NotLoaded(&known);
        let findings = judge(&mappings, &Expectations::default(), None, ranges);
        assert_eq!(findings.checks, BTreeSet::from([Check::VendorRanges]));
        assert_eq!(findings.wrong.len(), 1);
    }

    #[test]
    fn a_mapping_is_wrong_where_cloudflare_does_not_list_its_region() {
        let list = supported(&[("aws", "us-east-1"), ("azure", "centralfrance")]);
        let mappings = zone(&[
            ("192.0.2.1", "aws", "us-east-1"),
            ("192.0.2.2", "aws", "us-east-9"),
            ("192.0.2.3", "azure", "FranceCentral"),
            ("192.0.2.4", "hetzner", "fsn1"),
        ]);
        let none = Expectations::default();
        let findings = judge(&mappings, &none, Some(&list), RangesUse::Off);
        let row = |ip: &str| (ip.to_owned(), Check::SupportedRegions, place("", ""));
        assert_eq!(wrong(&findings), [row("192.0.2.2"), row("192.0.2.4")]);
        assert_eq!(findings.checks, BTreeSet::from([Check::SupportedRegions]));

        let empty = SupportedRegions::default();
        let findings = judge(&mappings, &none, Some(&empty), RangesUse::Off);
        assert_eq!(findings, ZoneFindings::default());
    }

    #[test]
    fn a_mapping_that_fails_several_checks_has_a_row_for_each_in_cloudflares_spelling() {
        let list = supported(&[("azure", "centralfrance")]);
        let mappings = zone(&[("192.0.2.1", "aws", "us-east-9")]);
        let expectations = declared(&[("192.0.2.1", "azure", "FranceCentral")]);
        let verdict = |_| RangeVerdict::InRegion(Vendor::Azure, region("norwaye"));
        let ranges = RangesUse::Loaded(&verdict);
        let findings = judge(&mappings, &expectations, Some(&list), ranges);
        let row = |check, vendor, name| ("192.0.2.1".to_owned(), check, place(vendor, name));
        assert_eq!(
            wrong(&findings),
            [
                row(Check::Declared, "azure", "centralfrance"),
                row(Check::VendorRanges, "azure", "norwayeast"),
                row(Check::SupportedRegions, "", ""),
            ]
        );
    }

    proptest! {
        #[test]
        fn every_expected_origin_is_mapped_or_missing(
            mapped in prop::collection::btree_set(any::<u8>(), 0..40),
            named in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let address = |last: &u8| format!("192.0.2.{last}");
            let rows: Vec<String> = mapped.iter().map(address).collect();
            let rows: Vec<_> = rows.iter().map(|ip| (ip.as_str(), "aws", "us-east-1")).collect();
            let mappings = zone(&rows);
            let discovered = Discovered {
                dns: Some(Candidates {
                    ips: named.iter().map(|last| ip(&address(last))).collect(),
                    left_out: BTreeMap::new(),
                }),
                load_balancers: None,
            };
            let expectations = expected(&[], &discovered, RangesUse::Off);
            let findings = judge(&mappings, &expectations, None, RangesUse::Off);
            let named: BTreeSet<u8> = named.into_iter().collect();
            let missing: Vec<_> = named.difference(&mapped).map(|last| ip(&address(last))).collect();
            let got: Vec<_> = findings.missing.iter().map(|origin| origin.origin_ip).collect();
            prop_assert_eq!(got, missing);
            prop_assert_eq!(findings.expected.get(&Source::Dns), Some(&named.len()));
        }
    }
}
