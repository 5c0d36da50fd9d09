//! Zones, and their settings and records besides mappings.

use cloudflare_origin_region_exporter::simulator::{Pool, PoolOrigin, World, zone_id_of};
use reqwest::Method;
use serde_json::json;

use crate::support::{ACCOUNT, Api, TOKEN, regions, two_mappings};

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
