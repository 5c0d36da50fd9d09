//! Failures of optional calls affect neither polls nor readiness.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    FaultKind, LoadBalancer, Operation, Permission, Simulator, World,
};
use tokio::time::{Instant, sleep};

use crate::support::{Exporter, INTERVAL, OPTIONAL, PATIENCE, break_call, simulate, world};

const EVERYTHING: &str = "expect: { from_dns: true, from_load_balancers: true }\n";

/// This many zones with a record and a load balancer each.
fn zones(count: usize) -> World {
    let mut world = world();
    for number in 0..count {
        let name = format!("z{number:02}.test");
        world = world.zone(&name, [("3.80.2.1", "aws", "us-east-1")]);
        let zone = world.zone_mut(&name);
        zone.record("A", "www.z.test", "3.80.2.1", true);
        zone.load_balancers.push(LoadBalancer {
            id: name.clone(),
            name,
            enabled: true,
            default_pools: vec!["pool".to_owned()],
            ..LoadBalancer::default()
        });
    }
    world
}

/// The longest time between two polls of one zone.
fn longest_gap(api: &Simulator) -> Duration {
    let mut polls = std::collections::BTreeMap::<_, Vec<Instant>>::new();
    for request in api.requests() {
        if request.operation == Some(Operation::ListMappings) {
            polls.entry(request.zone).or_default().push(request.at);
        }
    }
    let gaps = polls
        .values()
        .flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
    gaps.max().unwrap()
}

#[tokio::test]
async fn calls_that_hang_delay_neither_readiness_nor_polls() {
    const ZONES: usize = 20;
    let (api, _guard) = simulate(zones(ZONES)).await;
    for operation in OPTIONAL {
        break_call(&api, operation, FaultKind::Hang);
    }
    let started = Instant::now();
    let exporter = Exporter::start(&api, EVERYTHING).await;
    while exporter.get("/-/ready").await.0 != 200 {
        assert!(
            started.elapsed() < PATIENCE,
            "not ready:\n{}",
            exporter.log()
        );
        sleep(Duration::from_millis(20)).await;
    }
    let seen = exporter.scrape().await;
    assert_eq!(seen.rows("zone_up", &["zone"]).len(), ZONES);
    exporter.polls(8).await;
    let gap = longest_gap(&api);
    assert!(gap < INTERVAL * 5, "a zone waited {gap:?} for its poll");
}

#[tokio::test]
async fn a_call_that_hangs_leaves_the_others_their_turn() {
    let (api, _guard) = simulate(zones(1)).await;
    break_call(&api, Operation::LoadBalancers, FaultKind::Hang);
    break_call(&api, Operation::SupportedRegions, FaultKind::Hang);
    let poll = "interval: 300ms, timeout: 400ms, retries: 0";
    let exporter = Exporter::polling(&api, poll, EVERYTHING).await;
    exporter
        .until("the settings", |seen| {
            seen.of("z00.test", "tiered_cache_enabled") == Some(1.0)
        })
        .await;
    exporter.polls(3).await;
    let seen = exporter.scrape().await;
    assert_eq!(seen.errors("load_balancers"), ["timeout"]);
    // Without the load balancers, it is unknown which DNS records are in use.
    assert_eq!(seen.rows("expected_origins", &["zone"]), [""; 0]);
}

#[tokio::test]
async fn a_permission_that_is_missing_fails_no_poll_and_is_named_once() {
    let mut world = zones(3);
    for credential in &mut world.credentials {
        for permission in [
            Permission::DnsRead,
            Permission::LoadBalancersRead,
            Permission::PoolsRead,
        ] {
            credential.permissions.remove(&permission);
        }
    }
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, EVERYTHING).await;
    exporter
        .logs(&["operation=dns_records", "Zone: DNS: Read"])
        .await;
    exporter
        .logs(&["operation=load_balancers", "Zone: Load Balancers: Read"])
        .await;
    exporter.polls(4).await;
    let seen = exporter.scrape().await;
    for operation in ["dns_records", "load_balancers"] {
        assert_eq!(seen.errors(operation), ["forbidden"]);
        let operation = format!("operation={operation}");
        assert_eq!(exporter.log_lines(&[&operation]).len(), 1, "logged once");
    }
    assert_eq!(seen.rows("zone_poll_errors_total", &["zone"]), [""; 0]);
    assert_eq!(seen.rows("expected_origins", &["zone"]), [""; 0]);
    // With only this permission, the pools cannot be read.
    api.update(|world| {
        for credential in &mut world.credentials {
            credential.permissions.insert(Permission::LoadBalancersRead);
        }
    });
    exporter
        .logs(&[
            "operation=load_balancer_pools",
            "Account: Load Balancing: Monitors and Pools: Read",
        ])
        .await;
    let seen = exporter
        .until("the refusal", |seen| {
            seen.errors("load_balancer_pools") == ["forbidden"]
        })
        .await;
    assert_eq!(seen.rows("zone_up", &["zone"]).len(), 3);
    assert_eq!(seen.rows("zone_poll_errors_total", &["zone"]), [""; 0]);
    // With all permissions, everything is found without a restart.
    api.update(|world| {
        let credentials = world.credentials.iter_mut();
        credentials.for_each(|c| c.permissions.extend(Permission::ALL));
    });
    exporter
        .until("origins from DNS and load balancers", |seen| {
            seen.rows("expected_origins", &["source"]).len() == 6
        })
        .await;
}

#[tokio::test]
async fn an_account_whose_polls_always_wait_still_learns_of_its_dns_records() {
    let mut world = zones(12);
    world.latency = Duration::from_millis(100);
    let (api, _guard) = simulate(world).await;
    let poll = "interval: 100ms, concurrency: 1";
    let exporter = Exporter::polling(&api, poll, "expect: { from_dns: true }\n").await;
    exporter
        .until("one zone's records", |seen| {
            !seen.rows("expected_origins", &["zone"]).is_empty()
        })
        .await;
}

#[tokio::test]
async fn while_the_regions_cannot_be_read_one_zone_finds_that_out_for_all() {
    let (api, _guard) = simulate(zones(5)).await;
    let down = FaultKind::Status(500, None);
    break_call(&api, Operation::SupportedRegions, down);
    let poll = "interval: 300ms, retries: 0";
    let exporter = Exporter::polling(&api, poll, "").await;
    exporter
        .until("the settings of all zones", |seen| {
            seen.rows("smart_tiered_cache_enabled", &["zone"]).len() == 5
        })
        .await;
    exporter.polls(4).await;
    assert_eq!(api.count(Operation::SupportedRegions), 1);
}
