//! Serves a generated Cloudflare API for measurements:
//! `simulate ADDRESS ZONES MAPPINGS_PER_ZONE [PLACES_PER_ZONE] [OPTION=VALUE…]`, where a place is a
//! vendor and a region. It takes the token `token`, and `writer` of somebody else.
//!
//! - `latency=MILLISECONDS`: how long every answer takes; nothing by default
//! - `window=SECONDS`: allows each token 1,200 requests in such a window, as Cloudflare does; no limit
//!   by default
//!
//! For each line on its standard input it prints one with the requests so far, by the kind of call,
//! and how long ago the last of them came; it ends with its input.

#![expect(clippy::print_stdout, reason = "the report is what was asked for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{Credential, RateLimit, Simulator, World};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The worlds of all runs are the same.
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
                        [latency=MILLISECONDS] [window=SECONDS]"
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
            _ => return Err(format!("unknown option {option}").into()),
        }
    }
    let end = CancellationToken::new();
    let api = Simulator::start(TcpListener::bind(address).await?, world, end.clone())?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while lines.next_line().await?.is_some() {
        println!("{}", report(&api));
    }
    end.cancel();
    Ok(())
}

/// Such as `ListMappings=10 ListZones=1 last_ms_ago=12.5`.
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
