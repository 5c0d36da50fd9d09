//! What all requests have in common.

use cloudflare_origin_region_exporter::http_client;
use reqwest::Method;
use serde_json::json;

use crate::support::{Api, TOKEN, regions, two_mappings, with_mappings};

#[tokio::test]
async fn what_is_no_route_says_so() {
    let api = Api::of(two_mappings()).await;
    let unknown = api.get("/zones/abc/cache/origin_cloud_regions").await;
    assert_eq!(unknown.failed(), (400, 7003));
    assert_eq!(unknown.body["errors"][1]["code"], 7000);
    let method = api.write(Method::POST, "/zones", &json!({})).await;
    assert_eq!(
        (method.status, &method.headers["allow"]),
        (405, &"GET".parse().unwrap())
    );
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_accept_it() {
    let api = Api::of(with_mappings(100)).await;
    let path = format!("{}?per_page=100", regions("zone-00000.example"));
    let plain = http_client::client_builder(None)
        .unwrap()
        .no_gzip()
        .build()
        .unwrap();
    let url = format!("{}{path}", api.simulator.base_url());
    let request = || plain.get(&url).bearer_auth(TOKEN);
    let identity = request().send().await.unwrap();
    assert!(!identity.headers().contains_key("content-encoding"));
    let identity = identity.bytes().await.unwrap();
    let gzip = request()
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert!(gzip.bytes().await.unwrap().len() * 3 < identity.len());
    assert_eq!(api.get(&path).await.rows().len(), 100);
}
