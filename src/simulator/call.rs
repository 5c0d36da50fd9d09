//! From a call to the part of the world that it is about.

use std::collections::BTreeMap;

use hyper::StatusCode;
use jiff::Timestamp;

use super::answer::{Failure, Outcome};
use super::listing::Query;
use super::route::{Operation as Op, Route};
use super::world::{SimulatedZone, World};
use super::{batch, gate, mappings, zones};
use crate::domain::ZoneId;

/// Carries out a call in the name of the credential with this identifier.
pub(super) fn carry_out(
    world: &mut World,
    credential: &str,
    route: &Route<'_>,
    query: &Query<'_>,
    body: &[u8],
    now: Timestamp,
) -> Outcome {
    let known = world.credentials.iter().find(|c| c.id == credential);
    let credential = known.ok_or_else(gate::unauthenticated)?;
    gate::authorize(credential, route)?;
    let regions = &world.supported_regions;
    let ip = &route.origin_ip;
    let zone = zone_by_id(&mut world.zones, &route.zone)
        .and_then(|zone| gate::authorize_zone(credential, zone).map(|()| zone));
    match route.operation {
        Op::ListZones => zones::list(world, credential, query),
        Op::GetZone => Ok(zones::get(&world.accounts, zone?)),
        Op::ListMappings => mappings::list(zone?, query),
        Op::GetMapping => mappings::get(zone?, ip),
        Op::PutMapping => mappings::put(zone?, regions, ip, body, now),
        Op::DeleteMapping => mappings::delete(zone?, ip),
        Op::PutBatch => batch::put(zone?, regions, body, now),
        Op::DeleteBatch => batch::delete(zone?, body),
        Op::SupportedRegions => mappings::supported_regions(zone?, regions),
        Op::TieredCache => Ok(zones::tiered_cache(zone?)),
        Op::SetTieredCache => zones::set_tiered_cache(zone?, body),
        Op::SmartTieredCache => zones::smart_tiered_cache(zone?),
        Op::SetSmartTieredCache => zones::set_smart_tiered_cache(zone?, body),
        Op::DnsRecords => zones::dns_records(zone?, query),
        Op::LoadBalancers => Ok(zones::load_balancers(zone?)),
        Op::LoadBalancerPools => zones::pools(&world.accounts, &route.account),
        Op::VerifyUserToken | Op::VerifyAccountToken => Ok(zones::verify(credential)),
    }
}

fn zone_by_id<'a>(
    zones: &'a mut BTreeMap<ZoneId, SimulatedZone>,
    id: &str,
) -> Result<&'a mut SimulatedZone, Failure> {
    ZoneId::parse(id)
        .ok()
        .and_then(|id| zones.get_mut(&id))
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, 1001, "Invalid zone identifier"))
}
