//! Serves a generated Cloudflare API for measurements:
//! `simulate ADDRESS ZONES MAPPINGS_PER_ZONE [PLACES_PER_ZONE] [OPTION=VALUE…]`, where a place is a
//! vendor and a region. It accepts the token `token`, and the token `writer` of another user.
//!
//! - `latency=MILLISECONDS`: delays every response; 0 by default
//! - `window=SECONDS`: allows each token 1,200 requests per window, as Cloudflare does; no limit by
//!   default
//! - `tokens=NUMBER`: accepts `token-0` and so on instead; each token sees its share of the zones,
//!   in an account of its own
//! - `origins=NUMBER`: gives each zone this many DNS records, load balancers with a pool, and Origin
//!   Rules; also serves the vendors' range files, and runs a name server
//!
//! For each line on standard input, it prints one line with the number of requests so far for each
//! call, and the time since the last request. It exits at the end of the input. Some lines have an
//! effect first: `change` moves one mapping of each zone to another region; `forget` forgets the
//! requests so far; `edit N` moves a mapping of the zone with this number, writes to the audit log,
//! and prints the zone and the new region instead of the counts; `names` prints the address of the
//! name server instead.

#![expect(clippy::print_stdout, reason = "the report is the result")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::Region;
use cloudflare_origin_region_exporter::simulator::dns::NameServer;
use cloudflare_origin_region_exporter::simulator::{
    AuditedCall, Credential, LoadBalancer, Pool, PoolOrigin, RateLimit, Simulator, World, demo,
};
use jiff::{Timestamp, Unit};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The same in every run, so that the worlds are the same.
const SEED: u64 = 1;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.contains('='));
    let (address, zones, mappings, places) = match arguments.as_slice() {
        [address, zones, mappings] => (address, zones, mappings, None),
        [address, zones, mappings, places] => (address, zones, mappings, Some(places)),
        _ => {
            return Err(
                "usage: simulate ADDRESS ZONES MAPPINGS_PER_ZONE [PLACES_PER_ZONE] \
                        [latency=MILLISECONDS] [window=SECONDS] [tokens=NUMBER] [origins=NUMBER]"
                    .into(),
            );
        }
    };
    let (zones, mappings) = (zones.parse()?, mappings.parse()?);
    let mut world = match places {
        None => World::generate("token", zones, mappings, SEED),
        Some(places) => World::generate_spread("token", zones, mappings, places.parse()?, SEED),
    };
    let writer = Credential::user_token("writer", "writer");
    world = world.credential(writer);
    for option in &options {
        match option.split_once('=') {
            Some(("latency", milliseconds)) => {
                world.latency = Duration::from_secs_f64(milliseconds.parse::<f64>()? / 1e3);
            }
            Some(("window", seconds)) => {
                let window = Duration::from_secs_f64(seconds.parse()?);
                world.rate_limit = RateLimit {
                    window,
                    block: window,
                    ..RateLimit::CLOUDFLARE
                };
            }
            Some(("tokens", tokens)) => world = divided(world, tokens.parse()?),
            Some(("origins", number)) => add_origins(&mut world, number.parse()?),
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    let end = CancellationToken::new();
    let api = Simulator::start(TcpListener::bind(address).await?, world, end.clone())?;
    let names = NameServer::local(demo::hosts(), end.clone()).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut changes, mut edits) = (0, 0);
    while let Some(line) = lines.next_line().await? {
        if line == "change" {
            api.update(|world| change(world, changes));
            changes += 1;
        } else if line == "forget" {
            api.forget_requests();
        } else if let Some(number) = line.strip_prefix("edit ") {
            let number = number.parse()?;
            edits += 1;
            let edited = api.update(|world| edit(world, number, edits));
            println!("{}", edited.unwrap_or_default());
            continue;
        } else if line == "names" {
            println!("names={}", names.address());
            continue;
        }
        println!("{}", report(&api));
    }
    end.cancel();
    Ok(())
}

/// Moves a mapping of each zone to the place of the next one. Each call moves a different mapping.
fn change(world: &mut World, turn: usize) {
    for zone in world.zones.values_mut() {
        let next = zone.mappings.values().cycle().nth(turn + 1).cloned();
        let count = zone.mappings.len().max(1);
        let moved = zone.mappings.values_mut().nth(turn % count);
        if let (Some(moved), Some(next)) = (moved, next) {
            moved.vendor = next.vendor;
            moved.region = next.region;
            moved.modified_on = Timestamp::now().round(Unit::Second).ok();
        }
    }
}

/// Gives each of this many tokens an account with its share of the zones.
fn divided(mut world: World, tokens: usize) -> World {
    world.credentials.clear();
    for number in 0..tokens {
        let account = format!("{number:032}");
        let (id, token) = (format!("id-{number}"), format!("token-{number}"));
        let credential = Credential::user_token(&id, &token).only_accounts([account.as_str()]);
        world = world.account(&account, &account).credential(credential);
    }
    for (number, zone) in world.zones.values_mut().enumerate() {
        zone.zone.owner = Some(format!("{:032}", number % tokens.max(1)).into());
    }
    world
}

/// Gives each zone records, load balancers and rules that name origins, by address and by host name,
/// and serves the range files that the addresses are in.
fn add_origins(world: &mut World, number: usize) {
    let mut pools = Vec::new();
    for zone in world.zones.values_mut() {
        let name = zone.zone.name.to_string();
        for at in 0..number {
            let address = format!("3.80.2.{}", at % 192);
            zone.record("A", &format!("www-{at}.{name}"), &address, true);
            let host = format!("assets-{at}.{name}");
            zone.record("CNAME", &host, "assets.origin.example", true);
            zone.origin_rule("api.origin.example");
            let pool = format!("{:032x}", pools.len());
            zone.load_balancers.push(LoadBalancer {
                id: pool.clone(),
                name: format!("lb-{at}.{name}"),
                default_pools: vec![pool.clone()],
                fallback_pool: pool.clone(),
                ..LoadBalancer::default()
            });
            let origins = ["3.80.2.10", "assets.origin.example"].map(|address| PoolOrigin {
                name: address.to_owned(),
                address: address.to_owned(),
                enabled: true,
                virtual_network_id: None,
            });
            pools.push(Pool {
                id: pool,
                name: format!("pool-{}", pools.len()),
                enabled: true,
                origins: origins.into(),
            });
        }
    }
    for account in world.accounts.values_mut().take(1) {
        account.pools.append(&mut pools);
    }
    demo::serve_range_files(world);
}

/// Moves the first mapping of a zone to a region that no other edit used, and writes to the audit
/// log.
fn edit(world: &mut World, number: usize, edits: usize) -> Option<String> {
    let zone = world.zones.values_mut().nth(number)?;
    let mapping = zone.mappings.values_mut().next()?;
    mapping.region = Region::parse(&format!("edited-{edits}")).ok()?;
    let path = format!(
        "/client/v4/zones/{}/origin/cloud_regions/batch",
        zone.zone.id
    );
    let call = AuditedCall {
        email: "somebody@example.com",
        context: "dash",
        token_name: None,
        method: "PATCH",
        path: &path,
        zone: Some(&zone.zone.id),
        request: serde_json::Value::Null,
    };
    let log = &mut world
        .accounts
        .get_mut(zone.zone.owner.as_deref()?)?
        .audit_log;
    log.add(&call, Timestamp::now());
    Some(format!(
        "zone_id={} region={}",
        zone.zone.id, mapping.region
    ))
}

/// A line such as `ListMappings=10 ListZones=1 last_ms_ago=12.5`.
fn report(api: &Simulator) -> String {
    let requests = api.requests();
    let mut counts = BTreeMap::<String, usize>::new();
    for request in &requests {
        let operation = request
            .operation
            .map_or_else(|| "none".to_owned(), |operation| format!("{operation:?}"));
        *counts.entry(operation).or_default() += 1;
    }
    let mut words: Vec<_> = counts
        .into_iter()
        .map(|(operation, count)| format!("{operation}={count}"))
        .collect();
    if let Some(last) = requests.last() {
        let ago = last.at.elapsed().as_secs_f64() * 1e3;
        words.push(format!("last_ms_ago={ago:.1}"));
    }
    words.join(" ")
}
