//! Clients of scripted servers, and responses for the scripts.

use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{
    CallBudget, Client, Credentials, RateLimit, Secret, Secrets, Settings,
};
use cloudflare_origin_region_exporter::domain::{AccountName, ZoneId};
use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{Simulator, World};
use prometheus::{Registry, TextEncoder};
use secrecy::SecretString;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::scripted::{Reply, Seen, Server};

pub(crate) const TOKEN: &str = "very-secret-token";
const PREFIX: &str = "cloudflare_origin_region_exporter_";

pub(crate) struct Set {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) registry: Registry,
}

impl Set {
    pub(crate) async fn up(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::with(|_| {}, inline(TOKEN), script).await
    }

    pub(crate) async fn with(
        change: impl FnOnce(&mut Settings),
        secret: Secret,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let server = Server::start(script).await;
        let mut settings = settings(&format!("http://{}/client/v4", server.address));
        change(&mut settings);
        let registry = Registry::new();
        let client = Client::new(
            &settings,
            name(),
            Credentials::Token(secret),
            http(),
            &registry,
            &Secrets::default(),
        )
        .unwrap();
        Self {
            server,
            client,
            registry,
        }
    }

    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        text.lines().find_map(|line| {
            line.strip_prefix(&format!("{PREFIX}{series} "))?
                .parse()
                .ok()
        })
    }
}

/// A client of a simulated API.
pub(crate) struct Simulated {
    pub(crate) simulator: Simulator,
    pub(crate) client: Client,
    _stop: DropGuard,
}

impl Simulated {
    pub(crate) async fn start(world: World) -> Self {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone().drop_guard();
        let simulator = Simulator::local(world, shutdown).await.unwrap();
        let client = Client::new(
            &settings(&simulator.base_url()),
            name(),
            Credentials::Token(inline(TOKEN)),
            http(),
            &Registry::new(),
            &Secrets::default(),
        )
        .unwrap();
        Self {
            simulator,
            client,
            _stop: stop,
        }
    }
}

pub(crate) fn settings(base: &str) -> Settings {
    Settings {
        base_url: base.parse().unwrap(),
        ca_file: None,
        rate_limit: RateLimit {
            requests: 1000,
            window: Duration::from_mins(5),
            share: 1.0,
        },
        concurrency: 8,
        timeout: Duration::from_secs(1),
        retries: 1,
    }
}

pub(crate) fn inline(secret: &str) -> Secret {
    Secret::Inline(SecretString::from(secret))
}

pub(crate) fn name() -> AccountName {
    AccountName::parse("main").unwrap()
}

pub(crate) fn http() -> http_client::HttpClient {
    http_client::HttpClient::new(None).unwrap()
}

pub(crate) fn zone() -> ZoneId {
    ZoneId::parse("z1").unwrap()
}

pub(crate) fn call() -> CallBudget {
    CallBudget::new(Duration::from_secs(20))
}

pub(crate) fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(status, Vec::new(), body.as_bytes().to_vec())
}

pub(crate) fn error(status: u16, code: u32) -> Reply {
    answer(
        status,
        &format!(
            r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"result":null}}"#
        ),
    )
}

pub(crate) fn query(seen: &Seen, key: &str) -> Option<u64> {
    let query = seen.target.split_once('?')?.1;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{key}="))?.parse().ok())
}

/// A correct page of a list with `total` rows, which `row` makes from their numbers.
pub(crate) fn page(seen: &Seen, total: u64, row: impl Fn(u64) -> String) -> String {
    let page = query(seen, "page").unwrap();
    let per_page = query(seen, "per_page").unwrap();
    let rows: Vec<_> = ((page - 1) * per_page..(page * per_page).min(total))
        .map(row)
        .collect();
    format!(
        r#"{{"success":true,"result":[{}],"result_info":{{"page":{page},"per_page":{per_page},
           "count":{},"total_count":{total},"total_pages":{}}}}}"#,
        rows.join(","),
        rows.len(),
        total.div_ceil(per_page)
    )
}

pub(crate) fn mapping(number: u64) -> String {
    format!(
        r#"{{"origin_ip":"192.0.{}.{}","vendor":"aws","region":"us-east-1"}}"#,
        number / 256,
        number % 256
    )
}
