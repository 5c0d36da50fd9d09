//! Large worlds for measurements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::Timestamp;

use super::regions;
use super::world::{FIRST_ACCOUNT, RateLimit, SimulatedZone, World};
use crate::domain::{Mapping, OriginIp, Region, Vendor};

/// The first address of the range for benchmarks (RFC 2544); it has 131,072 addresses.
const IPV4_BASE: u32 = 0xc612_0000;
/// The first address of the range for documentation (RFC 3849).
const IPV6_BASE: u128 = 0x2001_0db8 << 96;
/// One in this many mappings has an IPv6 address.
const IPV6_EVERY: usize = 5;
/// Mappings were written in the year before this time, 2026-09-01T00:00:00Z.
const NEWEST: i64 = 1_788_220_800;
const YEAR_SECONDS: i64 = 365 * 86_400;
/// The number of places (vendor and region) of a usual zone's origins.
const USUAL_PLACES: usize = 4;

impl World {
    /// Zones `zone-00000.example` and so on, each with the same number of mappings in at most four
    /// places. The mappings depend on the seed. There is no rate limit. Up to 131,072 mappings per
    /// zone have unique addresses.
    ///
    /// # Panics
    ///
    /// Never: the generated names are valid.
    pub fn generate(token: &str, zones: usize, mappings_per_zone: usize, seed: u64) -> Self {
        Self::generate_spread(token, zones, mappings_per_zone, USUAL_PLACES, seed)
    }

    /// Like [`World::generate`], with the mappings of each zone in at most `places` vendors and
    /// regions, which differ between zones. There are 48.
    ///
    /// # Panics
    ///
    /// Never: the generated names are valid.
    pub fn generate_spread(
        token: &str,
        zones: usize,
        mappings_per_zone: usize,
        places: usize,
        seed: u64,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let all: Vec<(Vendor, Region)> = regions::names()
            .map(|(vendor, region)| {
                let vendor = Vendor::parse(vendor).expect("a vendor of the table");
                (
                    vendor,
                    Region::parse(region).expect("a region of the table"),
                )
            })
            .collect();
        let mut world = Self::single_token(token);
        world.rate_limit = RateLimit::NONE;
        for number in 0..zones {
            let mut zone = SimulatedZone::new(&format!("zone-{number:05}.example"), FIRST_ACCOUNT);
            zone.zone.plan = Arc::from("Business Website");
            let places = random.choose_multiple(&all, places);
            for at in 0..mappings_per_zone {
                let Some((vendor, region)) = random.choice(&places) else {
                    break;
                };
                let origin_ip = address(number, at);
                let age = random.i64(0..YEAR_SECONDS);
                let mapping = Mapping {
                    origin_ip,
                    vendor: Vendor::clone(vendor),
                    region: Region::clone(region),
                    modified_on: Timestamp::from_second(NEWEST - age).ok(),
                };
                zone.mappings.insert(origin_ip, mapping);
            }
            world.zones.insert(zone.zone.id.clone(), zone);
        }
        world
    }
}

/// The address of a zone's mapping. Unique within the zone, and rarely shared by two zones.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the offset is reduced to 17 bits before the cast"
)]
fn address(zone: usize, at: usize) -> OriginIp {
    if at.is_multiple_of(IPV6_EVERY) {
        let low = ((zone as u128) << 32) | at as u128;
        OriginIp::from(IpAddr::from(Ipv6Addr::from(IPV6_BASE | low)))
    } else {
        let offset = (zone.wrapping_mul(131) + at) % (1 << 17);
        OriginIp::from(IpAddr::from(Ipv4Addr::from(IPV4_BASE + offset as u32)))
    }
}
