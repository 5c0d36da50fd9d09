//! Which zones are polled: filters, identifiers, two accounts, and names without a zone.

use cloudflare_origin_region_exporter::simulator::{Credential, Operation, World, zone_id_of};

use crate::support::{Api, BAD, Config, GOOD, ON_BAD, OTHER_TOKEN, TOKEN, world};

const ABSENT_ID: &str = "00000000000000000000000000000abc";

fn with_zones(zones: &str, more: &str) -> Config {
    Config {
        accounts: format!("[{{ name: main, api_token: {TOKEN}, zones: {{ {zones} }} }}]"),
        more: more.to_owned(),
        ..Config::default()
    }
}

#[tokio::test]
async fn filters_choose_by_name_and_what_matches_nothing_is_told() {
    let mut world = world();
    for name in ["www.shop.example", "dev.shop.example", "shop.example"] {
        world = world.zone(name, []);
    }
    let api = Api::start(world).await;
    let config = with_zones(
        "include: [\"*.SHOP.example\", good.example, \"*.nowhere\"], exclude: [\"dev.*\"]",
        "expect: { zones: { missing.example: [{ origin_ip: 192.0.2.1 }], good.example: [] } }\n\
         zone_overrides: { absent.example: { interval: 1m }, shop.example: { interval: 1m } }",
    );
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon
        .until("the zones are up", |scrape| {
            scrape.sum("zone_up", &[]) == 2.0
        })
        .await;
    let zones = scrape.values_of("zone", "zone_info", &[]);
    assert_eq!(zones, [GOOD, "www.shop.example"]);
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "filtered")]),
        Some(3.0)
    );
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "polled")]),
        Some(2.0)
    );
    for (kind, count) in [
        ("ids", 0.0),
        ("include", 1.0),
        ("expect", 1.0),
        ("zone_overrides", 2.0),
    ] {
        let value = scrape.value("exporter_unmatched_zones", &[("kind", kind)]);
        assert_eq!(value, Some(count), "{kind}");
    }
    daemon.until_polled_again(3.0).await;
    for name in ["*.nowhere", "missing.example", "absent.example"] {
        daemon
            .assert_logged(&["no zone matches these names", name], 1)
            .await;
    }
    assert_eq!(api.readings(BAD).len(), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn identifiers_name_exactly_the_zones_and_one_that_cannot_be_read_is_shown() {
    let api = Api::start(world().zone("third.example", [])).await;
    let ids = format!(
        "ids: [{}, {}, {ABSENT_ID}]",
        zone_id_of(GOOD),
        zone_id_of(BAD)
    );
    let mut daemon = api.daemon(&with_zones(&ids, "")).await;
    daemon.until_read().await;
    let absent = [("zone", ABSENT_ID), ("zone_id", ABSENT_ID)];
    let scrape = daemon
        .until("the absent zone was tried", |scrape| {
            scrape.value("zone_up", &absent).is_some()
        })
        .await;
    assert_eq!(scrape.value("zone_up", &absent), Some(0.0));
    assert_eq!(scrape.value("zone_info", &absent), Some(1.0));
    assert_eq!(
        scrape.count("zone_last_success_timestamp_seconds", &absent),
        0
    );
    assert_eq!(scrape.count("zone_mappings", &absent), 0);
    assert_eq!(
        scrape.value("exporter_unmatched_zones", &[("kind", "ids")]),
        Some(1.0)
    );
    assert_eq!(
        scrape.value("exporter_zones", &[("state", "polled")]),
        Some(3.0)
    );
    assert_eq!(scrape.count("zone_info", &[]), 3);
    assert_eq!(api.simulator.count(Operation::ListZones), 0);
    daemon.until_ready().await;
    daemon
        .assert_logged(&["no zone matches these names", ABSENT_ID], 1)
        .await;

    // The zone appears later.
    api.simulator.update(|world| {
        let id = cloudflare_origin_region_exporter::domain::ZoneId::parse(ABSENT_ID).unwrap();
        let mut zone = world.zones[&zone_id_of("third.example")].clone();
        zone.zone.id = id.clone();
        world.zones.insert(id, zone);
    });
    let scrape = daemon
        .until("it is read under its name", |s| {
            s.up("third.example") == Some(true)
        })
        .await;
    assert_eq!(scrape.value("zone_up", &absent), None);
    assert_eq!(
        scrape.value("exporter_unmatched_zones", &[("kind", "ids")]),
        Some(0.0)
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_zone_that_two_accounts_see_belongs_to_the_first_and_is_polled_once() {
    let shared = World {
        zones: world().zones,
        ..world()
    };
    let world = shared
        .account("second", "Second Company")
        .credential(Credential::user_token("token-2", OTHER_TOKEN).only_accounts(["second"]))
        .zone_of("second", "own.example", [])
        .zone_of("second", "shared.example", []);
    let api = Api::start(world).await;
    let config = Config {
        accounts: format!(
            "[{{ name: first, api_token: {TOKEN}, zones: {{ exclude: [own.example] }} }}, \
              {{ name: second, api_token: {OTHER_TOKEN} }}]"
        ),
        ..Config::default()
    };
    let mut daemon = api.daemon(&config).await;
    let scrape = daemon
        .until("all zones are up", |scrape| {
            scrape.sum("zone_up", &[]) == 4.0
        })
        .await;
    let account = |zone| scrape.values_of("account", "zone_info", &[("zone", zone)]);
    assert_eq!(account("shared.example"), ["first"]);
    assert_eq!(account("own.example"), ["second"]);
    assert_eq!(account(BAD), ["first"]);
    let zones = |account, state| {
        let labels = [("account", account), ("state", state)];
        scrape.value("exporter_zones", &labels).unwrap()
    };
    assert_eq!(
        [zones("first", "polled"), zones("first", "filtered")],
        [3.0, 1.0]
    );
    assert_eq!(
        [zones("second", "polled"), zones("second", "duplicate")],
        [1.0, 1.0]
    );
    assert_eq!(scrape.count("zone_up", ON_BAD), 1);
    daemon.until_polled_again(3.0).await;
    let by = |zone| {
        let readings = api.readings(zone).into_iter();
        let mut who: Vec<_> = readings.filter_map(|request| request.credential).collect();
        who.dedup();
        who
    };
    assert_eq!(by("own.example"), ["token-2"]);
    assert!(!by(BAD).contains(&"token-2".to_owned()));
    daemon
        .assert_logged(&["zones are polled by an earlier account"], 1)
        .await;
    daemon.stop().await;
}
