//! What survives a restart.

use std::fmt::Write as _;

use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, Operation, RetryAfter, StaticFile, demo,
};
use tokio::time::{Duration, sleep};

use crate::support::{Scrape, Setup};

const ZONE: &str = "a.example";
const DECLARED: &str = "expect: { zones: { a.example: [{ origin_ip: 192.0.2.77 }] } }";

async fn setup(poll: &str) -> Setup {
    Setup::new(&[ZONE, "b.example"], poll, DECLARED).await
}

#[tokio::test]
async fn everything_is_served_as_it_was_while_the_api_is_down() {
    let setup = setup("interval: 200ms, retries: 0").await;
    let life = setup.start().await;
    life.until("the finding is there and b is polled", |scrape| {
        scrape.sum(&["missing_mapping{", ZONE]) == 1.0 && scrape.has(&["zone_up{", "b.example"])
    })
    .await;
    let fault = Fault::new(FaultKind::Status(503, None)).on(Operation::ListMappings);
    setup.simulator.add_fault(fault.zone("b.example"));
    life.until("b fails", |scrape| {
        scrape.sum(&["zone_up{", "b.example"]) == 0.0
    })
    .await;
    setup.simulator.clear_faults();
    setup.simulator.add_fault(Fault::new(FaultKind::Hang));
    sleep(Duration::from_millis(2500)).await;
    let before = life.scrape().await;
    life.kill().await;
    let life = setup.start().await;
    let after = life.scrape().await;
    let is_of_zone = |series: &str| series.contains("zone_id=") && !series.contains("_age_seconds");
    let of_zones = before
        .series
        .iter()
        .filter(|(series, _)| is_of_zone(series));
    let of_zones: Vec<_> = of_zones.collect();
    assert!(of_zones.len() > 20, "{of_zones:?}");
    for (series, value) in of_zones {
        assert_eq!(after.series.get(series), Some(value), "{series}");
    }
    assert_eq!(after.sum(&["missing_mapping{", ZONE]), 1.0);
    assert_eq!(after.sum(&["exporter_storage_up"]), 1.0);
    assert_eq!(after.sum(&["exporter_storage_errors_total"]), 0.0);
    life.stop().await;
}

#[tokio::test]
async fn what_changed_while_it_was_down_is_counted_and_logged() {
    let setup = setup("interval: 200ms").await;
    let life = setup.start().await;
    life.until("both are read twice", |scrape| {
        [ZONE, "b.example"]
            .iter()
            .all(|zone| scrape.sum(&["zone_polls_total{", zone]) > 2.0)
    })
    .await;
    life.stop().await;
    setup.simulator.update(|world| {
        world.zone_mut(ZONE).unmap("192.0.2.1");
        world
            .zone_mut(ZONE)
            .map("192.0.2.9", "oci", "us-ashburn-1", None);
    });
    let life = setup.start().await;
    let scrape = life
        .until("the removal is counted", |scrape| {
            scrape.sum(&["mapping_changes_total", ZONE, "\"removed\""]) == 1.0
        })
        .await;
    assert_eq!(
        scrape.sum(&["mapping_changes_total", ZONE, "\"added\""]),
        1.0
    );
    assert_eq!(scrape.sum(&["mapping_changes_total", "b.example"]), 0.0);
    let log = life.stop().await;
    for words in [
        [
            "\"mapping removed\"",
            "origin_ip=192.0.2.1",
            "region=us-east-1",
        ],
        [
            "\"mapping added\"",
            "origin_ip=192.0.2.9",
            "region=us-ashburn-1",
        ],
    ] {
        let lines = log.lines();
        let hits = lines.filter(|line| words.iter().all(|word| line.contains(word)));
        assert_eq!(hits.count(), 1, "{words:?}\n{log}");
    }
}

#[tokio::test]
async fn data_older_than_the_retention_is_compared_and_not_served() {
    let setup = setup("interval: 200ms, retries: 0, retain: 1s").await;
    let life = setup.start().await;
    life.until("a is read twice", |scrape| {
        scrape.sum(&["zone_polls_total{", ZONE]) > 2.0
    })
    .await;
    life.stop().await;
    sleep(Duration::from_millis(1200)).await;
    setup.simulator.add_fault(Fault::new(FaultKind::Hang));
    let life = setup.start().await;
    let scrape = life.scrape().await;
    assert!(scrape.mappings().is_empty());
    assert!(scrape.sum(&["zone_polls_total{", ZONE]) > 2.0);
    life.stop().await;
    setup.simulator.clear_faults();
    setup
        .simulator
        .update(|world| world.zone_mut(ZONE).unmap("192.0.2.1"));
    let life = setup.start().await;
    life.until("the removal is counted", |scrape| {
        scrape.sum(&["mapping_changes_total", ZONE, "\"removed\""]) == 1.0
    })
    .await;
    life.stop().await;
}

#[tokio::test]
async fn the_ranges_of_the_vendors_outlast_a_restart() {
    let mut setup = setup("interval: 200ms, retries: 0").await;
    let mut sources = String::new();
    for file in demo::range_files() {
        let url = setup.simulator.file_url(file.path);
        write!(sources, "{}: \"{url}\", ", file.vendor).unwrap();
        let served = StaticFile {
            content_type: "application/json".to_owned(),
            body: file.json.into(),
            etag: None,
        };
        setup
            .simulator
            .update(|world| world.files.insert(file.path.to_owned(), served));
    }
    let ranges = format!("vendor_ranges: {{ enabled: true, sources: {{ {sources} }} }}");
    setup.configure(
        "tiered_cache: false",
        &format!("tiered_cache: false, {ranges}"),
    );
    setup.configure("expect: {", "expect: { from_dns: true,");
    // In the ranges of us-east-1.
    setup.simulator.update(|world| {
        let zone = world.zone_mut(ZONE);
        zone.record("A", "www.a.example", "3.80.2.1", true);
        zone.map("3.80.2.1", "aws", "eu-west-1", None);
    });
    let is_judged =
        |scrape: &Scrape| scrape.sum(&["wrong_mapping{", ZONE, "vendor_ranges", "3.80.2.1"]) == 1.0;
    let life = setup.start().await;
    let before = life.until("it is judged by the ranges", is_judged).await;
    sleep(Duration::from_millis(2500)).await;
    life.kill().await;
    setup.simulator.update(|world| {
        world.files.clear();
        world
            .zone_mut("b.example")
            .map("3.80.2.2", "aws", "eu-west-1", None);
    });
    let life = setup.start().await;
    let first = life.scrape().await;
    assert!(is_judged(&first), "{:#?}", first.series);
    for vendor in ["aws", "azure", "gcp", "oci"] {
        for family in ["prefixes", "last_success_timestamp_seconds"] {
            let words = ["vendor_ranges_", family, vendor];
            assert!(first.sum(&words) > 0.0, "{words:?}");
            assert_eq!(first.sum(&words), before.sum(&words), "{words:?}");
        }
    }
    // The stored ranges are used for new mappings, although the vendors cannot be reached.
    let last = life
        .until("b is judged by the stored ranges", |scrape| {
            scrape.sum(&["wrong_mapping{", "b.example", "vendor_ranges"]) == 1.0
                && scrape.sum(&["vendor_ranges_up"]) == 0.0
        })
        .await;
    assert!(is_judged(&last));
    life.stop().await;
}

#[tokio::test]
async fn a_pause_after_a_429_outlasts_a_kill() {
    const PAUSE: Duration = Duration::from_secs(5);
    let setup = setup("interval: 200ms, retries: 0").await;
    let life = setup.start().await;
    life.until("both are read", |scrape| scrape.mappings().len() == 2)
        .await;
    let refusal = FaultKind::TooManyRequests(RetryAfter::Seconds(PAUSE.as_secs()));
    setup.simulator.add_fault(Fault::new(refusal).times(1));
    life.until("the account is blocked", |scrape| {
        scrape.sum(&["api_blocked_until_timestamp_seconds"]) > 0.0
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    let blocked = setup.simulator.requests().len();
    let until = life.scrape().await;
    life.kill().await;
    let life = setup.start().await;
    let words = ["api_blocked_until_timestamp_seconds"];
    let restored = life.scrape().await.sum(&words);
    assert!((restored - until.sum(&words)).abs() < 0.1, "{restored}");
    life.until("polling continues", |scrape| {
        scrape.sum(&["api_blocked_until_timestamp_seconds"]) == 0.0
            && scrape.sum(&["exporter_api_requests_total", "list_mappings"]) > 2.0
    })
    .await;
    let requests = setup.simulator.requests();
    let waited = requests[blocked].at - requests[blocked - 1].at;
    assert!(waited + Duration::from_millis(200) > PAUSE, "{waited:?}");
    life.stop().await;
}
