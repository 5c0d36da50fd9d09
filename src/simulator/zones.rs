//! Zones and their settings, and the verification of tokens.

use std::collections::{BTreeMap, HashMap};

use hyper::StatusCode;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::answer::{Failure, Outcome, success};
use super::listing::{PageBounds, PageRequest, Query};
use super::world::{Account, Credential, CredentialStatus, SimulatedZone, World, stable_id};
use crate::domain::ZoneId;

const ZONE_PAGES: PageBounds = PageBounds {
    least: 5,
    most: 50,
    default: 20,
};
/// When zones, records and settings were created. Nothing depends on it.
pub(super) const LONG_AGO: &str = "2024-01-31T09:00:00.000000Z";

#[derive(Serialize)]
struct ZoneRow<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
    paused: bool,
    r#type: &'a str,
    development_mode: u32,
    name_servers: [&'a str; 2],
    original_name_servers: Option<[&'a str; 0]>,
    created_on: &'a str,
    modified_on: &'a str,
    activated_on: &'a str,
    meta: BTreeMap<&'a str, u32>,
    owner: Named<'a>,
    account: Named<'a>,
    plan: Plan<'a>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Plan<'a> {
    id: String,
    name: &'a str,
    price: u32,
    currency: &'a str,
    legacy_id: String,
    is_subscribed: bool,
    can_subscribe: bool,
}

fn row<'a>(accounts: &'a BTreeMap<String, Account>, simulated: &'a SimulatedZone) -> ZoneRow<'a> {
    let zone = &simulated.zone;
    let account_id = zone.owner.as_deref().unwrap_or_default();
    let account_name = accounts
        .get(account_id)
        .map_or("", |account| account.name.as_str());
    let plan_word = zone.plan.split(' ').next().unwrap_or_default();
    ZoneRow {
        id: zone.id.as_str(),
        name: zone.name.as_str(),
        status: &zone.status,
        paused: false,
        r#type: "full",
        development_mode: 0,
        name_servers: ["ada.ns.cloudflare.com", "bob.ns.cloudflare.com"],
        original_name_servers: None,
        created_on: LONG_AGO,
        modified_on: LONG_AGO,
        activated_on: LONG_AGO,
        meta: BTreeMap::from([("page_rule_quota", 100)]),
        owner: Named {
            id: account_id,
            name: account_name,
        },
        account: Named {
            id: account_id,
            name: account_name,
        },
        plan: Plan {
            id: stable_id(&zone.plan),
            name: &zone.plan,
            price: 0,
            currency: "USD",
            legacy_id: plan_word.to_ascii_lowercase(),
            is_subscribed: true,
            can_subscribe: false,
        },
    }
}

/// The zones that each credential sees, until the world changes. Finding them anew for every page
/// would take milliseconds in a world of 100,000 zones.
#[derive(Default)]
pub(super) struct VisibleZones(HashMap<String, Vec<ZoneId>>);

impl VisibleZones {
    fn of(&mut self, world: &World, credential: &Credential) -> &[ZoneId] {
        self.0.entry(credential.id.clone()).or_insert_with(|| {
            let zones = world.zones.iter();
            let seen = zones.filter(|(_, zone)| credential.sees(zone));
            seen.map(|(id, _)| id.clone()).collect()
        })
    }
}

/// `GET /zones`
pub(super) fn list(
    world: &World,
    visible: &mut VisibleZones,
    credential: &Credential,
    query: &Query<'_>,
) -> Outcome {
    let page = PageRequest::parse(query, &ZONE_PAGES)?;
    let (name, status) = (query.get("name"), query.get("status"));
    let account = query.get("account.id");
    let visible = visible.of(world, credential);
    let fits = |id: &ZoneId| {
        world.zones.get(id).is_some_and(|zone| {
            name.is_none_or(|name| zone.zone.name.matches(name))
                && status.is_none_or(|status| &*zone.zone.status == status)
                && account.is_none_or(|id| zone.zone.owner.as_deref() == Some(id))
        })
    };
    let is_filtered = name.is_some() || status.is_some() || account.is_some();
    let shown: Vec<&ZoneId> = visible
        .iter()
        .filter(|id| !is_filtered || fits(id))
        .collect();
    let total = shown.len();
    Ok(page.render(shown.into_iter(), total, |id| {
        world.zones.get(id).map(|zone| row(&world.accounts, zone))
    }))
}

/// `GET /zones/{zone_id}`
pub(super) fn get(accounts: &BTreeMap<String, Account>, zone: &SimulatedZone) -> Vec<u8> {
    success(row(accounts, zone))
}

#[derive(Serialize)]
struct Setting<'a> {
    id: &'a str,
    value: &'a str,
    editable: bool,
    modified_on: &'a str,
}

fn setting(id: &str, on: bool) -> Vec<u8> {
    success(Setting {
        id,
        value: if on { "on" } else { "off" },
        editable: true,
        modified_on: LONG_AGO,
    })
}

/// `GET …/argo/tiered_caching`
pub(super) fn tiered_cache(zone: &SimulatedZone) -> Vec<u8> {
    setting("tiered_caching", zone.tiered_cache)
}

/// `PATCH …/argo/tiered_caching`
pub(super) fn set_tiered_cache(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    zone.tiered_cache = wished_value(body)?;
    Ok(tiered_cache(zone))
}

/// `GET …/cache/tiered_cache_smart_topology_enable`
pub(super) fn smart_tiered_cache(zone: &SimulatedZone) -> Outcome {
    let on = zone.smart_tiered_cache.ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_FOUND,
            1142,
            "Unable to retrieve tiered_cache_smart_topology_enable setting value. \
             The zone setting does not exist.",
        )
    })?;
    Ok(setting("tiered_cache_smart_topology_enable", on))
}

/// `PATCH …/cache/tiered_cache_smart_topology_enable`
pub(super) fn set_smart_tiered_cache(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    zone.smart_tiered_cache = Some(wished_value(body)?);
    smart_tiered_cache(zone)
}

fn wished_value(body: &[u8]) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Wish {
        value: Value,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Value {
        On,
        Off,
    }
    let wish: Wish = Failure::parse(body)?;
    Ok(matches!(wish.value, Value::On))
}

/// `GET /user/tokens/verify` and `GET /accounts/{account_id}/tokens/verify`
pub(super) fn verify(credential: &Credential) -> Vec<u8> {
    #[derive(Serialize)]
    struct Verified<'a> {
        id: &'a str,
        status: CredentialStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_on: Option<String>,
    }
    success(Verified {
        id: &credential.id,
        status: credential.status,
        expires_on: credential.expires_on.map(|time| time.to_string()),
    })
}

/// `GET /ips`
pub(super) fn cloudflare_ips(world: &World) -> Vec<u8> {
    #[derive(Serialize)]
    struct Ranges {
        etag: String,
        ipv4_cidrs: Vec<String>,
        ipv6_cidrs: Vec<String>,
    }
    let (v4, v6): (Vec<IpNet>, Vec<IpNet>) = world
        .cloudflare_ips
        .iter()
        .partition(|range| range.addr().is_ipv4());
    let texts = |ranges: Vec<IpNet>| ranges.iter().map(ToString::to_string).collect();
    success(Ranges {
        etag: stable_id(&format!("{v4:?}{v6:?}")),
        ipv4_cidrs: texts(v4),
        ipv6_cidrs: texts(v6),
    })
}
