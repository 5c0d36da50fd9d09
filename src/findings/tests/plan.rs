//! Plans, and that they fix what they name.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn shown(plan: &ZonePlan) -> Vec<String> {
    let put = plan.put.iter().map(|put| {
        let (ip, vendor, region) = (put.origin_ip, &put.vendor, &put.region);
        format!("put {ip} {vendor} {region}: {}", put.because)
    });
    let delete = plan
        .delete
        .iter()
        .map(|row| format!("delete {}", row.origin_ip));
    let undecided = plan.undecided.iter().map(|row| {
        let ip = row.origin_ip.map(|ip| ip.to_string()).unwrap_or_default();
        format!("undecided {ip}: {}", row.because)
    });
    put.chain(delete).chain(undecided).collect()
}

#[test]
fn a_plan_puts_what_is_known_and_says_what_is_not() {
    let mut world = declared(&[
        ("3.1.0.1", "gcp", "us-east1"),
        ("3.1.0.2", "", ""),
        ("5.0.0.1", "", ""),
        ("3.1.0.4", "aws", "eu-west-1"),
        ("3.2.0.1", "", ""),
    ]);
    world.discovered.dns = read(&["a.example"]);
    world.hosts = [(host("a.example"), answer(&["3.1.0.3"]))].into();
    world.ranges = Ranges::Loaded;
    let list = [("aws", "us-east-1", ""), ("gcp", "us-east1", "")];
    world.supported = Some(supported(&list));
    world.mappings = zone(&[
        ("3.1.0.1", "aws", "us-east-1"),
        ("3.1.0.9", "oci", "us-ashburn-1"),
        ("9.9.9.9", "oci", "us-ashburn-1"),
    ]);
    let findings = world.findings();
    assert_eq!(
        shown(&plan(&findings, [])),
        [
            "put 3.1.0.1 gcp us-east1: wrong by declared: mapped to aws us-east-1",
            "put 3.1.0.2 aws us-east-1: missing: expected by config",
            "put 3.1.0.3 aws us-east-1: missing: expected by dns, host a.example",
            "put 3.1.0.4 aws us-east-1: missing: expected by config",
            "put 3.1.0.9 aws us-east-1: wrong by vendor_ranges, supported_regions: mapped to oci \
             us-ashburn-1",
            "undecided 3.2.0.1: missing: expected by config; it is at aws, and its region is not \
             known or not supported",
            "undecided 5.0.0.1: missing: expected by config; its vendor and region are not known",
            "undecided 9.9.9.9: wrong by supported_regions: mapped to oci us-ashburn-1; its vendor \
             and region are not known",
        ]
    );
    let unused: Vec<_> = world.mappings.as_slice().iter().skip(1).collect();
    let pruned = shown(&plan(&findings, unused));
    assert!(pruned.contains(&"delete 9.9.9.9".to_owned()), "{pruned:?}");
    assert!(pruned.contains(&"delete 3.1.0.9".to_owned()), "{pruned:?}");
    assert!(!pruned.iter().any(|row| row.starts_with("put 3.1.0.9")));
}

#[test]
fn a_wrong_mapping_is_undecided_while_a_host_that_may_have_its_address_is_not_resolved() {
    let mut world = World {
        ranges: Ranges::Loaded,
        ..World::default()
    };
    world.discovered.dns = read(&["a.example", "3.1.0.2"]);
    world.mappings = zone(&[
        ("3.1.0.1", "aws", "eu-west-1"),
        ("3.1.0.2", "aws", "eu-west-1"),
    ]);
    let put = |ip: &str| {
        format!("put {ip} aws us-east-1: wrong by vendor_ranges: mapped to aws eu-west-1")
    };
    let failing = HostAnswer {
        is_known: false,
        is_failing: true,
        ..answer(&[])
    };
    for unknown in [None, Some(failing)] {
        let hosts = unknown.map(|answer| (host("a.example"), answer));
        world.hosts = hosts.into_iter().collect();
        assert_eq!(
            shown(&plan(&world.findings(), [])),
            [
                // A record names this one.
                put("3.1.0.2"),
                "undecided 3.1.0.1: wrong by vendor_ranges: mapped to aws eu-west-1; a source or \
                 host that may name the address could not be read or resolved, and may give it \
                 another vendor and region"
                    .to_owned(),
            ]
        );
    }
    let spelled = HostAnswer {
        place: place("aws", "eu-west-1"),
        ..answer(&["3.1.0.1"])
    };
    world.hosts = [(host("a.example"), spelled)].into();
    assert_eq!(shown(&plan(&world.findings(), [])), [put("3.1.0.2")]);
    world.hosts = [(host("a.example"), answer(&[]))].into();
    let both = ["3.1.0.1", "3.1.0.2"].map(put);
    assert_eq!(shown(&plan(&world.findings(), [])), both);
    world.discovered.load_balancers = SourceState::NotRead;
    let unread = plan(&world.findings(), []);
    assert!(
        unread
            .undecided
            .iter()
            .any(|row| row.origin_ip == Some(ip("3.1.0.1")))
    );
    world.discovered = Discovered::default();
    assert_eq!(shown(&plan(&world.findings(), [])), both);
}

#[test]
fn a_named_address_is_undecided_while_a_declared_host_may_give_it_another_place() {
    let mut world = declared(&[
        ("a.example", "aws", "eu-west-1"),
        ("3.1.0.2", "gcp", "us-east1"),
    ]);
    world.ranges = Ranges::Loaded;
    world.discovered.dns = read(&["3.1.0.1"]);
    world.mappings = zone(&[("3.1.0.3", "gcp", "us-east1")]);
    let undecided = |world: &World| -> Vec<_> {
        let rows = plan(&world.findings(), []).undecided.into_iter();
        rows.map(|row| row.origin_ip.unwrap().to_string()).collect()
    };
    let failing = HostAnswer {
        is_failing: true,
        ..answer(&["3.1.0.4"])
    };
    for unknown in [None, Some(failing)] {
        let hosts = unknown.map(|answer| (host("a.example"), answer));
        world.hosts = hosts.into_iter().collect();
        // What is declared for an address stays.
        assert_eq!(undecided(&world), ["3.1.0.1", "3.1.0.3"]);
    }
    // Wherever this host is, it says the same as the ranges.
    for region in ["us-east-1", ""] {
        world.declared_hosts[0].place = place("aws", region);
        assert_eq!(undecided(&world), ["3.1.0.3"]);
    }
    world.declared_hosts[0].place = place("aws", "eu-west-1");
    world.hosts = [(host("a.example"), answer(&["3.1.0.4"]))].into();
    assert_eq!(undecided(&world), [""; 0]);
}

#[test]
fn a_plan_serialises_with_the_names_of_the_labels() {
    let mut world = declared(&[("3.1.0.1", "gcp", "us-east1"), ("5.0.0.1", "", "")]);
    world.ranges = Ranges::Loaded;
    let json = serde_json::to_value(plan(&world.findings(), [])).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "put": [{
                "origin_ip": "3.1.0.1", "vendor": "gcp", "region": "us-east1",
                "because": "missing: expected by config",
            }],
            "delete": [],
            "undecided": [{
                "origin_ip": "5.0.0.1",
                "because": "missing: expected by config; its vendor and region are not known",
            }],
        })
    );
}

const IPS: [&str; 8] = [
    "3.1.0.1",
    "3.1.0.2",
    "3.2.0.1",
    "34.1.0.1",
    "34.1.0.2",
    "5.0.0.1",
    "192.0.2.1",
    "10.0.0.1",
];
const PLACES: [(&str, &str); 8] = [
    ("", ""),
    ("aws", ""),
    ("", "us-east-1"),
    ("aws", "us-east-1"),
    ("aws", "useast1"),
    ("gcp", "us-central1"),
    ("gcp", ""),
    ("azure", "centralfrance"),
];
const MAPPED: [(&str, &str); 5] = [
    ("aws", "us-east-1"),
    ("aws", "eu-west-1"),
    ("gcp", "us-central1"),
    ("azure", "francecentral"),
    ("oci", "us-ashburn-1"),
];

/// The mappings after carrying out the plan.
fn applied(mappings: &ZoneMappings, plan: &ZonePlan) -> ZoneMappings {
    let mut rows: BTreeMap<_, _> = mappings
        .as_slice()
        .iter()
        .map(|mapping| (mapping.origin_ip, mapping.clone()))
        .collect();
    for put in &plan.put {
        let mapping = Mapping {
            origin_ip: put.origin_ip,
            vendor: put.vendor.clone(),
            region: put.region.clone(),
            modified_on: None,
        };
        rows.insert(put.origin_ip, mapping);
    }
    for delete in &plan.delete {
        rows.remove(&delete.origin_ip);
    }
    ZoneMappings::from_rows(rows.into_values().collect()).unwrap()
}

proptest! {
    #[test]
    fn a_plan_that_is_carried_out_leaves_no_finding_that_it_named(
        config in prop::collection::btree_map(0..IPS.len(), 0..PLACES.len(), 0..6),
        dns in prop::collection::btree_set(0..IPS.len(), 0..6),
        hosts in prop::collection::vec(
            (prop::collection::vec(0..IPS.len(), 0..4), 0..PLACES.len()), 0..3
        ),
        declared_host in prop::option::of((0..3_usize, 0..PLACES.len())),
        mapped in prop::collection::btree_map(0..IPS.len(), 0..MAPPED.len(), 0..8),
        has_regions: bool,
        has_ranges: bool,
    ) {
        let rows: Vec<_> = config
            .iter()
            .map(|(ip, place)| (IPS[*ip], PLACES[*place].0, PLACES[*place].1))
            .collect();
        let mut world = declared(&rows);
        let names = ["a.example", "b.example", "c.example"];
        let targets: Vec<_> = dns.iter().map(|ip| IPS[*ip]).chain(names).collect();
        world.discovered.dns = read(&targets);
        for (index, (addresses, spelled)) in hosts.iter().enumerate() {
            let addresses: Vec<_> = addresses.iter().map(|ip| IPS[*ip]).collect();
            let answer = HostAnswer {
                place: place(PLACES[*spelled].0, PLACES[*spelled].1),
                ..answer(&addresses)
            };
            world.hosts.insert(host(names[index]), answer);
        }
        if let Some((name, declared)) = declared_host {
            world.declared_hosts.push(DeclaredHost {
                host: host(names[name]),
                place: place(PLACES[declared].0, PLACES[declared].1),
            });
        }
        let list = [
            ("aws", "us-east-1", ""),
            ("gcp", "us-central1", ""),
            ("azure", "centralfrance", ""),
        ];
        world.supported = has_regions.then(|| supported(&list));
        world.ranges = if has_ranges { Ranges::Loaded } else { Ranges::Off };
        let rows: Vec<_> = mapped
            .iter()
            .map(|(ip, place)| (IPS[*ip], MAPPED[*place].0, MAPPED[*place].1))
            .collect();
        world.mappings = zone(&rows);
        let plan = plan(&world.findings(), []);
        world.mappings = applied(&world.mappings, &plan);
        let after = world.findings();
        for put in &plan.put {
            let ip = put.origin_ip;
            let missing = after.missing.iter().find(|origin| origin.origin_ip == ip);
            prop_assert_eq!(missing, None);
            let wrong = after.wrong.iter().find(|wrong| wrong.origin_ip == ip);
            prop_assert_eq!(wrong, None);
        }
        // Nothing else became wrong.
        let undecided: Vec<_> = plan.undecided.iter().map(|row| row.origin_ip).collect();
        for wrong in &after.wrong {
            prop_assert!(undecided.contains(&Some(wrong.origin_ip)));
        }
    }
}
