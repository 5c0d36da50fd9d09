//! The sources of expected origins.

use cloudflare_origin_region_exporter::simulator::{
    FaultKind, LoadBalancer, Operation, Pool, PoolOrigin, World, zone_id_of,
};

use crate::support::{Exporter, break_call, simulate, world};

const MISSING: [&str; 5] = [
    "zone",
    "origin_ip",
    "source",
    "expected_vendor",
    "expected_region",
];

fn pool(id: &str, enabled: bool, origins: &[(&str, bool, Option<&str>)]) -> Pool {
    let origins = origins
        .iter()
        .map(|(address, enabled, network)| PoolOrigin {
            name: (*address).to_owned(),
            address: (*address).to_owned(),
            enabled: *enabled,
            virtual_network_id: network.map(str::to_owned),
        });
    Pool {
        id: id.to_owned(),
        name: id.to_owned(),
        enabled,
        origins: origins.collect(),
    }
}

fn balance(world: &mut World, zone: &str, pools: &[&str]) {
    world.zone_mut(zone).load_balancers.push(LoadBalancer {
        id: format!("balancer of {zone}"),
        name: zone.to_owned(),
        enabled: true,
        default_pools: pools.iter().map(|id| (*id).to_owned()).collect(),
        ..LoadBalancer::default()
    });
}

fn add_pools(world: &mut World, pools: Vec<Pool>) {
    world
        .accounts
        .values_mut()
        .next()
        .unwrap()
        .pools
        .extend(pools);
}

#[tokio::test]
async fn declared_origins_are_expected_by_name_in_any_case_and_by_id() {
    let world = world()
        .zone("named.test", [("3.80.2.1", "aws", "us-east-1")])
        .zone("both.test", [])
        .zone("free.test", []);
    let (api, _guard) = simulate(world).await;
    let more = format!(
        "expect:\n\
         \x20 zones:\n\
         \x20   NAMED.test:\n\
         \x20     - {{ origin_ip: 3.80.2.1 }}\n\
         \x20     - {{ origin_ip: \"2600:1F18::0:1\", vendor: gcp, region: us-central1 }}\n\
         \x20     - {{ origin_ip: 10.1.2.3 }}\n\
         \x20   both.test: [{{ origin_ip: 3.80.2.2, vendor: aws }}]\n\
         \x20   {}: [{{ origin_ip: 3.80.2.2 }}, {{ origin_ip: 3.80.2.3 }}]\n\
         \x20   Gone.test: [{{ origin_ip: 3.80.2.4 }}]\n",
        zone_id_of("both.test")
    );
    let exporter = Exporter::start(&api, &more).await;
    let seen = exporter
        .until("missing origins", |seen| {
            seen.rows("missing_mapping", &["zone"]).len() == 3
        })
        .await;
    assert_eq!(
        seen.rows("missing_mapping", &MISSING),
        [
            "both.test 3.80.2.2 config aws ",
            "both.test 3.80.2.3 config  ",
            "named.test 2600:1f18::1 config gcp us-central1",
        ]
    );
    assert_eq!(seen.of("named.test", "missing_mappings"), Some(1.0));
    assert_eq!(seen.of("both.test", "missing_mappings"), Some(2.0));
    assert_eq!(seen.of("named.test", "expected_origins"), Some(2.0));
    // This zone has no expected origins, so it has no series.
    assert_eq!(seen.of("free.test", "missing_mappings"), None);
    assert_eq!(seen.of("free.test", "expected_origins"), None);
    let unmatched = [("kind", "expect")];
    assert_eq!(
        seen.value("exporter_unmatched_zones", &unmatched),
        Some(1.0)
    );
    exporter.logs(&["expect.zones", "Gone.test"]).await;
    exporter.logs(&["named.test", "special_purpose: 1"]).await;
    // Add the missing mapping.
    api.update(|world| {
        let zone = world.zone_mut("named.test");
        zone.map("2600:1f18::1", "gcp", "us-central1", None);
    });
    exporter
        .until("no missing mapping", |seen| {
            seen.of("named.test", "missing_mappings") == Some(0.0)
        })
        .await;
}

#[tokio::test]
async fn proxied_records_are_expected_over_all_pages() {
    const RECORDS: u32 = 5100;
    let mut world = world().zone("a.test", [("2600:1f18::1", "aws", "us-east-1")]);
    let zone = world.zone_mut("a.test");
    for number in 1..=RECORDS {
        let name = format!("www{number}.a.test");
        zone.record("AAAA", &name, &format!("2600:1f18::{number:x}"), true);
    }
    zone.record("A", "mail.a.test", "3.80.2.9", false);
    zone.record("CNAME", "docs.a.test", "docs.example", true);
    zone.record("A", "intern.a.test", "10.0.0.1", true);
    zone.record("TXT", "a.test", "3.80.2.8", false);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, "expect: { from_dns: true }\n").await;
    let seen = exporter
        .until("the origins of all records", |seen| {
            seen.of("a.test", "missing_mappings") == Some(f64::from(RECORDS - 1))
        })
        .await;
    let expected = [("source", "dns")];
    assert_eq!(
        seen.value("expected_origins", &expected),
        Some(f64::from(RECORDS))
    );
    assert_eq!(seen.rows("missing_mapping", &["source"]).len(), 500);
    exporter.logs(&["a.test", "special_purpose: 1"]).await;
}

#[tokio::test]
async fn pools_of_load_balancers_are_read_once_an_account_and_judged_by_what_is_enabled() {
    let mut world = world();
    let zones: Vec<String> = (0..8).map(|number| format!("z{number}.test")).collect();
    for zone in &zones {
        world = world.zone(zone, []);
        balance(&mut world, zone, &["main", "off"]);
    }
    let main = [
        ("3.80.2.1", true, None),
        ("3.80.2.2", false, None),
        ("10.0.0.1", true, Some("network")),
        ("origin.example", true, None),
    ];
    let off = [("3.80.2.3", true, None)];
    add_pools(
        &mut world,
        vec![
            pool("main", true, &main),
            pool("off", false, &off),
            pool("unused", true, &[("3.80.2.4", true, None)]),
        ],
    );
    let (api, _guard) = simulate(world).await;
    let poll = "interval: 1s, discovery_interval: 1m";
    let exporter = Exporter::polling(&api, poll, "expect: { from_load_balancers: true }\n").await;
    let seen = exporter
        .until("the missing origin of each zone", |seen| {
            seen.rows("missing_mapping", &["zone"]).len() == zones.len()
        })
        .await;
    let missing = seen.rows("missing_mapping", &["origin_ip", "source"]);
    assert!(
        missing.iter().all(|row| row == "3.80.2.1 load_balancer"),
        "{missing:?}"
    );
    exporter.logs(&["z0.test", "virtual_network: 1"]).await;
    exporter.polls(3).await;
    let (balancers, pools) = (
        api.count(Operation::LoadBalancers),
        api.count(Operation::LoadBalancerPools),
    );
    assert!(
        balancers >= 3 * zones.len(),
        "{balancers} of load balancers"
    );
    assert!(
        pools <= balancers / zones.len() + 3,
        "{pools} of pools, {balancers}"
    );
    // A disabled origin is no longer expected.
    api.update(|world| {
        let account = world.accounts.values_mut().next().unwrap();
        account.pools[0].enabled = false;
    });
    exporter
        .until("no expected origins", |seen| {
            seen.of("z0.test", "missing_mappings") == Some(0.0)
                && seen.of("z0.test", "expected_origins") == Some(0.0)
        })
        .await;
}

#[tokio::test]
async fn an_origin_of_several_sources_counts_under_the_first() {
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    for ip in ["3.80.2.1", "3.80.2.2", "3.80.2.3"] {
        zone.record("A", "www.a.test", ip, true);
    }
    balance(&mut world, "a.test", &["main"]);
    let origins = [("3.80.2.1", true, None), ("3.80.2.2", true, None)];
    add_pools(&mut world, vec![pool("main", true, &origins)]);
    let (api, _guard) = simulate(world).await;
    let more = "expect:\n\
                \x20 from_dns: true\n\
                \x20 from_load_balancers: true\n\
                \x20 zones: { a.test: [{ origin_ip: \"::ffff:3.80.2.1\" }] }\n";
    let exporter = Exporter::start(&api, more).await;
    let seen = exporter
        .until("three missing mappings", |seen| {
            seen.of("a.test", "missing_mappings") == Some(3.0)
        })
        .await;
    assert_eq!(
        seen.rows("missing_mapping", &["origin_ip", "source"]),
        ["3.80.2.1 config", "3.80.2.2 load_balancer", "3.80.2.3 dns"]
    );
    for source in ["config", "load_balancer", "dns"] {
        let labels = [("source", source)];
        assert_eq!(
            seen.value("expected_origins", &labels),
            Some(1.0),
            "{source}"
        );
    }
}

#[tokio::test]
async fn findings_go_with_the_mappings_of_a_zone_that_fails_for_too_long() {
    let world = world().zone("a.test", []).zone("b.test", []);
    let (api, _guard) = simulate(world).await;
    let more = "expect:\n\
                \x20 zones:\n\
                \x20   a.test: [{ origin_ip: 3.80.2.1 }]\n\
                \x20   b.test: [{ origin_ip: 3.80.2.1 }]\n";
    let poll = "interval: 200ms, retain: 1s";
    let exporter = Exporter::polling(&api, poll, more).await;
    let both =
        |seen: &crate::support::Exposition| seen.rows("missing_mapping", &["zone"]).len() == 2;
    exporter.until("both findings", both).await;
    let fault = cloudflare_origin_region_exporter::simulator::Fault::new(FaultKind::ApiError(
        403,
        9109,
        "Unauthorized".to_owned(),
    ));
    api.add_fault(fault.zone("a.test").on(Operation::ListMappings));
    let seen = exporter
        .until("the failed poll", |seen| {
            seen.of("a.test", "zone_up") == Some(0.0)
        })
        .await;
    assert!(both(&seen), "last good findings stay");
    let seen = exporter
        .until("the end of the retention", |seen| {
            seen.of("a.test", "missing_mappings").is_none()
        })
        .await;
    assert_eq!(seen.rows("missing_mapping", &["zone"]), ["b.test"]);
    assert_eq!(seen.of("a.test", "expected_origins"), None);
    assert_eq!(seen.of("a.test", "zone_up"), Some(0.0));
    api.clear_faults();
    exporter.until("both findings again", both).await;
}

#[tokio::test]
async fn what_dns_named_does_not_come_and_go_with_a_short_retention() {
    let mut world = world().zone("a.test", []);
    world
        .zone_mut("a.test")
        .record("A", "www.a.test", "3.80.2.1", true);
    let (api, _guard) = simulate(world).await;
    let poll = "interval: 100ms, retain: 0s";
    let exporter = Exporter::polling(&api, poll, "expect: { from_dns: true }\n").await;
    let found =
        |seen: &crate::support::Exposition| seen.of("a.test", "missing_mappings") == Some(1.0);
    exporter.until("the missing origin", found).await;
    for _ in 0..100 {
        assert!(found(&exporter.scrape().await));
    }
    break_call(&api, Operation::DnsRecords, FaultKind::Html);
    exporter
        .until("no origins from DNS", |seen| {
            seen.of("a.test", "missing_mappings").is_none()
        })
        .await;
}
