//! The checks, each with mappings.

use super::*;

fn wrong(findings: &ZoneFindings) -> Vec<(String, Check, ExpectedPlace)> {
    findings
        .wrong
        .iter()
        .map(|row| (row.origin_ip.to_string(), row.check, row.expected.clone()))
        .collect()
}

fn checks(findings: &ZoneFindings) -> Vec<&'static str> {
    findings.checks.iter().map(|check| check.as_str()).collect()
}

/// The checks that a mapping fails.
fn failed(world: &World) -> Vec<&'static str> {
    let findings = world.findings();
    findings
        .wrong
        .iter()
        .map(|row| row.check.as_str())
        .collect()
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
        let mut world = declared(&[("2001:DB8:0::1", says.0, says.1)]);
        world.mappings = zone(&[("2001:db8::1", mapped.0, mapped.1)]);
        let findings = world.findings();
        let row = (
            "2001:db8::1".to_owned(),
            Check::Declared,
            place(says.0, says.1),
        );
        let expected = if is_wrong { vec![row] } else { Vec::new() };
        assert_eq!(wrong(&findings), expected, "{mapped:?} {says:?}");
        assert_eq!(checks(&findings), ["declared"]);
    }
}

#[test]
fn a_declared_host_judges_the_mappings_of_its_addresses() {
    let mut world = declared(&[
        ("b.example", "gcp", "us-east1"),
        ("a.example", "aws", "us-east-1"),
        ("3.1.0.3", "oci", "us-ashburn-1"),
    ]);
    world.hosts = [
        (host("a.example"), answer(&["3.1.0.1", "3.1.0.2"])),
        (host("b.example"), answer(&["3.1.0.2", "3.1.0.3"])),
    ]
    .into();
    world.mappings = zone(&[
        ("3.1.0.1", "azure", "eastus"),
        ("3.1.0.2", "azure", "eastus"),
        ("3.1.0.3", "azure", "eastus"),
    ]);
    let row = |ip: &str, vendor, region| (ip.to_owned(), Check::Declared, place(vendor, region));
    assert_eq!(
        wrong(&world.findings()),
        [
            row("3.1.0.1", "aws", "us-east-1"),
            row("3.1.0.2", "aws", "us-east-1"),
            row("3.1.0.3", "oci", "us-ashburn-1"),
        ]
    );
}

#[test]
fn a_host_name_judges_the_mappings_of_its_addresses() {
    for (mapped, spelled, is_wrong) in [
        (("aws", "us-east-1"), ("aws", "us-east-1"), false),
        (("aws", "eu-west-1"), ("aws", "us-east-1"), true),
        (("gcp", "us-east-1"), ("aws", "us-east-1"), true),
        (("gcp", "us-east1"), ("aws", ""), true),
        (("aws", "eu-west-1"), ("aws", ""), false),
        (("aws", "eu-west-1"), ("", ""), false),
    ] {
        let mut world = World::default();
        world.discovered.dns = read(&["a.example"]);
        let answer = HostAnswer {
            place: place(spelled.0, spelled.1),
            ..answer(&["3.1.0.1"])
        };
        world.hosts = [(host("a.example"), answer)].into();
        world.mappings = zone(&[("3.1.0.1", mapped.0, mapped.1)]);
        let findings = world.findings();
        let row = (
            "3.1.0.1".to_owned(),
            Check::HostName,
            place(spelled.0, spelled.1),
        );
        let expected = if is_wrong { vec![row] } else { Vec::new() };
        assert_eq!(wrong(&findings), expected, "{mapped:?} {spelled:?}");
        assert_eq!(checks(&findings), ["host_name"]);
    }
}

#[test]
fn the_ranges_judge_vendor_and_region() {
    use RangeVerdict::{InRegion, InVendor, NotInRanges, Unknown};
    let region = |name| Region::parse(name).unwrap();
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
        let world = World {
            mappings: zone(&[("3.1.0.1", mapped.0, mapped.1)]),
            ranges: Ranges::Loaded,
            verdict: {
                let verdict = verdict.clone();
                Box::new(move |_| verdict.clone())
            },
            ..World::default()
        };
        let findings = world.findings();
        let row = |(vendor, name)| {
            let expected = place(vendor, name);
            ("3.1.0.1".to_owned(), Check::VendorRanges, expected)
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
        assert_eq!(checks(&findings), ["vendor_ranges"]);
    }
}

#[test]
fn the_ranges_are_no_check_while_they_are_off_or_can_judge_nothing() {
    let mut world = World {
        mappings: zone(&[("3.1.0.1", "aws", "us-east-1")]),
        verdict: Box::new(|_| RangeVerdict::Unknown),
        ..World::default()
    };
    for ranges in [Ranges::Off, Ranges::NotLoaded] {
        world.ranges = ranges;
        assert_eq!(world.findings(), ZoneFindings::default());
    }
    world.verdict = Box::new(|_| RangeVerdict::InVendor(Vendor::Gcp));
    let findings = world.findings();
    assert_eq!(checks(&findings), ["vendor_ranges"]);
    assert_eq!(findings.wrong.len(), 1);
}

#[test]
fn a_mapping_as_declared_is_judged_by_no_other_check_but_the_supported_regions() {
    // The name says eu-west-1 and the ranges us-east-1.
    let mut world = declared(&[("3.1.0.1", "gcp", "us-east1")]);
    world.discovered.dns = read(&["a.example"]);
    let answer = HostAnswer {
        place: place("aws", "eu-west-1"),
        ..answer(&["3.1.0.1"])
    };
    world.hosts = [(host("a.example"), answer)].into();
    world.ranges = Ranges::Loaded;
    for (mapped, expected) in [
        (("gcp", "us-east1"), vec![]),
        (("aws", "eu-west-1"), vec!["declared"]),
        (("aws", "us-east-1"), vec!["declared", "host_name"]),
        (
            ("oci", "us-ashburn-1"),
            vec!["declared", "host_name", "vendor_ranges"],
        ),
    ] {
        world.mappings = zone(&[("3.1.0.1", mapped.0, mapped.1)]);
        assert_eq!(failed(&world), expected, "{mapped:?}");
    }
    world.mappings = zone(&[("3.1.0.1", "gcp", "us-east1")]);
    assert_eq!(world.findings().unverified.values().sum::<usize>(), 0);
    world.supported = Some(supported(&[("gcp", "us-west1", "")]));
    assert_eq!(failed(&world), ["supported_regions"]);
}

#[test]
fn an_origin_that_is_declared_without_a_place_is_judged_by_the_other_checks() {
    let mut world = declared(&[("3.1.0.1", "", "")]);
    world.ranges = Ranges::Loaded;
    world.mappings = zone(&[("3.1.0.1", "aws", "us-west-2")]);
    assert_eq!(failed(&world), ["vendor_ranges"]);
}

#[test]
fn a_mapping_is_wrong_where_cloudflare_does_not_list_its_region() {
    let list = [("aws", "us-east-1", ""), ("azure", "centralfrance", "")];
    let mut world = World {
        supported: Some(supported(&list)),
        mappings: zone(&[
            ("192.0.2.1", "aws", "us-east-1"),
            ("192.0.2.2", "aws", "us-east-9"),
            ("192.0.2.3", "azure", "FranceCentral"),
            ("192.0.2.4", "hetzner", "fsn1"),
        ]),
        ..World::default()
    };
    let findings = world.findings();
    let row = |ip: &str| (ip.to_owned(), Check::SupportedRegions, place("", ""));
    assert_eq!(wrong(&findings), [row("192.0.2.2"), row("192.0.2.4")]);
    assert_eq!(checks(&findings), ["supported_regions"]);
    assert!(
        findings
            .wrong
            .iter()
            .all(|row| row.effect == Effect::Unknown)
    );

    world.supported = Some(SupportedRegions::default());
    assert_eq!(world.findings(), ZoneFindings::default());
}

#[test]
fn a_mistyped_declaration_is_the_configurations_fault() {
    let list = [("aws", "us-east-1", ""), ("azure", "francecentral", "")];
    for (says, usable) in [
        (("aws", "us-east-1"), Some(("aws", "us-east-1"))),
        (("Azure", "centralfrance"), Some(("azure", "francecentral"))),
        (("aws", ""), Some(("aws", ""))),
        (("", "us-east-1"), Some(("", "us-east-1"))),
        (("", ""), Some(("", ""))),
        (("aws", "useast1"), None),
        (("awz", "us-east-1"), None),
        (("", "useast1"), None),
        (("awz", ""), None),
    ] {
        let mut world = declared(&[("192.0.2.1", says.0, says.1), ("192.0.2.2", says.0, says.1)]);
        world.mappings = zone(&[("192.0.2.1", "aws", "us-east-1")]);
        world.supported = Some(supported(&list));
        let findings = world.findings();
        let mistakes = &findings.unsupported_declarations;
        let Some((vendor, region)) = usable else {
            assert_eq!(findings.wrong, [], "{says:?}");
            assert_eq!(mistakes.len(), 2, "{says:?}");
            assert_eq!(mistakes[0].origin, "192.0.2.1");
            assert_eq!(mistakes[0].place, place(says.0, says.1));
            let expected = &findings.missing[0].place;
            assert!(expected.region.is_none(), "{says:?}");
            continue;
        };
        assert_eq!(*mistakes, [], "{says:?}");
        assert_eq!(findings.missing[0].place, place(vendor, region), "{says:?}");
    }
}

#[test]
fn a_mapping_that_fails_several_checks_has_a_row_for_each_in_cloudflares_spelling() {
    let mut world = declared(&[("192.0.2.1", "azure", "FranceCentral")]);
    world.supported = Some(supported(&[
        ("azure", "centralfrance", ""),
        ("azure", "x", ""),
    ]));
    world.mappings = zone(&[("192.0.2.1", "aws", "us-east-9")]);
    let norway = Region::parse("norwaye").unwrap();
    world.verdict = Box::new(move |_| RangeVerdict::InRegion(Vendor::Azure, norway.clone()));
    world.ranges = Ranges::Loaded;
    let row = |check, vendor, name| ("192.0.2.1".to_owned(), check, place(vendor, name));
    let findings = world.findings();
    assert_eq!(
        wrong(&findings),
        [
            row(Check::Declared, "azure", "centralfrance"),
            row(Check::VendorRanges, "azure", "norwayeast"),
            row(Check::SupportedRegions, "", ""),
        ]
    );
    assert_eq!(findings.wrong_origins(), 1);
}

#[test]
fn missing_origins_are_shown_in_cloudflares_spelling() {
    let mut world = declared(&[("192.0.2.1", "azure", "norwayeast")]);
    assert_eq!(
        world.findings().missing[0].place,
        place("azure", "norwayeast")
    );
    world.supported = Some(supported(&[("azure", "norwaye", "")]));
    assert_eq!(world.findings().missing[0].place, place("azure", "norwaye"));
}

#[test]
fn the_effect_compares_the_upper_tiers_of_both_regions() {
    let list = [
        ("aws", "us-east-1", "IAD EWR"),
        ("aws", "us-east-2", "EWR IAD"),
        ("aws", "eu-west-1", "LHR"),
        ("aws", "sa-east-1", ""),
        ("gcp", "us-east4", "IAD EWR"),
    ];
    for (mapped, says, complete, effect) in [
        (
            ("aws", "us-east-2"),
            ("aws", "us-east-1"),
            true,
            Effect::SameTiers,
        ),
        (
            ("gcp", "us-east4"),
            ("aws", "us-east-1"),
            true,
            Effect::SameTiers,
        ),
        (
            ("aws", "eu-west-1"),
            ("aws", "us-east-1"),
            true,
            Effect::OtherTiers,
        ),
        (
            ("aws", "sa-east-1"),
            ("aws", "us-east-1"),
            true,
            Effect::Unknown,
        ),
        (
            ("aws", "eu-west-1"),
            ("aws", "sa-east-1"),
            true,
            Effect::Unknown,
        ),
        (
            ("aws", "mars-1"),
            ("aws", "us-east-1"),
            true,
            Effect::Unknown,
        ),
        (("aws", "eu-west-1"), ("gcp", ""), true, Effect::Unknown),
        (
            ("aws", "us-east-2"),
            ("aws", "us-east-1"),
            false,
            Effect::Unknown,
        ),
    ] {
        let mut world = declared(&[("192.0.2.1", says.0, says.1)]);
        let mut regions = supported(&list);
        regions.colos_complete = complete;
        world.supported = Some(regions);
        world.mappings = zone(&[("192.0.2.1", mapped.0, mapped.1)]);
        let got = world.findings().wrong[0].effect;
        assert_eq!(got, effect, "{mapped:?} {says:?}");
    }
    let mut world = declared(&[("192.0.2.1", "aws", "us-east-1")]);
    world.mappings = zone(&[("192.0.2.1", "aws", "us-east-2")]);
    assert_eq!(world.findings().wrong[0].effect, Effect::Unknown);
}

#[test]
fn mappings_are_idle_where_either_setting_is_off() {
    for (enabled, smart_enabled, idle) in [
        (Some(true), Some(true), Some(false)),
        (Some(false), Some(true), Some(true)),
        (Some(true), Some(false), Some(true)),
        (Some(false), None, Some(true)),
        (None, Some(false), Some(true)),
        (Some(true), None, None),
        (None, None, None),
    ] {
        let settings = TieredCache {
            enabled,
            smart_enabled,
        };
        assert_eq!(settings.makes_mappings_idle(), idle, "{settings:?}");
    }
}
