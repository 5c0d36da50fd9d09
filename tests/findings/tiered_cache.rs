//! Tiered cache settings, and the regions that Cloudflare supports.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};

use crate::support::{Exporter, break_call, simulate, world};

#[tokio::test]
async fn settings_are_shown_for_each_zone_and_never_made_is_off() {
    let mut world = world();
    for (name, on, smart) in [
        ("on.test", true, Some(true)),
        ("half.test", true, Some(false)),
        ("unset.test", true, None),
        ("off.test", false, Some(false)),
    ] {
        world = world.zone(name, [("3.80.2.1", "aws", "us-east-1")]);
        let zone = world.zone_mut(name);
        (zone.tiered_cache, zone.smart_tiered_cache) = (on, smart);
    }
    let (api, _guard) = simulate(world).await;
    let exporter = Exporter::start(&api, "").await;
    let seen = exporter
        .until("all settings", |seen| {
            seen.rows("smart_tiered_cache_enabled", &["zone"]).len() == 4
        })
        .await;
    for (zone, on, smart) in [
        ("on.test", 1.0, 1.0),
        ("half.test", 1.0, 0.0),
        ("unset.test", 1.0, 0.0),
        ("off.test", 0.0, 0.0),
    ] {
        assert_eq!(seen.of(zone, "tiered_cache_enabled"), Some(on), "{zone}");
        let value = seen.of(zone, "smart_tiered_cache_enabled");
        assert_eq!(value, Some(smart), "{zone}");
    }
    // A setting that was never made is no error, nor is a zone that cannot return the regions.
    for operation in ["smart_tiered_cache", "supported_regions"] {
        assert_eq!(seen.errors(operation), [""; 0], "{operation}");
    }
    // Settings are read once an hour, and the regions from a single zone.
    exporter.polls(5).await;
    assert_eq!(api.count(Operation::TieredCache), 4);
    assert_eq!(api.count(Operation::SmartTieredCache), 4);
    let asked = api.count(Operation::SupportedRegions);
    assert!((1..=2).contains(&asked), "{asked} requests for the regions");
}

#[tokio::test]
async fn after_a_zone_that_does_not_return_the_regions_another_is_asked_without_a_poll() {
    let mut world = world().zone("off.test", []).zone("on.test", []);
    world.zone_mut("off.test").tiered_cache = false;
    let failing: Vec<_> = (0..8).map(|number| format!("f{number}.test")).collect();
    for name in &failing {
        world = world.zone(name, []);
    }
    let (api, _guard) = simulate(world).await;
    let add = |kind, operation, zone: &str| {
        api.add_fault(Fault::new(kind).on(operation).zone(zone));
    };
    for name in &failing {
        add(FaultKind::Status(403, None), Operation::ListMappings, name);
    }
    // The zone without tiered cache is asked first. By the time it responds, the other zone has
    // read everything else.
    let delay = |milliseconds| FaultKind::Delay(Duration::from_millis(milliseconds));
    add(delay(300), Operation::ListMappings, "on.test");
    add(delay(600), Operation::SupportedRegions, "off.test");
    let exporter = Exporter::polling(&api, "interval: 1h", "").await;
    exporter
        .until("the supported regions", |seen| {
            !seen.rows("upper_tier_info", &["vendor"]).is_empty()
        })
        .await;
    assert_eq!(api.count(Operation::SupportedRegions), 2);
}

#[tokio::test]
async fn a_setting_that_cannot_be_read_leaves_no_series_and_harms_nothing() {
    let world = world()
        .zone("a.test", [("3.80.2.1", "aws", "us-east-1")])
        .zone("b.test", []);
    let (api, _guard) = simulate(world).await;
    let forbidden = || FaultKind::ApiError(403, 10000, "Authentication error".to_owned());
    api.add_fault(
        Fault::new(forbidden())
            .on(Operation::TieredCache)
            .zone("a.test"),
    );
    break_call(&api, Operation::SmartTieredCache, forbidden());
    let exporter = Exporter::start(&api, "").await;
    let seen = exporter
        .until("the setting of the other zone", |seen| {
            seen.of("b.test", "tiered_cache_enabled") == Some(1.0)
        })
        .await;
    assert_eq!(seen.of("a.test", "tiered_cache_enabled"), None);
    assert_eq!(seen.rows("smart_tiered_cache_enabled", &["zone"]), [""; 0]);
    exporter.polls(2).await;
    let seen = exporter.scrape().await;
    assert_eq!(seen.of("a.test", "zone_up"), Some(1.0));
    assert_eq!(seen.errors("tiered_cache"), ["forbidden"]);
    let logged = exporter.log_lines(&["operation=tiered_cache", "Zone Settings: Read"]);
    assert_eq!(logged.len(), 1, "{logged:?}");
}

#[tokio::test]
async fn switched_off_nothing_is_read() {
    let (api, _guard) = simulate(world().zone("a.test", [])).await;
    let more = "verify: { tiered_cache: false, supported_regions: false }\n";
    let exporter = Exporter::start(&api, more).await;
    exporter.polls(3).await;
    for operation in crate::support::OPTIONAL {
        assert_eq!(api.count(operation), 0, "{operation:?}");
    }
    let seen = exporter.scrape().await;
    assert_eq!(seen.rows("tiered_cache_enabled", &["zone"]), [""; 0]);
}
