//! The minimal program that reads all mappings: `bare_client BASE_URL` lists the zones, fetches
//! each zone's pages with eight requests at a time, parses them and prints the number of mappings.
//! `scripts/bench` compares the exporter's first round of polls with it. It uses the token `token`.

#![expect(clippy::print_stdout, reason = "the count is the result")]

use std::error::Error;
use std::sync::Arc;

use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const TOKEN: &str = "token";
/// The exporter's default.
const CONCURRENCY: usize = 8;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Deserialize)]
struct Page<T> {
    result: Vec<T>,
    result_info: PageInfo,
}

#[derive(Deserialize)]
struct PageInfo {
    total_count: usize,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
}

/// All fields of a mapping.
#[derive(Deserialize)]
#[expect(
    dead_code,
    reason = "all fields are parsed, because that is part of the cost"
)]
struct Mapping {
    origin_ip: std::net::IpAddr,
    vendor: String,
    region: String,
    modified_on: Option<jiff::Timestamp>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let base = std::env::args()
        .nth(1)
        .ok_or("usage: bare_client BASE_URL")?;
    // Every client needs a provider, even for plain HTTP.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a provider is installed already")?;
    let client = Client::builder().no_proxy().gzip(true).build()?;
    let zones: Vec<Zone> = list(&client, &format!("{base}/zones"), 50).await?;
    let places = Arc::new(Semaphore::new(CONCURRENCY));
    let mut reads = JoinSet::new();
    for zone in zones {
        let (client, base, places) = (client.clone(), base.clone(), Arc::clone(&places));
        reads.spawn(async move {
            let _place = places.acquire().await?;
            let url = format!("{base}/zones/{}/origin/cloud_regions", zone.id);
            let mappings: Vec<Mapping> = list(&client, &url, 100).await?;
            Ok::<_, Failure>(mappings)
        });
    }
    let mut all = Vec::new();
    while let Some(read) = reads.join_next().await {
        all.push(read??);
    }
    println!("{}", all.iter().map(Vec::len).sum::<usize>());
    Ok(())
}

async fn list<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    per_page: usize,
) -> Result<Vec<T>, Failure> {
    let mut rows = Vec::new();
    for page in 1.. {
        let request = client
            .get(url)
            .query(&[("page", page), ("per_page", per_page)]);
        let body = request.bearer_auth(TOKEN).send().await?.bytes().await?;
        let read: Page<T> = serde_json::from_slice(&body)?;
        let is_last = read.result.len() < per_page;
        rows.extend(read.result);
        if is_last || rows.len() >= read.result_info.total_count {
            break;
        }
    }
    Ok(rows)
}
