//! Zones and their settings, records and load balancers, pools, and the verification of tokens.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::answer::{Failure, Outcome, success};
use super::listing::{PageBounds, PageRequest, Query};
use super::world::{
    Account, Credential, CredentialStatus, DnsRecord, SimulatedZone, World, stable_id,
};

const ZONE_PAGES: PageBounds = PageBounds {
    least: 5,
    most: 50,
    default: 20,
};
const RECORD_PAGES: PageBounds = PageBounds {
    least: 1,
    most: 5_000_000,
    default: 100,
};
/// When zones, records and settings were made; nobody depends on it.
const LONG_AGO: &str = "2024-01-31T09:00:00.000000Z";

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

/// `GET /zones`
pub(super) fn list(world: &World, credential: &Credential, query: &Query<'_>) -> Outcome {
    let page = PageRequest::parse(query, &ZONE_PAGES)?;
    let (name, status) = (query.get("name"), query.get("status"));
    let account = query.get("account.id");
    let shown: Vec<&SimulatedZone> = world
        .zones
        .values()
        .filter(|zone| credential.sees(zone))
        .filter(|zone| name.is_none_or(|name| zone.zone.name.matches(name)))
        .filter(|zone| status.is_none_or(|status| &*zone.zone.status == status))
        .filter(|zone| account.is_none_or(|id| zone.zone.owner.as_deref() == Some(id)))
        .collect();
    let total = shown.len();
    let rows = shown.into_iter().map(|zone| row(&world.accounts, zone));
    Ok(page.render(rows, total))
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
    let wish: Wish = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_body(format!("Invalid request body: {error}")))?;
    Ok(matches!(wish.value, Value::On))
}

#[derive(Serialize)]
struct RecordRow<'a> {
    id: String,
    name: &'a str,
    r#type: &'a str,
    content: &'a str,
    proxiable: bool,
    proxied: bool,
    ttl: u32,
    settings: BTreeMap<&'a str, bool>,
    meta: BTreeMap<&'a str, bool>,
    comment: Option<&'a str>,
    tags: [&'a str; 0],
    created_on: &'a str,
    modified_on: &'a str,
}

impl<'a> From<&'a DnsRecord> for RecordRow<'a> {
    fn from(record: &'a DnsRecord) -> Self {
        let DnsRecord {
            kind,
            name,
            content,
            proxied,
        } = record;
        Self {
            id: stable_id(&format!("{name} {kind} {content}")),
            name,
            r#type: kind,
            content,
            proxiable: matches!(kind.as_str(), "A" | "AAAA" | "CNAME"),
            proxied: *proxied,
            ttl: 1,
            settings: BTreeMap::new(),
            meta: BTreeMap::new(),
            comment: None,
            tags: [],
            created_on: LONG_AGO,
            modified_on: LONG_AGO,
        }
    }
}

/// `GET …/dns_records`
pub(super) fn dns_records(zone: &SimulatedZone, query: &Query<'_>) -> Outcome {
    let page = PageRequest::parse(query, &RECORD_PAGES)?;
    let (kind, proxied) = (query.get("type"), query.get("proxied"));
    let shown: Vec<&DnsRecord> = zone
        .dns_records
        .iter()
        .filter(|record| kind.is_none_or(|kind| record.kind == kind))
        .filter(|record| proxied.is_none_or(|wish| record.proxied == (wish == "true")))
        .collect();
    let total = shown.len();
    Ok(page.render(shown.into_iter().map(RecordRow::from), total))
}

/// `GET …/load_balancers`
pub(super) fn load_balancers(zone: &SimulatedZone) -> Vec<u8> {
    success(&zone.load_balancers)
}

/// `GET /accounts/{account_id}/load_balancers/pools`
pub(super) fn pools(accounts: &BTreeMap<String, Account>, account: &str) -> Outcome {
    let account = accounts.get(account).ok_or_else(|| {
        Failure::new(
            StatusCode::FORBIDDEN,
            9109,
            "Unauthorized to access requested resource",
        )
    })?;
    Ok(success(&account.pools))
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
