//! Zones appear, disappear and change; the listing fails, or is unexpectedly empty.

use cloudflare_origin_region_exporter::simulator::{
    Fault, FaultKind, Operation, World, zone_id_of,
};

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, TOKEN, fill, world};

const DISCOVERY: &str = "exporter_discovery_up";
const NO_ZONES: &str = r#"{"success": true, "errors": [], "messages": [], "result": [],
    "result_info": {"page": 1, "per_page": 50, "count": 0, "total_count": 0, "total_pages": 0}}"#;

const SUDDENLY_EMPTY: &str = "zone list is suddenly empty, reading it again";

fn empty_listing() -> Fault {
    let kind = FaultKind::Status(200, Some(NO_ZONES.to_owned()));
    Fault::new(kind).on(Operation::ListZones)
}

#[tokio::test]
async fn zones_are_found_on_all_pages_in_the_fewest_requests() {
    const ZONES: usize = 120;
    let mut world = World::generate(TOKEN, ZONES, 2, 1);
    fill(world.zone_mut("zone-00007.example"), 3500, "us-east-1");
    world.zone_mut("zone-00008.example").mappings.clear();
    let api = Api::start(world).await;
    let mut daemon = api.daemon(&Config::polling("interval: 1h")).await;
    let scrape = daemon
        .until("all zones are up", |scrape| {
            scrape.sum("zone_up", &[]) == 120.0
        })
        .await;
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "polled")]),
        Some(120.0)
    );
    for state in ["filtered", "other_shard", "duplicate"] {
        assert_eq!(
            scrape.value("exporter_zones", &[("state", state)]),
            Some(0.0)
        );
    }
    assert_eq!(scrape.count("zone_info", &[("account", "main")]), ZONES);
    assert_eq!(
        scrape.value("zone_mappings", &[("zone", "zone-00008.example")]),
        Some(0.0)
    );
    assert_eq!(
        scrape.count("mappings", &[("zone", "zone-00008.example")]),
        0
    );
    assert_eq!(scrape.mappings("zone-00007.example"), 3500);
    assert_eq!(scrape.value("zone_mappings_limit", &[]), Some(3500.0));
    assert_eq!(api.readings("zone-00007.example").len(), 35);
    assert_eq!(api.readings("zone-00008.example").len(), 1);
    assert_eq!(api.simulator.count(Operation::ListZones), 3);
    assert_eq!(api.simulator.count(Operation::ListMappings), 35 + 119);
    daemon.stop().await;
}

#[tokio::test]
async fn a_row_of_the_list_that_cannot_be_read_loses_no_zone() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let row = serde_json::json!({"id": 7, "name": BAD});
    let fault = Fault::new(FaultKind::BadRow(row)).on(Operation::ListZones);
    api.simulator.add_fault(fault);
    let logged = ["some zones of the list cannot be read"];
    daemon.until_logged(&logged).await;
    // Later listings contain the same row. It is logged once.
    daemon.until_polled_again(3.0).await;
    daemon.assert_logged(&logged, 1).await;
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.count("zone_info", &[]), 2);
    assert_eq!(scrape.value(DISCOVERY, &[]), Some(1.0));
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_that_disappears_takes_all_its_series_along() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    assert!(scrape.families_of(BAD).len() > 10);
    api.simulator.update(|world| world.remove_zone(BAD));
    let scrape = daemon
        .until("the zone is gone", |scrape| {
            scrape.families_of(BAD).is_empty()
        })
        .await;
    assert_eq!((scrape.up(GOOD), scrape.mappings(GOOD)), (Some(true), 3));
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "polled")]),
        Some(1.0)
    );
    daemon.assert_logged(&["zones changed", "gone=1 "], 1).await;
    daemon.until_polled_again(1.0).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_that_appears_is_read_at_once() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 1h, discovery_interval: 200ms");
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    api.simulator.update(|world| {
        *world = world
            .clone()
            .zone("new.example", [("192.0.2.9", "oci", "us-ashburn-1")]);
    });
    let scrape = daemon
        .until("the new zone is read", |scrape| {
            scrape.up("new.example") == Some(true)
        })
        .await;
    assert_eq!(scrape.mappings("new.example"), 1);
    assert_eq!(scrape.sum("mapping_changes_total", &[]), 0.0);
    assert_eq!(api.readings(GOOD).len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_whose_status_and_plan_change_is_still_polled_and_shown_as_it_is() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let scrape = daemon.until_read().await;
    let info = [
        ("zone", BAD),
        ("status", "active"),
        ("plan", "Enterprise Website"),
    ];
    assert_eq!(scrape.value("zone_info", &info), Some(1.0));
    api.simulator.update(|world| {
        let zone = &mut world.zone_mut(BAD).zone;
        zone.status = "moved".into();
        zone.plan = "Free Website".into();
    });
    let info = [("zone", BAD), ("status", "moved"), ("plan", "Free Website")];
    let scrape = daemon
        .until("the new status is shown", |scrape| {
            scrape.value("zone_info", &info).is_some()
        })
        .await;
    assert_eq!(scrape.count("zone_info", ON_BAD), 1);
    let polls = scrape.polls(BAD);
    daemon
        .until("it is polled", |scrape| scrape.polls(BAD) > polls)
        .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_that_is_renamed_keeps_its_counters() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let polls = daemon.until_read().await.polls(BAD);
    let name = cloudflare_origin_region_exporter::domain::ZoneName::parse("renamed.example");
    api.simulator
        .update(|world| world.zone_mut(BAD).zone.name = name.unwrap());
    let id = zone_id_of(BAD);
    let scrape = daemon
        .until("the new name is shown", |scrape| {
            scrape.up("renamed.example") == Some(true)
        })
        .await;
    assert!(scrape.families_of(BAD).is_empty());
    let by_id = [("zone_id", id.as_str())];
    assert!(scrape.value("zone_polls_total", &by_id) >= Some(polls));
    assert_eq!(scrape.mappings("renamed.example"), 3);
    daemon.stop().await;
}

#[tokio::test]
async fn a_listing_that_is_empty_once_is_not_believed() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 1h, discovery_interval: 300ms");
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    api.simulator.add_fault(empty_listing().times(1));
    let before = api.simulator.count(Operation::ListZones);
    daemon
        .until("the zones were listed again", |scrape| {
            assert_eq!((scrape.mappings(GOOD), scrape.mappings(BAD)), (3, 3));
            api.simulator.count(Operation::ListZones) >= before + 4
        })
        .await;
    daemon.assert_logged(&[SUDDENLY_EMPTY], 1).await;
    assert_eq!(api.readings(GOOD).len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_listing_that_stays_empty_is_believed() {
    let api = Api::start(world()).await;
    let config = Config::polling("interval: 200ms, discovery_interval: 300ms");
    let mut daemon = api.daemon(&config).await;
    daemon.until_read().await;
    api.simulator.add_fault(empty_listing());
    let scrape = daemon
        .until("the zones are gone", |scrape| {
            scrape.count("zone_info", &[]) == 0
        })
        .await;
    assert_eq!(scrape.value(DISCOVERY, &[]), Some(1.0));
    assert_eq!(scrape.count("zone_polls_total", &[]), 0);
    for state in ["polled", "filtered", "other_shard", "duplicate"] {
        let zones = [("state", state)];
        assert_eq!(scrape.value("exporter_zones", &zones), Some(0.0));
    }
    daemon.until_logged(&[SUDDENLY_EMPTY]).await;
    api.simulator.clear_faults();
    daemon.until_read().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_listing_that_fails_changes_nothing() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    let success = "exporter_discovery_last_success_timestamp_seconds";
    daemon.until_read().await;
    let mut failures = 0;
    for kind in [
        FaultKind::Status(500, None),
        FaultKind::Html,
        FaultKind::ShortPage,
        FaultKind::NullResult,
        FaultKind::Status(403, None),
    ] {
        let fault = Fault::new(kind).on(Operation::ListZones);
        api.simulator.add_fault(fault);
        let scrape = daemon
            .until("the listing failed", |scrape| {
                scrape.value(DISCOVERY, &[]) == Some(0.0)
            })
            .await;
        let last_success = scrape.value(success, &[]);
        failures += 1;
        let logged = ["level=warn", "listing zones failed\"", "error=\""];
        daemon.assert_logged(&logged, failures).await;
        assert!(last_success.is_some());
        let scrape = daemon.until_polled_again(2.0).await;
        assert_eq!(scrape.value(success, &[]), last_success);
        assert_eq!((scrape.up(GOOD), scrape.up(BAD)), (Some(true), Some(true)));
        assert_eq!(
            scrape.value("exporter_zones", &[("state", "polled")]),
            Some(2.0)
        );
        api.simulator.clear_faults();
        daemon
            .until("the listing succeeds", |s| {
                s.value(DISCOVERY, &[]) == Some(1.0)
            })
            .await;
    }
    daemon.stop().await;
}
