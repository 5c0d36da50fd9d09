//! An origin is looked up before it is first reported as missing.

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};
use serde_json::Value;

use crate::support::{Exporter, Exposition, break_call, simulate, world};

fn missing(seen: &Exposition) -> Option<f64> {
    seen.of("a.test", "missing_mappings")
}

fn declare(ips: impl Iterator<Item = String>) -> String {
    let rows = ips.map(|ip| format!("{{ origin_ip: {ip} }}"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!("expect: {{ zones: {{ a.test: [{rows}] }} }}\n")
}

#[tokio::test]
async fn a_mapping_that_the_list_lacks_and_the_look_up_finds_is_not_missing() {
    let mappings = [
        ("3.80.2.0", "aws", "us-east-1"),
        ("3.80.2.1", "aws", "us-east-1"),
        ("3.80.2.2", "aws", "us-east-1"),
    ];
    let (api, _guard) = simulate(world().zone("a.test", mappings)).await;
    // The row of 3.80.2.2 is replaced by an invalid one.
    break_call(
        &api,
        Operation::ListMappings,
        FaultKind::BadRow(Value::Null),
    );
    let ips = ["3.80.2.1", "3.80.2.2"].map(str::to_owned).into_iter();
    let exporter = Exporter::start(&api, &declare(ips)).await;
    exporter.polls(4).await;
    let seen = exporter.scrape().await;
    assert_eq!(missing(&seen), Some(0.0));
    assert_eq!(seen.of("a.test", "zone_mappings"), Some(2.0));
    assert!(api.count(Operation::GetMapping) >= 3);
    // Now it is really removed.
    api.update(|world| world.zone_mut("a.test").unmap("3.80.2.2"));
    exporter
        .until("the missing origins", |seen| {
            // The invalid row now replaces 3.80.2.1, which the lookup finds.
            seen.rows("missing_mapping", &["origin_ip"]) == ["3.80.2.2"]
        })
        .await;
}

#[tokio::test]
async fn only_a_few_origins_are_looked_up_and_all_are_shown() {
    let (api, _guard) = simulate(world().zone("a.test", [])).await;
    let ips = (1..=40).map(|number| format!("3.80.2.{number}"));
    let exporter = Exporter::start(&api, &declare(ips)).await;
    exporter
        .until("all origins missing", |seen| missing(seen) == Some(40.0))
        .await;
    exporter.polls(3).await;
    assert_eq!(api.count(Operation::GetMapping), 5);
    let seen = exporter.scrape().await;
    assert_eq!(missing(&seen), Some(40.0));
    // "Not mapped" is the expected response, not an error.
    assert_eq!(seen.errors("get_mapping"), [""; 0]);
}

#[tokio::test]
async fn a_look_up_that_fails_tells_nothing_until_the_next_poll_misses_the_mapping_too() {
    let (api, _guard) = simulate(world().zone("a.test", [])).await;
    break_call(&api, Operation::GetMapping, FaultKind::Html);
    let ips = ["3.80.2.1".to_owned()].into_iter();
    let poll = "interval: 3s, retries: 0";
    let exporter = Exporter::polling(&api, poll, &declare(ips)).await;
    exporter
        .until("a failed lookup", |seen| {
            !seen.errors("get_mapping").is_empty()
        })
        .await;
    let polls = |seen: &Exposition| seen.of("a.test", "zone_polls_total");
    let second = exporter
        .until("the second poll", |seen| {
            let is_first = polls(seen) == Some(1.0);
            assert!(!is_first || missing(seen) == Some(0.0));
            !is_first
        })
        .await;
    assert_eq!(missing(&second), Some(1.0));
}

#[tokio::test]
async fn an_origin_whose_mapping_may_be_an_unreadable_row_is_missing_only_by_a_look_up() {
    let mappings = [
        ("3.80.2.0", "aws", "us-east-1"),
        ("3.80.2.1", "aws", "us-east-1"),
    ];
    let (api, _guard) = simulate(world().zone("a.test", mappings)).await;
    break_call(
        &api,
        Operation::ListMappings,
        FaultKind::BadRow(Value::Null),
    );
    break_call(&api, Operation::GetMapping, FaultKind::Html);
    // Only 3.80.2.1 is mapped.
    let ips = (1..=7).map(|number| format!("3.80.2.{number}"));
    let poll = "interval: 300ms, retries: 0";
    let exporter = Exporter::polling(&api, poll, &declare(ips)).await;
    exporter.polls(4).await;
    assert!(api.count(Operation::GetMapping) >= 2);
    assert_eq!(missing(&exporter.scrape().await), Some(0.0));
    api.clear_faults();
    break_call(
        &api,
        Operation::ListMappings,
        FaultKind::BadRow(Value::Null),
    );
    exporter
        .until("six missing origins", |seen| missing(seen) == Some(6.0))
        .await;
    exporter.polls(2).await;
    let seen = exporter.scrape().await;
    let shown = seen.rows("missing_mapping", &["origin_ip"]);
    assert!(!shown.contains(&"3.80.2.1".to_owned()), "{shown:?}");
}

#[tokio::test]
async fn an_origin_whose_look_up_fails_or_hangs_is_missing_after_the_next_poll() {
    for kind in [FaultKind::Html, FaultKind::Hang] {
        let (api, _guard) = simulate(world().zone("a.test", [])).await;
        break_call(&api, Operation::GetMapping, kind);
        let ips = ["3.80.2.1".to_owned()].into_iter();
        let poll = "interval: 500ms, retries: 0";
        let exporter = Exporter::polling(&api, poll, &declare(ips)).await;
        let seen = exporter
            .until("the missing origin", |seen| missing(seen) == Some(1.0))
            .await;
        let polls = seen.of("a.test", "zone_polls_total").unwrap();
        assert!(
            (2.0..=3.0).contains(&polls),
            "expected one poll later, took {polls}"
        );
    }
}

#[tokio::test]
async fn an_origin_that_goes_missing_later_is_shown_although_other_calls_hang() {
    let mappings = [("3.80.2.1", "aws", "us-east-1")];
    let mut world = world().zone("a.test", mappings);
    world
        .zone_mut("a.test")
        .record("A", "www.a.test", "3.80.2.1", true);
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, "expect: { from_dns: true }\n").await;
    exporter
        .until("no missing origin", |seen| missing(seen) == Some(0.0))
        .await;
    break_call(&api, Operation::DnsRecords, FaultKind::Hang);
    api.update(|world| world.zone_mut("a.test").unmap("3.80.2.1"));
    exporter
        .until("the missing origin", |seen| missing(seen) == Some(1.0))
        .await;
}

#[tokio::test]
async fn a_zone_that_goes_while_its_origins_are_looked_up_leaves_nothing() {
    let (api, _guard) = simulate(world().zone("a.test", []).zone("b.test", [])).await;
    api.add_fault(
        Fault::new(FaultKind::Delay(std::time::Duration::from_secs(1))).on(Operation::GetMapping),
    );
    let ips = ["3.80.2.1".to_owned()].into_iter();
    let exporter = Exporter::polling(
        &api,
        "interval: 10s, discovery_interval: 200ms",
        &declare(ips),
    )
    .await;
    exporter
        .until("the zone", |seen| seen.of("a.test", "zone_up") == Some(1.0))
        .await;
    let zone = api.update(|world| world.remove_zone("a.test")).unwrap();
    exporter
        .until("the end of the zone", |seen| {
            seen.of("a.test", "zone_info").is_none()
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert_eq!(
        exporter.scrape().await.rows("missing_mappings", &["zone"]),
        [""; 0]
    );
    api.update(|world| world.zones.insert(zone.zone.id.clone(), zone));
    exporter
        .until("the missing origin again", |seen| {
            missing(seen) == Some(1.0)
        })
        .await;
}
