//! A zone that the audit log names is polled before all waiting zones.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, LoadBalancer, Operation, Pool, PoolOrigin, RateLimit, World, zone_id_of,
};
use reqwest::Method;
use tokio::time::Instant;

use crate::audit_log::{config, operated, unmap, until_up, with_operator, write};
use crate::support::{Api, BAD, Config, Daemon, GOOD, TOKEN};

/// The interval of the log in [`config`].
const INTERVAL: Duration = Duration::from_secs(1);
/// A change shows at most this long after the log was due.
const WITHIN: Duration = Duration::from_secs(2);
const IP: &str = "192.0.2.1";

/// This many zones with one mapping each.
fn crowd(zones: usize) -> World {
    let empty = World {
        rate_limit: RateLimit::NONE,
        ..World::single_token(TOKEN)
    };
    let crowd = (0..zones).fold(empty, |world, number| {
        world.zone(&format!("z{number:03}.example"), [(IP, "aws", "us-east-1")])
    });
    operated(crowd)
}

/// Removes the mapping of a zone, and checks that this shows in time.
async fn removal_shows_in_time(api: &Api, daemon: &mut Daemon, zone: &str) {
    unmap(api, zone, IP).await;
    let start = Instant::now();
    let removed = [("zone", zone), ("change", "removed")];
    daemon
        .until("the removal shows", |s| {
            s.value("mapping_changes_total", &removed) == Some(1.0)
        })
        .await;
    let took = start.elapsed();
    assert!(took <= INTERVAL + WITHIN, "{took:?}");
}

/// Waits until the log and a zone were read, and returns the zone.
async fn a_zone_that_was_read(daemon: &mut Daemon) -> String {
    let up = daemon
        .until("a zone and the log were read", |s| {
            s.sum("zone_up", &[]) > 0.0 && s.value("exporter_audit_log_up", &[]) == Some(1.0)
        })
        .await;
    up.values_of("zone", "zone_up", &[])[0].clone()
}

#[tokio::test]
async fn a_write_shows_in_time_while_hundreds_of_slow_polls_wait() {
    let api = Api::start(crowd(300)).await;
    let config = Config {
        poll: "interval: 1s, discovery_interval: 1h, retries: 0".to_owned(),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    let zone = a_zone_that_was_read(&mut daemon).await;
    // This zone responds at once. All others are slow, and use all concurrent polls.
    let delay = |time| Fault::new(FaultKind::Delay(time)).on(Operation::ListMappings);
    api.simulator.add_fault(delay(Duration::ZERO).zone(&zone));
    api.simulator.add_fault(delay(Duration::from_secs(4)));
    daemon
        .until("polls are late", |s| {
            s.value("exporter_poll_lag_seconds", &[]) > Some(2.0)
        })
        .await;
    removal_shows_in_time(&api, &mut daemon, &zone).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_write_shows_in_time_while_hundreds_of_zones_wait_for_the_rate_limit() {
    let api = Api::start(crowd(300)).await;
    let config = Config {
        rate_limit: "requests: 200, window: 15s, share: 0.7".to_owned(),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    let zone = a_zone_that_was_read(&mut daemon).await;
    daemon
        .until("only the reserve of the budget is left", |_| {
            let requests = api.simulator.requests();
            let of_log = api.simulator.count(Operation::AuditLog);
            requests.len() - of_log >= 110
        })
        .await;
    removal_shows_in_time(&api, &mut daemon, &zone).await;
    // The other zones still wait, and the budget is not exceeded.
    assert!(daemon.last().count("zone_up", &[]) < 140);
    daemon.stop().await;
}

#[tokio::test]
async fn a_write_shows_in_time_while_the_zone_itself_is_being_polled() {
    let api = Api::start(with_operator()).await;
    let config = Config {
        poll: "interval: 3s, retries: 0".to_owned(),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    until_up(&mut daemon).await;
    let slow = Fault::new(FaultKind::Delay(Duration::from_secs(15))).on(Operation::ListMappings);
    api.simulator.add_fault(slow.zone(BAD).times(1));
    let before = api.readings(BAD).len();
    daemon
        .until("the slow poll began", |_| api.readings(BAD).len() > before)
        .await;
    removal_shows_in_time(&api, &mut daemon, BAD).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_new_origin_shows_in_time_while_the_sources_of_others_wait() {
    let api = Api::start(crowd(200)).await;
    let config = Config {
        poll: "interval: 1h, retries: 0".to_owned(),
        more: format!("{}\nexpect: {{ from_dns: true }}", config("").more),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    let zone = a_zone_that_was_read(&mut daemon).await;
    let delay = |time| Fault::new(FaultKind::Delay(time)).on(Operation::DnsRecords);
    api.simulator.add_fault(delay(Duration::ZERO).zone(&zone));
    api.simulator.add_fault(delay(Duration::from_secs(4)));
    daemon
        .until("all zones were polled", |s| s.count("zone_up", &[]) == 200)
        .await;
    let path = format!("/zones/{}/dns_records", zone_id_of(&zone));
    let record = r#"{"type":"A","name":"new","content":"203.0.114.9","proxied":true}"#;
    write(&api, Method::POST, &path, record).await;
    let start = Instant::now();
    let missing = [("zone", zone.as_str()), ("origin_ip", "203.0.114.9")];
    daemon
        .until("the origin is missing", |s| {
            s.value("missing_mapping", &missing) == Some(1.0)
        })
        .await;
    let took = start.elapsed();
    assert!(took <= INTERVAL + WITHIN, "{took:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_write_to_a_pool_reads_the_pools_alone_and_has_its_actor() {
    let api = Api::start(with_operator()).await;
    let owner = api.simulator.update(|world| {
        let (id, account) = world.accounts.iter_mut().next().unwrap();
        let origin = |address: &str| PoolOrigin {
            name: address.to_owned(),
            address: address.to_owned(),
            enabled: true,
            virtual_network_id: None,
        };
        account.pools.push(Pool {
            id: "pool-1".to_owned(),
            name: "one".to_owned(),
            enabled: true,
            origins: vec![origin("203.0.114.8")],
        });
        let id = id.clone();
        let zone = world.zones.get_mut(&zone_id_of(BAD)).unwrap();
        zone.load_balancers.push(LoadBalancer {
            id: "lb".to_owned(),
            name: format!("www.{BAD}"),
            default_pools: vec!["pool-1".to_owned()],
            ..LoadBalancer::default()
        });
        id
    });
    let config = Config {
        more: format!(
            "{}\nexpect: {{ from_load_balancers: true }}",
            config("").more
        ),
        ..config("")
    };
    let mut daemon = api.daemon(&config).await;
    until_up(&mut daemon).await;
    daemon
        .until("the pool's origin is expected", |s| {
            s.sum("expected_origins", &[("zone", BAD)]) == 1.0
        })
        .await;
    // The second good poll completes the initial state.
    unmap(&api, BAD, "192.0.2.2").await;
    daemon
        .until("the zone was polled and read again", |s| {
            s.mappings(BAD) == 2 && api.simulator.count(Operation::LoadBalancers) == 3
        })
        .await;
    api.simulator.forget_requests();
    let path = format!("/accounts/{owner}/load_balancers/pools/pool-1");
    let body = r#"{"origins":[{"name":"new","address":"203.0.114.9"}]}"#;
    write(&api, Method::PATCH, &path, body).await;
    daemon
        .until("the new origin is missing", |s| {
            s.value("missing_mapping", &[("origin_ip", "203.0.114.9")]) == Some(1.0)
        })
        .await;
    assert_eq!(api.simulator.count(Operation::LoadBalancerPools), 1);
    for untouched in [
        Operation::ListMappings,
        Operation::LoadBalancers,
        Operation::DnsRecords,
    ] {
        assert_eq!(api.simulator.count(untouched), 0, "{untouched:?}");
    }
    let elsewhere = [("zone", GOOD)];
    assert_eq!(daemon.last().count("missing_mapping", &elsewhere), 0);
    let (_, changes) = daemon.get("/api/v1/changes?finding=missing").await;
    let changes: serde_json::Value = serde_json::from_str(&changes).unwrap();
    let change = &changes["changes"][0];
    assert_eq!(change["origin_ip"], "203.0.114.9");
    assert_eq!(change["actor"]["name"], "ops@example.com");
    daemon.stop().await;
}
