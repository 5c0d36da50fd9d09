//! Directs each call to the part of the world that it is about.

use std::collections::BTreeMap;

use hyper::StatusCode;
use jiff::Timestamp;

use super::answer::{Failure, Outcome};
use super::listing::Query;
use super::route::{Operation as Op, Route};
use super::world::{SimulatedZone, World};
use super::zones::VisibleZones;
use super::{audit_log, batch, dns_records, gate, load_balancing, mappings, rules, zones};
use crate::domain::ZoneId;

/// Executes a call of the credential with this identifier.
pub(super) fn carry_out(
    world: &mut World,
    visible: &mut VisibleZones,
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
    let (account, object) = (&route.account, &route.object);
    let accounts = &mut world.accounts;
    let zone = zone_by_id(&mut world.zones, &route.zone)
        .and_then(|zone| gate::authorize_zone(credential, zone).map(|()| zone));
    match route.operation {
        Op::ListZones => zones::list(world, visible, credential, query),
        Op::GetZone => Ok(zones::get(accounts, zone?)),
        Op::ListMappings => mappings::list(zone?, query),
        Op::GetMapping => mappings::get(zone?, object),
        Op::PutMapping => mappings::put(zone?, regions, object, body, now),
        Op::DeleteMapping => mappings::delete(zone?, object),
        Op::PutBatch => batch::put(zone?, regions, body, now),
        Op::DeleteBatch => batch::delete(zone?, body),
        Op::SupportedRegions => mappings::supported_regions(zone?, regions),
        Op::TieredCache => Ok(zones::tiered_cache(zone?)),
        Op::SetTieredCache => zones::set_tiered_cache(zone?, body),
        Op::SmartTieredCache => zones::smart_tiered_cache(zone?),
        Op::SetSmartTieredCache => zones::set_smart_tiered_cache(zone?, body),
        Op::DnsRecords => dns_records::list(zone?, query),
        Op::CreateDnsRecord => dns_records::create(zone?, body),
        Op::ChangeDnsRecord => dns_records::change(zone?, object, body),
        Op::DeleteDnsRecord => dns_records::delete(zone?, object),
        Op::LoadBalancers => Ok(load_balancing::balancers(zone?)),
        Op::CreateLoadBalancer => load_balancing::create_balancer(zone?, body),
        Op::ChangeLoadBalancer => load_balancing::change_balancer(zone?, object, body),
        Op::DeleteLoadBalancer => load_balancing::delete_balancer(zone?, object),
        Op::LoadBalancerPools => load_balancing::pools(accounts, account),
        Op::CreatePool => load_balancing::create_pool(accounts, account, body),
        Op::ChangePool => load_balancing::change_pool(accounts, account, object, body),
        Op::DeletePool => load_balancing::delete_pool(accounts, account, object),
        Op::OriginRules => rules::origin_rules(zone?),
        Op::SetOriginRules => rules::set_origin_rules(zone?, body),
        Op::CloudConnector => Ok(rules::cloud_connector(zone?)),
        Op::SetCloudConnector => rules::set_cloud_connector(zone?, body),
        Op::PageRules => Ok(rules::page_rules(zone?, query)),
        Op::CreatePageRule => rules::create_page_rule(zone?, body),
        Op::DeletePageRule => rules::delete_page_rule(zone?, object),
        Op::AuditLog => audit_log::list(accounts, account, query, now),
        Op::CloudflareIps => Ok(zones::cloudflare_ips(world)),
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
