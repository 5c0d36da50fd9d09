//! Serves a generated Cloudflare API for measurements: `simulate ADDRESS ZONES MAPPINGS_PER_ZONE`.
//! It takes the token `token`, and ends with its standard input.

use std::error::Error;
use std::io::Read as _;

use cloudflare_origin_region_exporter::simulator::{Simulator, World};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The worlds of all runs are the same.
const SEED: u64 = 1;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, zones, mappings] = arguments.as_slice() else {
        return Err("usage: simulate ADDRESS ZONES MAPPINGS_PER_ZONE".into());
    };
    let world = World::generate("token", zones.parse()?, mappings.parse()?, SEED);
    let end = CancellationToken::new();
    Simulator::start(TcpListener::bind(address).await?, world, end.clone())?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    end.cancel();
    Ok(())
}
