//! Sources, hosts and places.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Address, source, host and expected place, as in the series of a missing mapping.
fn missing(world: &World) -> Vec<String> {
    let findings = world.findings();
    findings.missing.iter().map(shown).collect()
}

fn shown(origin: &ExpectedOrigin) -> String {
    let host = origin.host().map(HostName::as_str).unwrap_or_default();
    let vendor = origin.place.vendor.as_ref().map(Vendor::as_str);
    let region = origin.place.region.as_ref().map(Region::as_str);
    format!(
        "{} {} {host}:{}/{}",
        origin.origin_ip,
        origin.source().as_str(),
        vendor.unwrap_or_default(),
        region.unwrap_or_default()
    )
}

#[test]
fn an_origin_of_several_sources_counts_under_the_first() {
    let mut world = declared(&[("3.1.0.1", "", ""), ("a.example", "", "")]);
    world.discovered = Discovered {
        load_balancers: read(&["3.1.0.2", "::ffff:3.1.0.1", "a.example"]),
        rules: read(&["3.1.0.3", "b.example"]),
        dns: read(&["3.1.0.1", "3.1.0.2", "3.1.0.3", "3.1.0.4", "b.example"]),
    };
    world.hosts = [
        (host("a.example"), answer(&["3.1.0.5"])),
        (host("b.example"), answer(&["3.1.0.6", "3.1.0.4"])),
    ]
    .into();
    let findings = world.findings();
    let sources: Vec<_> = findings.origins.iter().map(shown).collect();
    assert_eq!(
        sources,
        [
            "3.1.0.1 config :/",
            "3.1.0.2 load_balancer :/",
            "3.1.0.3 rule :/",
            "3.1.0.4 rule :/",
            "3.1.0.5 config a.example:/",
            "3.1.0.6 rule b.example:/",
        ]
    );
    assert_eq!(
        findings.expected,
        BTreeMap::from([
            (Source::Config, 2),
            (Source::LoadBalancer, 1),
            (Source::Rule, 3),
            (Source::Dns, 0)
        ])
    );
    let all = findings.origins[3].sources;
    assert_eq!(all, [Source::Rule, Source::Dns].into_iter().collect());
}

#[test]
fn the_host_is_the_first_by_name_and_none_where_the_address_is_named_itself() {
    let mut world = World::default();
    world.discovered.dns = read(&["b.example", "a.example", "c.example", "3.1.0.2"]);
    world.hosts = [
        (host("b.example"), answer(&["3.1.0.1", "3.1.0.2"])),
        (host("a.example"), answer(&["3.1.0.1"])),
        (host("c.example"), answer(&[])),
    ]
    .into();
    assert_eq!(
        missing(&world),
        ["3.1.0.1 dns a.example:/", "3.1.0.2 dns :/"]
    );
    let hosts = &world.findings().origins[0].hosts;
    assert_eq!(*hosts, [host("a.example"), host("b.example")]);
}

#[test]
fn a_source_that_is_off_has_no_count_and_one_that_names_nothing_has_zero() {
    let mut world = World::default();
    assert_eq!(world.findings().expected, BTreeMap::new());
    world.discovered.dns = read(&[]);
    world.discovered.rules = SourceState::NotRead;
    assert_eq!(
        world.findings().expected,
        BTreeMap::from([(Source::Dns, 0)])
    );
}

#[test]
fn without_the_load_balancers_the_records_in_use_are_not_known() {
    let mut world = World {
        discovered: Discovered {
            load_balancers: SourceState::NotRead,
            rules: read(&["3.1.0.1"]),
            dns: read(&["3.1.0.2"]),
        },
        ..World::default()
    };
    assert_eq!(missing(&world), ["3.1.0.1 rule :/"]);
    world.discovered.load_balancers = SourceState::Off;
    assert_eq!(missing(&world).len(), 2);
}

#[test]
fn while_ranges_are_not_loaded_only_the_configuration_is_judged() {
    let mut world = declared(&[("3.1.0.3", "", ""), ("a.example", "", "")]);
    world.discovered.dns = read(&["3.1.0.1", "10.0.0.1"]);
    world.discovered.load_balancers = read(&["3.1.0.2", "b.example"]);
    world.hosts = [
        (host("a.example"), answer(&["3.1.0.4"])),
        (host("b.example"), answer(&["3.1.0.5"])),
    ]
    .into();
    world.ranges = Ranges::NotLoaded;
    let evaluation = world.evaluation();
    assert_eq!(
        evaluation.findings.expected,
        BTreeMap::from([(Source::Config, 2)])
    );
    assert_eq!(evaluation.findings.left_out, []);
    // They still count as named, so that no mapping of them is unused.
    let named = evaluation.named.addresses;
    assert!(named.contains(&ip("3.1.0.1")) && named.contains(&ip("3.1.0.5")));
}

#[test]
fn the_strongest_evidence_on_a_place_counts() {
    let spelled = |addresses: &[&str], vendor, region| HostAnswer {
        place: place(vendor, region),
        ..answer(addresses)
    };
    let mut world = declared(&[
        ("3.1.0.1", "gcp", "us-east1"),
        ("3.1.0.2", "aws", ""),
        ("3.1.0.3", "", ""),
        ("203.0.113.9", "", ""),
        ("declared.example", "oci", "us-ashburn-1"),
    ]);
    world.discovered.dns = read(&["spelled.example", "vendor.example", "3.2.0.1", "34.1.0.1"]);
    world.hosts = [
        (
            host("spelled.example"),
            spelled(&["3.1.0.1", "3.1.0.2", "3.1.0.4"], "aws", "eu-west-1"),
        ),
        (
            host("vendor.example"),
            spelled(&["3.1.0.5", "34.1.0.2"], "aws", ""),
        ),
        (
            host("declared.example"),
            spelled(&["3.1.0.6", "3.1.0.1"], "aws", "eu-west-3"),
        ),
    ]
    .into();
    world.ranges = Ranges::Loaded;
    let places: Vec<_> = world
        .findings()
        .origins
        .iter()
        .map(|origin| {
            let check = origin.check.map_or("", Check::as_str);
            format!("{} by {check}", shown(origin))
        })
        .collect();
    assert_eq!(
        places,
        [
            "3.1.0.1 config :gcp/us-east1 by declared",
            "3.1.0.2 config :aws/eu-west-1 by declared",
            "3.1.0.3 config :aws/us-east-1 by vendor_ranges",
            "3.1.0.4 dns spelled.example:aws/eu-west-1 by host_name",
            "3.1.0.5 dns vendor.example:aws/us-east-1 by host_name",
            "3.1.0.6 config declared.example:oci/us-ashburn-1 by declared",
            "3.2.0.1 dns :aws/ by vendor_ranges",
            "34.1.0.1 dns :gcp/us-central1 by vendor_ranges",
            "34.1.0.2 dns vendor.example:aws/ by host_name",
            "203.0.113.9 config :/ by ",
        ]
    );
}

#[test]
fn names_that_contradict_each_other_spell_nothing() {
    let mut world = World::default();
    world.discovered.dns = read(&["a.example", "b.example"]);
    let spelled = |vendor, region| HostAnswer {
        place: place(vendor, region),
        ..answer(&["3.1.0.1"])
    };
    for (a, b, expected) in [
        (("aws", "us-east-1"), ("aws", "eu-west-1"), "/"),
        (("aws", "us-east-1"), ("gcp", ""), "/"),
        (("aws", "us-east-1"), ("aws", "US-EAST-1"), "aws/us-east-1"),
        (("aws", ""), ("aws", "us-east-1"), "aws/us-east-1"),
        (
            ("azure", "centralfrance"),
            ("azure", "francecentral"),
            "azure/francecentral",
        ),
        (("", ""), ("aws", ""), "aws/"),
    ] {
        world.hosts = [
            (host("a.example"), spelled(a.0, a.1)),
            (host("b.example"), spelled(b.0, b.1)),
        ]
        .into();
        let rows = missing(&world);
        assert_eq!(
            rows,
            [format!("3.1.0.1 dns a.example:{expected}")],
            "{a:?} {b:?}"
        );
    }
}

#[test]
fn origin_hosts_are_counted_by_state() {
    let mut world = declared(&[("rotating.example", "", "")]);
    world.discovered.dns = read(&["a.example", "none.example", "bad.example", "new.example"]);
    world.discovered.rules = read(&["worker.example", "bad.example"]);
    let with = |state: fn(&mut HostAnswer), addresses| {
        let mut answer = answer(addresses);
        state(&mut answer);
        answer
    };
    world.hosts = [
        (host("a.example"), answer(&["3.1.0.1"])),
        (host("none.example"), answer(&[])),
        (
            host("bad.example"),
            with(|answer| answer.is_failing = true, &["3.1.0.2"]),
        ),
        (
            host("rotating.example"),
            with(|answer| answer.is_rotating = true, &["3.1.0.3"]),
        ),
        (
            host("worker.example"),
            with(|answer| answer.left_out = Some(LeftOutReason::Worker), &[]),
        ),
        (host("of-another-zone.example"), answer(&["3.1.0.9"])),
    ]
    .into();
    let findings = world.findings();
    assert_eq!(
        findings.hosts,
        Some(BTreeMap::from([
            (HostState::Resolved, 1),
            (HostState::Rotating, 1),
            (HostState::Failing, 1),
            (HostState::NoAddress, 1),
        ]))
    );
    let unresolved: Vec<_> = findings
        .unresolved_hosts
        .iter()
        .map(|row| (row.state, row.host.as_str(), row.sources))
        .collect();
    assert_eq!(
        unresolved,
        [
            (
                HostState::Failing,
                "bad.example",
                [Source::Rule, Source::Dns].into_iter().collect()
            ),
            (
                HostState::NoAddress,
                "none.example",
                [Source::Dns].into_iter().collect()
            ),
        ]
    );
    // The last addresses of a failing host stay expected; a rotating host is a finding of its own.
    let addresses: Vec<_> = findings.missing.iter().map(|row| row.origin_ip).collect();
    assert_eq!(addresses, [ip("3.1.0.1"), ip("3.1.0.2")]);
    let rotating: Vec<_> = findings
        .rotating
        .iter()
        .map(|row| row.host.as_str())
        .collect();
    assert_eq!(rotating, ["rotating.example"]);
}

#[test]
fn so_many_hosts_that_do_not_resolve_are_named_and_all_are_counted() {
    let names: Vec<_> = (0..MAX_UNRESOLVED_HOSTS + 5)
        .map(|n| format!("h{n:03}.example"))
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut world = World::default();
    world.discovered.dns = read(&names);
    let failing = HostAnswer {
        is_failing: true,
        ..HostAnswer::default()
    };
    let mut hosts: BTreeMap<_, _> = names
        .iter()
        .map(|name| (host(name), failing.clone()))
        .collect();
    hosts.insert(host("h000.example"), answer(&[]));
    world.hosts = hosts;
    let findings = world.findings();
    let counts = findings.hosts.unwrap();
    assert_eq!(counts[&HostState::Failing], MAX_UNRESOLVED_HOSTS + 4);
    let count = |state| {
        let hosts = findings.unresolved_hosts.iter();
        hosts.filter(|host| host.state == state).count()
    };
    assert_eq!(count(HostState::Failing), MAX_UNRESOLVED_HOSTS);
    assert_eq!(count(HostState::NoAddress), 1);
}

#[test]
fn hosts_are_counted_where_a_source_of_hosts_was_read() {
    assert_eq!(World::default().findings().hosts, None);
    assert_eq!(declared(&[("3.1.0.1", "", "")]).findings().hosts, None);
    let mut world = World::default();
    world.discovered.rules = read(&[]);
    let none = HostState::ALL.map(|state| (state, 0)).into();
    assert_eq!(world.findings().hosts, Some(none));
}

#[test]
fn an_address_of_a_rotating_host_is_expected_where_something_else_names_it() {
    let rotating = HostAnswer {
        is_rotating: true,
        ..answer(&["3.1.0.1", "3.1.0.2", "3.1.0.3"])
    };
    let mut world = World::default();
    world.discovered.dns = read(&["a.example", "b.example", "3.1.0.2"]);
    world.hosts = [
        (host("a.example"), rotating),
        (host("b.example"), answer(&["3.1.0.3"])),
    ]
    .into();
    assert_eq!(
        missing(&world),
        ["3.1.0.2 dns :/", "3.1.0.3 dns b.example:/"]
    );
}

#[test]
fn the_names_are_complete_when_every_source_was_read_well_and_no_host_is_unknown() {
    let complete = || {
        let mut world = declared(&[("c.example", "", "")]);
        world.discovered = Discovered {
            load_balancers: read(&["10.0.0.1"]),
            rules: read(&["a.example"]),
            dns: read(&["b.example", "x.pages.dev"]),
        };
        world.hosts = ["a.example", "b.example", "c.example"]
            .map(|name| (host(name), answer(&["3.1.0.1"])))
            .into();
        world
    };
    let spoil: [fn(&mut World); 6] = [
        |world| world.discovered.dns = SourceState::Off,
        |world| world.discovered.rules = SourceState::NotRead,
        |world| {
            if let SourceState::Read { is_current, .. } = &mut world.discovered.load_balancers {
                *is_current = false;
            }
        },
        |world| world.hosts.get_mut(&host("a.example")).unwrap().is_failing = true,
        |world| drop(world.hosts.remove(&host("c.example"))),
        |world| world.hosts.get_mut(&host("b.example")).unwrap().is_known = false,
    ];
    let named = complete().evaluation().named;
    assert!(named.is_complete);
    let expected: BTreeSet<_> = [ip("10.0.0.1"), ip("3.1.0.1")].into();
    assert_eq!(named.addresses, expected);
    for (index, spoil) in spoil.into_iter().enumerate() {
        let mut world = complete();
        spoil(&mut world);
        assert!(!world.evaluation().named.is_complete, "{index}");
    }
}

proptest! {
    #[test]
    fn every_named_origin_is_expected_or_left_out_and_the_counts_agree(
        config in prop::collection::vec(0_u8..9, 0..8),
        dns in prop::collection::vec(0_u8..9, 0..8),
        rules in prop::collection::vec(0_u8..9, 0..8),
        balancers in prop::collection::vec(0_u8..9, 0..8),
        mapped in prop::collection::btree_set(0_u8..9, 0..8),
        loaded: bool,
    ) {
        const POOL: [&str; 9] = [
            "192.0.2.1", "3.1.0.1", "3.2.0.1", "5.0.0.1", "10.0.0.1", "::1", "2001:db8::1",
            "fd00::1", "100::",
        ];
        let pick = |chosen: &[u8]| chosen.iter().map(|i| POOL[usize::from(*i)]).collect::<Vec<_>>();
        let rows: Vec<_> = pick(&config).into_iter().map(|ip| (ip, "", "")).collect();
        let mut world = declared(&rows);
        world.discovered = Discovered {
            load_balancers: read(&pick(&balancers)),
            rules: read(&pick(&rules)),
            dns: read(&pick(&dns)),
        };
        world.ranges = if loaded { Ranges::Loaded } else { Ranges::Off };
        let mapped = pick(&mapped.into_iter().collect::<Vec<_>>());
        let rows: Vec<_> = mapped.iter().map(|ip| (*ip, "aws", "us-east-1")).collect();
        world.mappings = zone(&rows);
        let got = world.findings();
        let named: BTreeSet<u8> = [config, dns, rules, balancers].concat().into_iter().collect();
        prop_assert_eq!(got.origins.len() + got.left_out.len(), named.len());
        prop_assert_eq!(got.expected.values().sum::<usize>(), got.origins.len());
        let missing: Vec<_> = got
            .origins
            .iter()
            .filter(|origin| world.mappings.get(origin.origin_ip).is_none())
            .cloned()
            .collect();
        prop_assert_eq!(got.missing, missing);
    }
}
