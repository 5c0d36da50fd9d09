//! The simulated Cloudflare API over real HTTP: what the API's reference documents.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers say what they expect by failing"
)]

use std::time::Duration;

use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{
    Credential, CredentialStatus, Operation, Permission, Pool, PoolOrigin, RateLimit, Simulator,
    World, zone_id_of,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "token-of-a-test";
const ACCOUNT: &str = "9a7806061c88ada191ed06f989cc3dac";

struct Api {
    simulator: Simulator,
    client: Client,
    _stop: DropGuard,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Api {
    async fn of(world: World) -> Self {
        let shutdown = CancellationToken::new();
        let simulator = Simulator::local(world, shutdown.clone()).await.unwrap();
        let client = http_client::client_builder(None).unwrap().build().unwrap();
        Self {
            simulator,
            client,
            _stop: shutdown.drop_guard(),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.simulator.base_url());
        self.client.request(method, url)
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(TOKEN)).await
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).bearer_auth(TOKEN);
        send(request.body(body.to_string())).await
    }
}

async fn send(request: RequestBuilder) -> Answer {
    read(request.send().await.unwrap()).await
}

async fn read(response: Response) -> Answer {
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
    fn code(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap()
    }

    fn failed(&self) -> (u16, u64) {
        assert_eq!(self.body["result"], Value::Null);
        (self.status, self.code())
    }

    fn rows(&self) -> &Vec<Value> {
        self.body["result"].as_array().unwrap()
    }
}

fn regions(zone: &str) -> String {
    format!("/zones/{}/origin/cloud_regions", zone_id_of(zone))
}

fn two_mappings() -> World {
    World::single_token(TOKEN).zone(
        "example.com",
        [
            ("192.0.2.1", "aws", "us-east-1"),
            ("2001:db8::1", "gcp", "us-central1"),
        ],
    )
}

fn with_mappings(count: usize) -> World {
    let mut world = World::generate(TOKEN, 1, count, 7);
    world.rate_limit = RateLimit::CLOUDFLARE;
    world
}

#[tokio::test]
async fn mappings_are_listed_as_the_reference_shows() {
    let api = Api::of(two_mappings()).await;
    let answer = api.get(&regions("example.com")).await;
    assert_eq!(
        answer.body,
        json!({
            "errors": [], "messages": [], "success": true,
            "result": [
                {"modified_on": "2026-03-01T12:00:00.000000Z", "origin_ip": "192.0.2.1",
                 "region": "us-east-1", "vendor": "aws"},
                {"modified_on": "2026-03-01T12:00:00.000000Z", "origin_ip": "2001:db8::1",
                 "region": "us-central1", "vendor": "gcp"},
            ],
            "result_info":
                {"count": 2, "page": 1, "per_page": 20, "total_count": 2, "total_pages": 1},
        })
    );
    assert_eq!(
        answer.headers["ratelimit-policy"],
        "\"default\";q=1200;w=300"
    );
}

#[tokio::test]
async fn a_zone_without_mappings_has_no_page() {
    let api = Api::of(World::single_token(TOKEN).zone("example.com", [])).await;
    let answer = api.get(&regions("example.com")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["result"], json!([]));
    assert_eq!(
        answer.body["result_info"],
        json!({"count": 0, "page": 1, "per_page": 20, "total_count": 0, "total_pages": 0})
    );
}

#[tokio::test]
async fn a_full_zone_takes_thirty_five_pages() {
    let api = Api::of(with_mappings(3500)).await;
    let mut seen = std::collections::BTreeSet::new();
    for page in 1..=35 {
        let path = format!("{}?page={page}&per_page=100", regions("zone-00000.example"));
        let answer = api.get(&path).await;
        assert_eq!(answer.body["result_info"]["total_pages"], 35);
        seen.extend(answer.rows().iter().map(|row| row["origin_ip"].to_string()));
    }
    assert_eq!(seen.len(), 3500);
    let beyond = api
        .get(&format!(
            "{}?page=36&per_page=100",
            regions("zone-00000.example")
        ))
        .await;
    assert_eq!(beyond.body["result"], json!([]));
    assert_eq!(api.simulator.count(Operation::ListMappings), 36);
}

#[tokio::test]
async fn bounds_of_pages_are_checked() {
    let api = Api::of(two_mappings()).await;
    let list = regions("example.com");
    for query in ["per_page=0", "per_page=101", "per_page=x", "page=0"] {
        assert_eq!(
            api.get(&format!("{list}?{query}")).await.failed(),
            (400, 1146)
        );
    }
    for query in ["per_page=4", "per_page=51"] {
        assert_eq!(
            api.get(&format!("/zones?{query}")).await.failed(),
            (400, 1146)
        );
    }
    assert_eq!(api.get("/zones?per_page=50.0").await.status, 200);
}

#[tokio::test]
async fn an_address_is_found_in_any_spelling() {
    let api = Api::of(two_mappings()).await;
    for spelling in [
        "2001:db8::1",
        "2001:DB8:0:0:0:0:0:1",
        "2001%3Adb8%3A%3A0001",
    ] {
        let answer = api
            .get(&format!("{}/{spelling}", regions("example.com")))
            .await;
        assert_eq!(answer.body["result"]["origin_ip"], "2001:db8::1");
    }
    let mapped = format!("{}/::ffff:192.0.2.1", regions("example.com"));
    assert_eq!(api.get(&mapped).await.body["result"]["vendor"], "aws");
    let absent = format!("{}/192.0.2.99", regions("example.com"));
    assert_eq!(api.get(&absent).await.failed(), (404, 1142));
    let bad = format!("{}/elsewhere", regions("example.com"));
    assert_eq!(api.get(&bad).await.status, 400);
}

#[tokio::test]
async fn mappings_are_created_replaced_and_deleted() {
    let api = Api::of(two_mappings()).await;
    let path = format!("{}/192.0.2.1", regions("example.com"));
    let before = api.get(&path).await.body["result"].clone();
    let wish = json!({"origin_ip": "192.0.2.1", "vendor": "gcp", "region": "europe-west1"});
    let put = api.write(Method::PUT, &path, &wish).await;
    assert_eq!(put.status, 200);
    let after = api.get(&path).await.body["result"].clone();
    assert_eq!(after, put.body["result"]);
    assert_eq!(after["region"], "europe-west1");
    assert_ne!(after["modified_on"], before["modified_on"]);
    let deleted = api.write(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(deleted.body["result"], json!({"origin_ip": "192.0.2.1"}));
    let again = api.write(Method::DELETE, &path, &Value::Null).await;
    assert_eq!(again.failed(), (404, 1142));
}

#[tokio::test]
async fn writes_that_make_no_sense_are_refused() {
    let api = Api::of(with_mappings(3500)).await;
    let zone = regions("zone-00000.example");
    let path = format!("{zone}/192.0.2.1");
    let wish = |ip: &str, vendor: &str, region: &str| json!({"origin_ip": ip, "vendor": vendor, "region": region});
    for (wish, expected) in [
        (wish("192.0.2.2", "aws", "us-east-1"), (400, 1146)),
        (wish("192.0.2.1", "hetzner", "fsn1"), (400, 1157)),
        (wish("192.0.2.1", "aws", "us-central1"), (400, 1157)),
        (wish("192.0.2.1", "aws", "us-east-1"), (403, 1164)),
        (json!({"vendor": "aws"}), (400, 6007)),
    ] {
        let answer = api.write(Method::PUT, &path, &wish).await;
        assert_eq!(answer.failed(), expected, "{wish}");
    }
    let first = api.get(&format!("{zone}?per_page=1")).await.rows()[0].clone();
    let ip = first["origin_ip"].as_str().unwrap();
    let replace = wish(ip, "oci", "uk-london-1");
    let replaced = api
        .write(Method::PUT, &format!("{zone}/{ip}"), &replace)
        .await;
    assert_eq!(
        replaced.status, 200,
        "a full zone's mappings can be replaced"
    );
}

#[tokio::test]
async fn each_item_of_a_batch_is_judged_by_itself() {
    let api = Api::of(two_mappings()).await;
    let path = format!("{}/batch", regions("example.com"));
    let good = json!({"origin_ip": "192.0.2.7", "vendor": "oci", "region": "uk-london-1"});
    let bad = json!({"origin_ip": "192.0.2.8", "vendor": "oci", "region": "nowhere"});
    let put = api.write(Method::PUT, &path, &json!([good, bad])).await;
    assert_eq!(put.body["result"]["succeeded"], json!([good]));
    assert_eq!(put.body["result"]["failed"][0]["origin_ip"], "192.0.2.8");
    assert!(put.body["result"]["failed"][0]["error"].is_string());
    let doomed = json!(["192.0.2.7", {"origin_ip": "2001:DB8::1"}, "192.0.2.200"]);
    let deleted = api.write(Method::DELETE, &path, &doomed).await;
    let result = &deleted.body["result"];
    assert_eq!(result["succeeded"][1]["origin_ip"], "2001:db8::1");
    assert_eq!(result["failed"][0]["origin_ip"], "192.0.2.200");
    assert_eq!(api.get(&regions("example.com")).await.rows().len(), 1);
    let too_many = json!(vec![good; 101]);
    assert_eq!(api.write(Method::PUT, &path, &too_many).await.status, 400);
}

#[tokio::test]
async fn supported_regions_need_tiered_cache() {
    let api = Api::of(two_mappings()).await;
    let path = format!("{}/supported_regions", regions("example.com"));
    let supported = api.get(&path).await;
    let first = &supported.body["result"]["vendors"]["aws"][0];
    assert!(first["name"].is_string() && first["upper_tier_colos"].is_array());
    assert_eq!(supported.body["result"]["obtained_codes"], true);
    let setting = format!("/zones/{}/argo/tiered_caching", zone_id_of("example.com"));
    assert_eq!(api.get(&setting).await.body["result"]["value"], "on");
    let off = api
        .write(Method::PATCH, &setting, &json!({"value": "off"}))
        .await;
    assert_eq!(off.body["result"]["value"], "off");
    assert_eq!(api.get(&path).await.status, 400);
}

#[tokio::test]
async fn the_smart_topology_may_never_have_been_set() {
    let api = Api::of(two_mappings()).await;
    let id = zone_id_of("example.com");
    let path = format!("/zones/{id}/cache/tiered_cache_smart_topology_enable");
    assert_eq!(api.get(&path).await.body["result"]["value"], "on");
    api.simulator
        .update(|world| world.zone_mut("example.com").smart_tiered_cache = None);
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test]
async fn zones_are_paged_and_filtered() {
    let mut world = World::generate(TOKEN, 120, 0, 1).account("other", "Other Company");
    world = world.zone_of("other", "elsewhere.example", []);
    world.zone_mut("zone-00003.example").zone.status = "pending".into();
    let api = Api::of(world).await;
    let mut names = std::collections::BTreeSet::new();
    for page in 1..=3 {
        let answer = api.get(&format!("/zones?page={page}&per_page=50")).await;
        assert_eq!(answer.body["result_info"]["total_count"], 121);
        names.extend(answer.rows().iter().map(|zone| zone["name"].to_string()));
    }
    assert_eq!(names.len(), 121);
    for (query, found) in [
        ("name=zone-00007.example", 1),
        ("status=pending", 1),
        ("account.id=other", 1),
        ("name=unknown.example", 0),
    ] {
        assert_eq!(
            api.get(&format!("/zones?{query}")).await.rows().len(),
            found,
            "{query}"
        );
    }
    let one = api
        .get(&format!("/zones/{}", zone_id_of("elsewhere.example")))
        .await;
    assert_eq!(
        one.body["result"]["account"],
        json!({"id": "other", "name": "Other Company"})
    );
    assert_eq!(api.get("/zones/unknown").await.failed(), (404, 1001));
}

#[tokio::test]
async fn records_load_balancers_and_pools_are_listed() {
    let mut world = two_mappings();
    let zone = world.zone_mut("example.com");
    zone.record("A", "www.example.com", "192.0.2.1", true);
    zone.record("AAAA", "www.example.com", "2001:db8::1", true);
    zone.record("A", "ssh.example.com", "192.0.2.9", false);
    world.accounts.get_mut(ACCOUNT).unwrap().pools.push(Pool {
        id: "pool-1".to_owned(),
        name: "europe".to_owned(),
        enabled: true,
        origins: vec![PoolOrigin {
            name: "one".to_owned(),
            address: "192.0.2.1".to_owned(),
            enabled: true,
            virtual_network_id: None,
        }],
    });
    let api = Api::of(world).await;
    let records = format!("/zones/{}/dns_records", zone_id_of("example.com"));
    assert_eq!(api.get(&records).await.body["result_info"]["per_page"], 100);
    let proxied = api.get(&format!("{records}?proxied=true")).await;
    assert_eq!(proxied.rows().len(), 2);
    let typed = api.get(&format!("{records}?proxied=true&type=AAAA")).await;
    assert_eq!(typed.rows()[0]["content"], "2001:db8::1");
    let paged = api.get(&format!("{records}?per_page=2&page=2")).await;
    assert_eq!(paged.rows().len(), 1);
    let pools = api
        .get(&format!("/accounts/{ACCOUNT}/load_balancers/pools"))
        .await;
    assert_eq!(pools.rows()[0]["origins"][0]["address"], "192.0.2.1");
    let id = zone_id_of("example.com");
    let balancers = api.get(&format!("/zones/{id}/load_balancers")).await;
    assert_eq!(balancers.body["result"], json!([]));
}

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
async fn credentials_are_checked() {
    let mut expired = Credential::user_token("t2", "expired");
    expired.status = CredentialStatus::Expired;
    let world = two_mappings()
        .credential(expired)
        .credential(Credential::user_token("t3", "weak").without(Permission::ZoneSettingsRead))
        .credential(Credential::user_token("t4", "elsewhere").only_accounts(["other"]))
        .credential(Credential::key("k1", "a@example.com", "key"));
    let api = Api::of(world).await;
    let path = regions("example.com");
    let with = |token: &str| send(api.request(Method::GET, &path).bearer_auth(token));
    assert_eq!(with("unknown").await.failed(), (401, 10000));
    assert_eq!(with("expired").await.failed(), (401, 10000));
    assert_eq!(with("weak").await.failed(), (403, 10000));
    assert_eq!(with("elsewhere").await.failed(), (403, 10000));
    assert_eq!(
        send(api.request(Method::GET, &path)).await.failed(),
        (400, 9106)
    );
    let key = |key: &str| {
        let request = api.request(Method::GET, &path);
        send(
            request
                .header("X-Auth-Email", "a@example.com")
                .header("X-Auth-Key", key),
        )
    };
    assert_eq!(key("key").await.status, 200);
    assert_eq!(key("other").await.failed(), (403, 9103));
    let hidden = send(api.request(Method::GET, "/zones").bearer_auth("elsewhere")).await;
    assert_eq!(hidden.rows().len(), 0);
}

#[tokio::test]
async fn tokens_are_verified_where_they_belong() {
    let mut expired = Credential::user_token("t2", "expired");
    expired.status = CredentialStatus::Expired;
    let world = two_mappings()
        .credential(expired)
        .credential(Credential::account_token("t3", "accounts", ACCOUNT));
    let api = Api::of(world).await;
    let verify = |path: String, token: &'static str| {
        send(api.request(Method::GET, &path).bearer_auth(token))
    };
    let user = || "/user/tokens/verify".to_owned();
    let account = || format!("/accounts/{ACCOUNT}/tokens/verify");
    assert_eq!(
        verify(user(), TOKEN).await.body["result"]["status"],
        "active"
    );
    assert_eq!(
        verify(user(), "expired").await.body["result"]["status"],
        "expired"
    );
    assert_eq!(verify(user(), "accounts").await.failed(), (401, 1000));
    assert_eq!(
        verify(account(), "accounts").await.body["result"]["id"],
        "t3"
    );
    assert_eq!(verify(account(), TOKEN).await.failed(), (401, 1000));
}

#[tokio::test]
async fn past_the_rate_limit_everything_of_that_token_is_refused() {
    let mut world = two_mappings().credential(Credential::user_token("t2", "other"));
    world.rate_limit = RateLimit {
        requests: 2,
        window: Duration::from_mins(1),
        block: Duration::from_millis(1200),
    };
    let api = Api::of(world).await;
    assert!(
        api.get("/zones").await.headers["ratelimit"]
            .to_str()
            .unwrap()
            .contains("r=1;")
    );
    assert_eq!(api.get("/zones").await.status, 200);
    let refused = api.get(&regions("example.com")).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "2");
    assert_eq!(
        send(api.request(Method::GET, "/zones").bearer_auth("other"))
            .await
            .status,
        200
    );
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(api.get("/zones").await.status, 200);
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
