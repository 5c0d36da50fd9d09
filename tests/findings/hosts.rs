//! Origins that are named by host: resolved over real DNS, or followed within the records of the
//! accounts.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::dns::{
    DnsHost, DnsHosts, DnsTrouble, NameServer,
};
use cloudflare_origin_region_exporter::simulator::{
    FaultKind, LoadBalancer, Operation, Pool, PoolOrigin, World,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Exporter, Exposition, PATIENCE, break_call, simulate, world};

const ALB: &str = "web-1.us-east-1.elb.amazonaws.com";

async fn name_server(names: &[(&str, DnsHost)]) -> (NameServer, DropGuard) {
    let shutdown = CancellationToken::new();
    let mut hosts = DnsHosts::default();
    for (name, host) in names {
        hosts.set(name, host.clone());
    }
    let dns = NameServer::local(hosts, shutdown.clone()).await.unwrap();
    (dns, shutdown.drop_guard())
}

/// Configures this name server; `expect` contains the lines under that key.
fn settings(dns: &NameServer, expect: &str) -> String {
    let lines = expect.lines().map(|line| format!("  {line}\n"));
    let expect: String = lines.collect();
    format!(
        "hosts: {{ nameservers: [\"{}\"] }}\nexpect:\n{expect}",
        dns.address()
    )
}

fn missing(seen: &Exposition) -> Vec<String> {
    seen.rows(
        "missing_mapping",
        &["origin_ip", "source", "expected_vendor", "expected_region"],
    )
}

fn hosts(seen: &Exposition, zone: &str) -> Vec<(&'static str, Option<f64>)> {
    ["resolved", "rotating", "failing", "no_address"]
        .map(|state| {
            let labels = [("zone", zone), ("state", state)];
            (state, seen.value("origin_hosts", &labels))
        })
        .into()
}

#[tokio::test]
async fn addresses_behind_proxied_aliases_are_expected_where_their_names_say() {
    let (dns, _dns) = name_server(&[
        ("edge.example.net", DnsHost::alias(ALB)),
        (ALB, DnsHost::addresses(["52.95.110.1", "52.95.110.2"])),
        (
            "gone.example.net",
            DnsHost::addresses([]).trouble(DnsTrouble::NxDomain),
        ),
        (
            "broken.example.net",
            DnsHost::default().trouble(DnsTrouble::ServerFailure),
        ),
    ])
    .await;
    let mut world = world().zone("a.test", [("52.95.110.2", "aws", "eu-west-1")]);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "edge.example.net", true);
    zone.record("CNAME", "old.a.test", "gone.example.net", true);
    zone.record("CNAME", "bad.a.test", "broken.example.net", true);
    zone.record("CNAME", "plain.a.test", "unproxied.example.net", false);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    let seen = exporter
        .until("a missing and a wrong mapping", |seen| {
            !missing(seen).is_empty()
                && seen.value("wrong_mappings", &[("check", "host_name")]) == Some(1.0)
                && seen.value("origin_hosts", &[("state", "failing")]) == Some(1.0)
        })
        .await;
    assert_eq!(missing(&seen), ["52.95.110.1 dns aws us-east-1"]);
    assert_eq!(
        hosts(&seen, "a.test"),
        [
            ("resolved", Some(1.0)),
            ("rotating", Some(0.0)),
            ("failing", Some(1.0)),
            ("no_address", Some(1.0)),
        ]
    );
    let (_, zones) = exporter.get("/api/v1/zones").await;
    let zones: serde_json::Value = serde_json::from_str(&zones).unwrap();
    assert_eq!(
        zones["zones"][0]["origin_host_names"],
        serde_json::json!({
            "failing": ["broken.example.net"],
            "no_address": ["gone.example.net"],
        })
    );
    assert_eq!(dns.count("unproxied.example.net"), 0);
    assert!(seen.value("exporter_dns_queries_total", &[("result", "ok")]) >= Some(1.0));
}

#[tokio::test]
async fn names_of_the_accounts_own_zones_are_followed_in_their_records_and_not_asked() {
    let (dns, _dns) = name_server(&[(ALB, DnsHost::addresses(["52.95.110.1"]))]).await;
    let mut world = world()
        .zone("a.test", [])
        .zone("hidden.test", [])
        .zone("other.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "lb.hidden.test", true);
    zone.record("CNAME", "wild.a.test", "any.star.hidden.test", true);
    zone.record("CNAME", "self.a.test", "direct.a.test", true);
    zone.record("A", "direct.a.test", "52.95.110.9", false);
    let zone = world.zone_mut("hidden.test");
    zone.record("CNAME", "lb.hidden.test", "step.other.test", false);
    zone.record("A", "*.star.hidden.test", "52.95.110.7", false);
    let zone = world.zone_mut("other.test");
    zone.record("CNAME", "step.other.test", ALB, false);
    let (api, _guard) = simulate(world).await;
    let more = settings(&dns, "from_dns: true");
    let more = format!("{more}zone_overrides: {{ a.test: {{ interval: 200ms }} }}\n");
    let exporter =
        Exporter::start_filtered(&api, "exclude: [hidden.test, other.test]", &more).await;
    let seen = exporter
        .until("three missing mappings", |seen| missing(seen).len() == 3)
        .await;
    assert_eq!(
        missing(&seen),
        [
            "52.95.110.1 dns aws us-east-1",
            "52.95.110.7 dns  ",
            "52.95.110.9 dns  ",
        ]
    );
    for name in [
        "lb.hidden.test",
        "step.other.test",
        "any.star.hidden.test",
        "direct.a.test",
    ] {
        assert_eq!(dns.count(name), 0, "{name}");
    }
}

fn pool(world: &mut World, zone: &str, origins: &[&str]) {
    let origin = |address: &&str| PoolOrigin {
        name: (*address).to_owned(),
        address: (*address).to_owned(),
        enabled: true,
        virtual_network_id: None,
    };
    let pool = Pool {
        id: "pool".to_owned(),
        name: "pool".to_owned(),
        enabled: true,
        origins: origins.iter().map(origin).collect(),
    };
    world.accounts.values_mut().next().unwrap().pools.push(pool);
    world.zone_mut(zone).load_balancers.push(LoadBalancer {
        id: "balancer".to_owned(),
        name: format!("www.{zone}"),
        default_pools: vec!["pool".to_owned()],
        ..LoadBalancer::default()
    });
}

#[tokio::test]
async fn hosts_of_pools_and_declared_hosts_are_resolved_and_hidden_records_are_not() {
    let (dns, _dns) = name_server(&[
        ("pool.example.net", DnsHost::addresses(["52.95.110.1"])),
        ("declared.example.net", DnsHost::addresses(["52.95.110.2"])),
        ("hidden.example.net", DnsHost::addresses(["52.95.110.3"])),
    ])
    .await;
    let mut world = world().zone("a.test", []);
    pool(&mut world, "a.test", &["pool.example.net"]);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "hidden.example.net", true);
    let (api, _guard) = simulate(world).await;
    let expect = "from_dns: true\n\
                  from_load_balancers: true\n\
                  zones: { a.test: [{ host: Declared.example.net, vendor: aws, region: eu-west-1 }] }";
    let exporter = Exporter::start(&api, &settings(&dns, expect)).await;
    let seen = exporter
        .until("two missing mappings", |seen| missing(seen).len() == 2)
        .await;
    assert_eq!(
        missing(&seen),
        [
            "52.95.110.1 load_balancer  ",
            "52.95.110.2 config aws eu-west-1"
        ]
    );
    assert_eq!(dns.count("hidden.example.net"), 0);
}

#[tokio::test]
async fn a_host_that_nobody_answers_for_holds_up_no_other_origin() {
    let (dns, _dns) = name_server(&[
        (
            "silent.example.net",
            DnsHost::default().trouble(DnsTrouble::Silent),
        ),
        ("good.example.net", DnsHost::addresses(["52.95.110.1"])),
    ])
    .await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "silent.a.test", "silent.example.net", true);
    zone.record("CNAME", "good.a.test", "good.example.net", true);
    zone.record("A", "plain.a.test", "52.95.110.2", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    let started = Instant::now();
    exporter
        .until("two missing mappings", |seen| missing(seen).len() == 2)
        .await;
    assert!(started.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn thousands_of_hosts_that_nobody_answers_for_make_no_poll_later_and_no_scrape_slower() {
    const HOSTS: usize = 2000;
    let silent = DnsHost::default().trouble(DnsTrouble::Silent);
    let names: Vec<_> = (0..HOSTS).map(|n| format!("h{n}.example.net")).collect();
    let known: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), silent.clone()))
        .collect();
    let (dns, _dns) = name_server(&known).await;
    let mut world = world().zone("a.test", []).zone("b.test", []);
    let zone = world.zone_mut("a.test");
    for (n, name) in names.iter().enumerate() {
        zone.record("CNAME", &format!("w{n}.a.test"), name, true);
    }
    world
        .zone_mut("b.test")
        .record("A", "www.b.test", "52.95.110.2", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    exporter
        .until("failed lookups", |seen| {
            seen.value("exporter_dns_queries_total", &[("result", "failed")]) > Some(0.0)
        })
        .await;
    let (mut lag, mut slowest) = (0.0_f64, Duration::ZERO);
    let polls = |seen: &Exposition, zone| seen.of(zone, "zone_polls_total").unwrap();
    let first = exporter.scrape().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let started = Instant::now();
        assert!(started < deadline, "polls are {lag} s late");
        let seen = exporter.scrape().await;
        slowest = slowest.max(started.elapsed());
        lag = lag.max(seen.value("exporter_poll_lag_seconds", &[]).unwrap());
        let done = |zone| polls(&seen, zone) >= polls(&first, zone) + 10.0;
        if done("a.test") && done("b.test") {
            // Most hosts are still waiting to be resolved.
            let asked = dns.questions().len();
            assert!(asked < HOSTS, "{asked} questions");
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    // A lookup takes six seconds.
    assert!(lag < 2.0, "polls are {lag} s late");
    assert!(
        slowest < Duration::from_secs(1),
        "a scrape took {slowest:?}"
    );
}

#[tokio::test]
async fn a_host_with_more_addresses_than_mappings_can_follow_is_rotating_and_nothing_of_it_missing()
{
    let many: Vec<_> = (1..=20).map(|n| format!("52.95.110.{n}")).collect();
    let many = DnsHost::addresses(many.iter().map(String::as_str));
    let (dns, _dns) = name_server(&[("many.example.net", many)]).await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "many.example.net", true);
    zone.record("A", "plain.a.test", "52.95.111.1", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    let seen = exporter
        .until("a rotating host", |seen| {
            seen.value("origin_hosts", &[("state", "rotating")]) == Some(1.0)
                && !missing(seen).is_empty()
        })
        .await;
    assert_eq!(missing(&seen), ["52.95.111.1 dns  "]);
}

#[tokio::test]
async fn a_full_answer_may_be_a_part_of_more_and_is_not_missing_before_later_ones() {
    let few: Vec<_> = (1..=7).map(|n| format!("52.95.110.{n}")).collect();
    let full: Vec<_> = (1..=8).map(|n| format!("52.95.111.{n}")).collect();
    let host = |ips: &[String]| DnsHost::addresses(ips.iter().map(String::as_str));
    let (dns, _dns) = name_server(&[
        ("few.example.net", host(&few)),
        ("full.example.net", host(&full)),
    ])
    .await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "few.a.test", "few.example.net", true);
    zone.record("CNAME", "full.a.test", "full.example.net", true);
    zone.record("A", "also.a.test", &full[0], true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    let of_few = |seen: &Exposition| {
        let rows = missing(seen);
        let rows = rows.iter().filter(|row| row.starts_with("52.95.110."));
        rows.count()
    };
    exporter
        .until("two resolved hosts and seven missing mappings", |seen| {
            seen.value("origin_hosts", &[("state", "resolved")]) == Some(2.0) && of_few(seen) == 7
        })
        .await;
    exporter.polls(5).await;
    let seen = exporter.scrape().await;
    assert_eq!(of_few(&seen), 7);
    // Another record contains this address, so it is missing whether or not the host is rotating.
    assert_eq!(missing(&seen).len(), 8, "{:?}", missing(&seen));
    assert_eq!(
        seen.value("expected_origins", &[("source", "dns")]),
        Some(15.0)
    );
}

const EVERY_SOURCE: &str =
    "from_dns: true\nfrom_load_balancers: true\nfrom_rules: true\nunused_after: 1s";

#[tokio::test]
async fn hosts_of_every_kind_of_rule_are_expected() {
    const BUCKET: &str = "bucket.s3.eu-west-1.amazonaws.com";
    let (dns, _dns) = name_server(&[
        ("rule.example.net", DnsHost::addresses(["52.95.110.1"])),
        ("page.example.net", DnsHost::addresses(["52.95.110.2"])),
        (BUCKET, DnsHost::addresses(["52.95.110.3"])),
    ])
    .await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.origin_rule("rule.example.net");
    zone.page_rule("page.example.net");
    zone.cloud_connector_rule("aws_s3", BUCKET);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_rules: true")).await;
    let seen = exporter
        .until("three missing mappings", |seen| missing(seen).len() == 3)
        .await;
    assert_eq!(
        missing(&seen),
        [
            "52.95.110.1 rule  ",
            "52.95.110.2 rule  ",
            "52.95.110.3 rule aws eu-west-1",
        ]
    );
    exporter.polls(5).await;
    for operation in [
        Operation::OriginRules,
        Operation::CloudConnector,
        Operation::PageRules,
    ] {
        assert_eq!(api.count(operation), 1, "{operation:?}");
    }
}

#[tokio::test]
async fn a_kind_of_rules_that_may_not_be_read_costs_the_others_nothing() {
    let (dns, _dns) =
        name_server(&[("rule.example.net", DnsHost::addresses(["52.95.110.1"]))]).await;
    let mut world = world().zone("a.test", []);
    world.zone_mut("a.test").origin_rule("rule.example.net");
    let (api, _guard) = simulate(world).await;
    let forbidden = FaultKind::ApiError(403, 10000, "Authentication error".to_owned());
    break_call(&api, Operation::CloudConnector, forbidden);
    let exporter = Exporter::start(&api, &settings(&dns, EVERY_SOURCE)).await;
    exporter
        .until("the missing mapping", |seen| {
            missing(seen) == ["52.95.110.1 rule  "]
        })
        .await;
    exporter.logs(&["cloud_connector"]).await;
    let seen = exporter.scrape().await;
    assert_eq!(seen.of("a.test", "zone_up"), Some(1.0));
    assert_eq!(
        seen.of("a.test", "unused_mappings"),
        None,
        "unknown if a source cannot be read"
    );
}

#[tokio::test]
async fn a_mapping_that_no_source_names_is_unused_as_long_as_all_are_read() {
    let (dns, _dns) = name_server(&[("lb.example.net", DnsHost::addresses(["52.95.110.1"]))]).await;
    let mut world = world().zone(
        "a.test",
        [
            ("52.95.110.1", "aws", "us-east-1"),
            ("52.95.110.9", "aws", "us-east-1"),
        ],
    );
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "lb.example.net", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, EVERY_SOURCE)).await;
    let seen = exporter
        .until("an unused mapping", |seen| {
            seen.of("a.test", "unused_mappings") == Some(1.0)
        })
        .await;
    assert_eq!(seen.rows("unused_mapping", &["origin_ip"]), ["52.95.110.9"]);
    // A record names the address again.
    api.update(|world| {
        let zone = world.zone_mut("a.test");
        zone.record("A", "plain.a.test", "52.95.110.9", true);
    });
    exporter
        .until("no unused mapping", |seen| {
            seen.of("a.test", "unused_mappings") == Some(0.0)
        })
        .await;
    break_call(&api, Operation::LoadBalancers, FaultKind::Status(503, None));
    exporter
        .until("no series of unused mappings", |seen| {
            seen.of("a.test", "unused_mappings").is_none()
        })
        .await;
}

#[tokio::test]
async fn cloudflares_own_addresses_are_no_origins() {
    let (dns, _dns) = name_server(&[
        (
            "proxied.example.net",
            DnsHost::addresses(["104.16.1.1", "2400:cb00::1"]),
        ),
        ("good.example.net", DnsHost::addresses(["52.95.110.1"])),
    ])
    .await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "proxied.example.net", true);
    zone.record("CNAME", "good.a.test", "good.example.net", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, &settings(&dns, "from_dns: true")).await;
    let seen = exporter
        .until("a missing mapping and two resolved hosts", |seen| {
            !missing(seen).is_empty()
                && seen.value("origin_hosts", &[("state", "resolved")]) == Some(2.0)
        })
        .await;
    assert_eq!(missing(&seen), ["52.95.110.1 dns  "]);
    exporter.polls(3).await;
    assert_eq!(api.count(Operation::CloudflareIps), 1);
}

#[tokio::test]
async fn a_restart_keeps_what_hosts_were_known_to_have() {
    let (dns, _dns) = name_server(&[("lb.example.net", DnsHost::addresses(["52.95.110.1"]))]).await;
    let mut world = world().zone("a.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "lb.example.net", true);
    zone.record("CNAME", "own.a.test", "direct.a.test", true);
    zone.record("A", "direct.a.test", "52.95.110.9", false);
    let (api, _guard) = simulate(world).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("storage");
    let more = settings(&dns, "from_dns: true");
    let storage = ["--storage.path", path.to_str().unwrap()];
    let exporter = Exporter::start_with_flags(&api, &storage, &more).await;
    let both = |seen: &Exposition| missing(seen).len() == 2;
    exporter.until("two missing mappings", both).await;
    // What was served for more than two seconds survives a kill.
    sleep(Duration::from_secs(2)).await;
    drop(exporter);
    dns.update(|names| {
        names.set(
            "lb.example.net",
            DnsHost::default().trouble(DnsTrouble::Silent),
        );
    });
    let exporter = Exporter::start_with_flags(&api, &storage, &more).await;
    let start = Instant::now();
    while start.elapsed().as_secs() < 3 {
        let seen = exporter.scrape().await;
        assert_eq!(missing(&seen).len(), 2, "{:?}", missing(&seen));
        sleep(Duration::from_millis(20)).await;
    }
}
