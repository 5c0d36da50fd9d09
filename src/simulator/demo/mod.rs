//! The world of the demo: a company with zones in several clouds, where some things are wrong and
//! mappings keep changing.

mod hosts;
mod live;
mod ranges;

use jiff::{Timestamp, ToSpan as _};

pub use hosts::hosts;
pub use live::live;
pub use ranges::{RangeFile, range_files};

use super::regions;
use super::world::{
    FIRST_ACCOUNT, LoadBalancer, Pool, PoolOrigin, SimulatedZone, StaticFile, World, stable_id,
};

/// The token of the demo's world. It is not valid anywhere else.
pub const TOKEN: &str = "demo-token";
/// Ten times Cloudflare's limit for five minutes, so that the demo can poll often enough for
/// changes to be watched.
pub const REQUESTS: u32 = 12_000;
/// The zone whose mappings change.
pub const LIVELY_ZONE: &str = "shop.example";
/// The zone whose polls fail now and then.
pub const FLAKY_ZONE: &str = "status.example";
/// The number of mappings of the large zone.
const LARGE_ZONE_MAPPINGS: u16 = 1200;
/// The ages of most mappings, in days.
const USUAL_AGES: std::ops::Range<i64> = 2..120;
/// The age of a forgotten mapping, in days.
const FORGOTTEN_DAYS: i64 = 400;

/// A zone's mappings: address, vendor, region. The addresses agree with [`range_files`], except for
/// the origin that moved.
type Rows = &'static [(&'static str, &'static str, &'static str)];

const ZONES: &[(&str, &str, Rows)] = &[
    (
        "example.com",
        "Enterprise Website",
        &[
            ("3.80.2.10", "aws", "us-east-1"),
            ("3.80.2.11", "aws", "us-east-1"),
            ("3.80.2.140", "aws", "eu-west-1"),
            ("2600:1f18:a:1::10", "aws", "us-east-1"),
        ],
    ),
    (
        LIVELY_ZONE,
        "Enterprise Website",
        &[
            ("34.68.100.10", "gcp", "us-central1"),
            ("34.68.100.11", "gcp", "us-central1"),
            ("34.68.100.12", "gcp", "us-central1"),
            ("34.68.100.140", "gcp", "europe-west1"),
            ("34.68.100.141", "gcp", "europe-west1"),
            ("2600:1f18:b:1::10", "gcp", "us-central1"),
        ],
    ),
    (
        "api.example",
        "Enterprise Website",
        &[
            ("40.74.113.10", "azure", "westeurope"),
            ("40.74.113.70", "azure", "eastus"),
            ("3.80.2.20", "aws", "us-east-1"),
        ],
    ),
    (
        "media.example",
        "Business Website",
        &[
            ("40.74.113.140", "oci", "us-ashburn-1"),
            ("40.74.113.200", "oci", "uk-london-1"),
            ("40.74.113.201", "oci", "uk-london-1"),
        ],
    ),
    (
        "moved.example",
        "Business Website",
        &[
            // According to the published ranges this is eu-west-1: the origin moved, the mapping
            // did not.
            ("3.80.2.150", "aws", "us-east-1"),
            ("3.80.2.151", "aws", "eu-west-1"),
        ],
    ),
    (
        "retired.example",
        "Pro Website",
        &[
            // Cloudflare no longer supports this region.
            ("34.68.100.250", "gcp", "us-retired1"),
            ("34.68.100.20", "gcp", "us-central1"),
        ],
    ),
    (
        FLAKY_ZONE,
        "Pro Website",
        &[
            ("3.80.2.30", "aws", "us-east-1"),
            ("40.74.113.30", "azure", "westeurope"),
        ],
    ),
    (
        "uncached.example",
        "Pro Website",
        &[("34.68.100.30", "gcp", "us-central1")],
    ),
    (
        "blog.example",
        "Free Website",
        &[
            ("2600:1f18:a:1::20", "aws", "us-east-1"),
            ("2600:1f18:b:1::20", "gcp", "us-central1"),
        ],
    ),
    (
        "docs.example",
        "Free Website",
        &[("40.74.113.75", "azure", "eastus")],
    ),
    (
        "careers.example",
        "Free Website",
        &[("3.80.2.40", "aws", "us-east-1")],
    ),
    ("new.example", "Free Website", &[]),
];

/// The world as it is when the demo starts.
pub fn world(now: Timestamp) -> World {
    let mut random = fastrand::Rng::with_seed(1);
    let mut world = World::single_token(TOKEN);
    world.rate_limit.requests = REQUESTS;
    for (name, plan, rows) in ZONES {
        let mut zone = SimulatedZone::new(name, FIRST_ACCOUNT);
        zone.zone.plan = (*plan).into();
        for (ip, vendor, region) in *rows {
            let written = days_before(now, random.i64(USUAL_AGES));
            zone.map(ip, vendor, region, Some(written));
        }
        world.zones.insert(zone.zone.id.clone(), zone);
    }
    let large = large_zone(now, &mut random);
    world.zones.insert(large.zone.id.clone(), large);
    add_findings(&mut world, now);
    hosts::name_hosts(&mut world);
    serve_range_files(&mut world);
    world
}

/// Serves the files of [`range_files`].
pub fn serve_range_files(world: &mut World) {
    for file in range_files() {
        let served = StaticFile {
            content_type: "application/json".to_owned(),
            body: file.json.into(),
            etag: Some(format!("\"{}\"", stable_id(file.json))),
        };
        world.files.insert(file.path.to_owned(), served);
    }
}

/// Adds what is wrong from the start, so that every kind of finding occurs.
fn add_findings(world: &mut World, now: Timestamp) {
    let forgotten = Some(days_before(now, FORGOTTEN_DAYS));
    let zone = world.zone_mut("media.example");
    zone.map("40.74.113.200", "oci", "uk-london-1", forgotten);
    zone.map("40.74.113.201", "oci", "uk-london-1", None);
    let zone = world.zone_mut("careers.example");
    zone.map("3.80.2.40", "aws", "us-east-1", forgotten);
    world.zone_mut("uncached.example").tiered_cache = false;
    world.zone_mut("docs.example").smart_tiered_cache = None;

    // Its mapping is removed and added again.
    let zone = world.zone_mut(LIVELY_ZONE);
    zone.record("A", "www.shop.example", live::COMES_AND_GOES, true);

    let zone = world.zone_mut("example.com");
    zone.record("A", "www.example.com", "3.80.2.10", true);
    zone.record("A", "shop.example.com", "3.80.2.12", true); // No mapping: missing.
    zone.record("AAAA", "www.example.com", "2600:1f18:a:1::10", true);
    zone.record("CNAME", "docs.example.com", "assets.origin.example", true);
    zone.record("A", "vpn.example.com", "10.0.0.5", false);
    zone.record("A", "intranet.example.com", "10.0.0.6", true);

    let pool = stable_id("pool of api.example");
    let zone = world.zone_mut("api.example");
    zone.load_balancers.push(LoadBalancer {
        id: stable_id("load balancer of api.example"),
        name: "api.example".to_owned(),
        enabled: true,
        default_pools: vec![pool.clone()],
        fallback_pool: pool.clone(),
        ..LoadBalancer::default()
    });
    let origin = |name: &str, address: &str| PoolOrigin {
        name: name.to_owned(),
        address: address.to_owned(),
        enabled: true,
        virtual_network_id: None,
    };
    let pool = Pool {
        id: pool,
        name: "api".to_owned(),
        enabled: true,
        origins: vec![
            origin("amsterdam-1", "40.74.113.10"),
            origin("amsterdam-2", "40.74.113.11"), // No mapping: missing.
            origin("virginia-1", "40.74.113.70"),
        ],
    };
    if let Some(account) = world.accounts.get_mut(FIRST_ACCOUNT) {
        account.pools.push(pool);
    }
}

/// A zone with many origins in all supported regions.
fn large_zone(now: Timestamp, random: &mut fastrand::Rng) -> SimulatedZone {
    let mut zone = SimulatedZone::new("platform.example", FIRST_ACCOUNT);
    let places = regions::names().collect::<Vec<_>>();
    for number in 0..LARGE_ZONE_MAPPINGS {
        let Some((vendor, region)) = random.choice(&places) else {
            break;
        };
        let written = days_before(now, random.i64(USUAL_AGES));
        zone.map(
            &format!("2600:1f18:1::{number:x}"),
            vendor,
            region,
            Some(written),
        );
    }
    zone
}

fn days_before(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_sub((days * 24).hours()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::OriginIp;

    #[test]
    fn the_findings_are_there_from_the_start() {
        let now: Timestamp = "2026-09-01T00:00:00Z".parse().unwrap();
        let mut world = world(now);
        let missing = OriginIp::parse("3.80.2.12").unwrap();
        assert!(
            !world
                .zone_mut("example.com")
                .mappings
                .contains_key(&missing)
        );
        let missing = OriginIp::parse("40.74.113.11").unwrap();
        assert!(
            !world
                .zone_mut("api.example")
                .mappings
                .contains_key(&missing)
        );
        let stale = world.zone_mut("careers.example").mappings.values().next();
        let written = stale.unwrap().modified_on.unwrap();
        assert_eq!(now.duration_since(written).as_hours(), FORGOTTEN_DAYS * 24);
        let undated = world.zone_mut("media.example").mappings.values();
        assert_eq!(undated.filter(|m| m.modified_on.is_none()).count(), 1);
        let supported = &world.supported_regions.vendors;
        let mut regions = supported.values().flatten();
        assert!(regions.all(|region| region.name != "us-retired1"));
        assert_eq!(world.zone_mut("platform.example").mappings.len(), 1200);
        assert!(world.zone_mut("new.example").mappings.is_empty());
        assert_eq!(world.zones.len(), 13);
    }

    #[test]
    fn the_range_files_are_json() {
        for file in range_files() {
            assert!(
                serde_json::from_str::<Value>(file.json)
                    .unwrap()
                    .is_object()
            );
        }
    }
}
