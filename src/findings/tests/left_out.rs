//! What is not an expected origin, with its reason.

use super::*;

/// What is left out, as `ADDRESS-OR-HOST REASON`.
fn left_out(world: &World) -> Vec<String> {
    let findings = world.findings();
    let rows = findings.left_out.iter().map(|row| {
        let address = row.origin_ip.map(|ip| ip.to_string());
        let host = row.hosts.first().map(ToString::to_string);
        let name = address.or(host).unwrap_or_default();
        format!("{name} {}", row.reason.as_str())
    });
    rows.collect()
}

#[test]
fn each_discovered_address_has_its_reason() {
    let mut world = World {
        cloudflare: vec!["104.16.0.0/13".parse().unwrap()],
        ignore: vec!["3.1.7.0/24".parse().unwrap(), "3.1.8.1/32".parse().unwrap()],
        ranges: Ranges::Loaded,
        ..World::default()
    };
    for (target, reason) in [
        ("3.1.0.1", None),
        ("3.2.0.1", None),
        ("10.0.0.1", Some("special_purpose")),
        ("::ffff:10.0.0.1", Some("special_purpose")),
        ("224.0.0.1", Some("special_purpose")),
        ("fec0::1", Some("special_purpose")),
        ("198.18.0.1", Some("special_purpose")),
        ("192.0.2.1", Some("placeholder")),
        ("2001:db8::1", Some("placeholder")),
        ("100::", Some("placeholder")),
        ("104.17.0.1", Some("cloudflare")),
        ("3.1.7.255", Some("ignored")),
        ("3.1.8.1", Some("ignored")),
        ("3.1.8.2", None),
        ("5.5.5.5", Some("outside_vendor_ranges")),
        ("x.cfargotunnel.com", Some("no_origin_address")),
        ("shop.pages.dev", Some("no_origin_address")),
        ("api.team.workers.dev", Some("no_origin_address")),
        ("public.r2.dev", Some("no_origin_address")),
    ] {
        world.discovered.dns = read(&[target]);
        let got = world.findings();
        let reasons: Vec<_> = got.left_out.iter().map(|row| row.reason.as_str()).collect();
        assert_eq!(reasons, Vec::from_iter(reason), "{target}");
        let expects = target.parse::<std::net::IpAddr>().is_ok() && reason.is_none();
        assert_eq!(got.missing.len(), usize::from(expects), "{target}");
    }
}

#[test]
fn a_declared_address_is_left_out_only_where_no_origin_can_have_it() {
    let mut world = declared(&[
        ("192.0.2.1", "", ""),
        ("2001:db8::1", "", ""),
        ("5.5.5.5", "", ""),
        ("10.0.0.1", "aws", ""),
        ("100::1", "", ""),
        ("104.17.0.1", "", ""),
        ("3.1.7.1", "", ""),
    ]);
    world.cloudflare = vec!["104.16.0.0/13".parse().unwrap()];
    world.ignore = vec!["3.1.7.0/24".parse().unwrap()];
    world.ranges = Ranges::Loaded;
    world.mappings = zone(&[("10.0.0.1", "gcp", "us-east1")]);
    let findings = world.findings();
    let expected: Vec<_> = findings.origins.iter().map(|row| row.origin_ip).collect();
    assert_eq!(
        expected,
        [ip("5.5.5.5"), ip("192.0.2.1"), ip("2001:db8::1")]
    );
    assert_eq!(
        left_out(&world),
        [
            "3.1.7.1 ignored",
            "10.0.0.1 special_purpose",
            "104.17.0.1 cloudflare",
            "100::1 special_purpose",
        ]
    );
    // Its mapping is still compared with the declaration.
    assert_eq!(findings.wrong.len(), 1);
}

#[test]
fn what_is_left_out_is_counted_once_with_all_its_sources_and_hosts() {
    let mut world = declared(&[("10.0.0.1", "", "")]);
    world.discovered.dns = read(&["10.0.0.1", "a.example", "x.pages.dev"]);
    world.discovered.rules = read(&["x.pages.dev"]);
    world.hosts = [(host("a.example"), answer(&["10.0.0.1"]))].into();
    let findings = world.findings();
    assert_eq!(
        left_out(&world),
        ["x.pages.dev no_origin_address", "10.0.0.1 special_purpose"]
    );
    let sources = |index: usize| findings.left_out[index].sources;
    assert_eq!(
        sources(0),
        [Source::Rule, Source::Dns].into_iter().collect()
    );
    assert_eq!(
        sources(1),
        [Source::Config, Source::Dns].into_iter().collect()
    );
    assert_eq!(findings.left_out[1].hosts, [host("a.example")].into());
    assert_eq!(findings.left_out_by_reason().len(), 2);
}

#[test]
fn what_a_source_shows_to_be_no_origin_is_left_out_unless_another_needs_it() {
    let mut candidates = Candidates::default();
    candidates.leave_out(Some(ip("10.1.1.1")), None, LeftOutReason::VirtualNetwork);
    candidates.leave_out(Some(ip("100::")), None, LeftOutReason::Worker);
    candidates.leave_out(Some(ip("3.1.0.1")), None, LeftOutReason::ReadOnly);
    let source = SourceState::Read {
        candidates: Arc::new(candidates),
        is_current: true,
    };
    let mut world = World::default();
    world.discovered.dns = source;
    assert_eq!(
        left_out(&world),
        [
            "3.1.0.1 read_only",
            "10.1.1.1 virtual_network",
            "100:: worker"
        ]
    );
    assert!(world.evaluation().named.addresses.contains(&ip("10.1.1.1")));
    world.discovered.rules = read(&["3.1.0.1", "100::"]);
    assert_eq!(
        left_out(&world),
        ["10.1.1.1 virtual_network", "100:: worker"]
    );
    assert_eq!(world.findings().missing.len(), 1);
}

#[test]
fn addresses_of_a_rotating_host_are_left_out() {
    let mut world = World::default();
    world.discovered.dns = read(&["a.example"]);
    let rotating = HostAnswer {
        is_rotating: true,
        ..answer(&["3.1.0.1", "3.1.0.2"])
    };
    world.hosts = [(host("a.example"), rotating)].into();
    assert_eq!(left_out(&world), ["3.1.0.1 rotating", "3.1.0.2 rotating"]);
}

#[test]
fn a_host_whose_chain_ends_where_no_origin_is_is_left_out() {
    let mut world = World::default();
    world.discovered.dns = read(&["a.example"]);
    let left = HostAnswer {
        left_out: Some(LeftOutReason::NoOriginAddress),
        ..answer(&[])
    };
    world.hosts = [(host("a.example"), left)].into();
    assert_eq!(left_out(&world), ["a.example no_origin_address"]);
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = LeftOutReason::ALL
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    assert_eq!(words.len(), LeftOutReason::ALL.len());
}
