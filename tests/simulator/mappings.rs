//! Mappings: get one, list pages, and write.

use cloudflare_origin_region_exporter::simulator::{Operation, World};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, TOKEN, regions, two_mappings, with_mappings};

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
