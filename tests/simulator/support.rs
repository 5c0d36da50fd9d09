//! A client of the simulated API.

use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{RateLimit, Simulator, World, zone_id_of};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const TOKEN: &str = "token-of-a-test";
pub(crate) const ACCOUNT: &str = "9a7806061c88ada191ed06f989cc3dac";

pub(crate) struct Api {
    pub(crate) simulator: Simulator,
    client: Client,
    _stop: DropGuard,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) async fn of(world: World) -> Self {
        let shutdown = CancellationToken::new();
        let simulator = Simulator::local(world, shutdown.clone()).await.unwrap();
        let client = http_client::client_builder(None).unwrap().build().unwrap();
        Self {
            simulator,
            client,
            _stop: shutdown.drop_guard(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.simulator.base_url());
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(TOKEN)).await
    }

    pub(crate) async fn write(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(TOKEN);
        send(request.body(body.to_string())).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    read(request.send().await.unwrap()).await
}

pub(crate) async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    for list in ["errors", "messages"] {
        assert!(body[list].is_array(), "{list} is always there: {body}");
    }
    assert_eq!(body["success"], json!(status < 300));
    assert!(headers.contains_key("ratelimit") && headers.contains_key("ratelimit-policy"));
    Answer {
        status,
        headers,
        body,
    }
}

impl Answer {
    pub(crate) fn code(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap()
    }

    pub(crate) fn failed(&self) -> (u16, u64) {
        assert_eq!(self.body["result"], Value::Null);
        (self.status, self.code())
    }

    pub(crate) fn rows(&self) -> &Vec<Value> {
        self.body["result"].as_array().unwrap()
    }
}

pub(crate) fn regions(zone: &str) -> String {
    format!("/zones/{}/origin/cloud_regions", zone_id_of(zone))
}

pub(crate) fn two_mappings() -> World {
    World::single_token(TOKEN).zone(
        "example.com",
        [
            ("192.0.2.1", "aws", "us-east-1"),
            ("2001:db8::1", "gcp", "us-central1"),
        ],
    )
}

pub(crate) fn with_mappings(count: usize) -> World {
    let mut world = World::generate(TOKEN, 1, count, 7);
    world.rate_limit = RateLimit::CLOUDFLARE;
    world
}
