//! The JSON API.

use cloudflare_origin_region_exporter::findings::ZoneFindings;
use serde_json::{Value, json};

use crate::support::*;
use crate::world;

async fn server() -> Server {
    let server = Server::start().await;
    server.snapshot.publish(world::small());
    world::record_changes(&server.history);
    server
}

async fn get(server: &Server, path: &str) -> (u16, Value) {
    let (status, body) = server.get(&format!("/api/v1/{path}")).await;
    (status, serde_json::from_str(&body).unwrap())
}

/// The values of one field, in order.
fn column(answer: &Value, rows: &str, field: &str) -> Vec<String> {
    let rows = answer[rows].as_array().unwrap();
    let text = |row: &Value| row[field].as_str().unwrap_or_default().to_owned();
    rows.iter().map(text).collect()
}

#[tokio::test]
async fn zones_show_their_state() {
    let server = server().await;
    let (status, answer) = get(&server, "zones").await;
    assert_eq!(status, 200);
    assert_eq!(answer["total"], 4);
    assert_eq!(answer["limit"], 1000);
    assert_eq!(answer["offset"], 0);
    assert_eq!(
        column(&answer, "zones", "zone_id"),
        ["a1", "b2", "c3", "d4"]
    );
    let good = &answer["zones"][0];
    for (field, value) in [
        ("zone", json!("example.com")),
        ("account", json!("production")),
        ("up", json!(true)),
        ("last_success", json!("2026-03-01T12:00:00Z")),
        ("poll_duration_seconds", json!(0.25)),
        ("poll_interval_seconds", json!(300.0)),
        ("next_poll", Value::Null),
        ("mappings", json!(3)),
        ("missing", json!(1)),
        ("wrong", json!(1)),
        ("stale", json!(1)),
        ("expected_origins", json!({"dns": 2})),
        ("tiered_cache_enabled", json!(true)),
    ] {
        assert_eq!(good[field], value, "{field}");
    }
    let bad = &answer["zones"][2];
    assert_eq!(bad["up"], json!(false));
    assert_eq!(bad["error"], "list_mappings: the API answered 403");
    assert_eq!(bad["mappings"], Value::Null);
    server.expect_requests("api", "200", 1);
}

#[tokio::test]
async fn the_next_poll_is_shown() {
    let server = server().await;
    let due = "2026-03-01T12:05:00Z";
    let directory = server.snapshot.directory();
    directory.zones[0].announce_poll(due.parse().unwrap());
    let (_, answer) = get(&server, "zones?zone=a1").await;
    assert_eq!(answer["zones"][0]["next_poll"], due);
}

#[tokio::test]
async fn rows_are_filtered_by_their_fields() {
    let server = server().await;
    for (path, total) in [
        ("mappings", 4),
        ("mappings?zone=EXAMPLE.com", 3),
        ("mappings?zone=b2", 1),
        ("mappings?zone=example", 0),
        ("mappings?vendor=AWS", 3),
        ("mappings?vendor=hetzner", 0),
        ("mappings?region=us-east-1", 2),
        ("mappings?vendor=aws&region=us-east1", 0),
        ("mappings?origin_ip=192.0.2.1", 2),
        ("mappings?origin_ip=%3A%3Affff%3A192.0.2.1&zone=a1", 1),
        ("mappings?origin_ip=2001:DB8:0::0:1", 1),
        ("findings", 3),
        ("findings?finding=wrong", 1),
        ("findings?vendor=aws", 1),
        ("findings?origin_ip=2001:db8::0099", 1),
        ("findings?zone=example.org", 0),
        ("zones?zone=example.com", 1),
        ("zones?vendor=gcp", 1),
        ("zones?origin_ip=192.0.2.1", 2),
        ("zones?origin_ip=192.0.2.1&region=eu-west-1", 1),
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(answer["total"], total, "{path}: {answer}");
    }
}

#[tokio::test]
async fn pages_cover_each_row_once_and_tell_the_total() {
    let server = server().await;
    let mut seen = Vec::new();
    for offset in 0..5 {
        let (_, answer) = get(&server, &format!("mappings?limit=1&offset={offset}")).await;
        assert_eq!(answer["total"], 4);
        assert_eq!(answer["offset"], offset);
        seen.extend(column(&answer, "mappings", "origin_ip"));
    }
    assert_eq!(seen, ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"]);
    let (_, answer) = get(&server, "findings?limit=0").await;
    assert_eq!(
        answer,
        json!({"total": 3, "limit": 0, "offset": 0, "findings": []})
    );
}

#[tokio::test]
async fn an_answer_is_bounded_however_much_there_is() {
    let server = Server::start().await;
    let zones = (0..30).map(|zone| {
        let rows = (0..1000).map(|n| {
            let ip = format!("10.{zone}.{}.{}", n / 256, n % 256);
            world::mapping(&ip, "aws", "us-east-1", "2026-03-01T12:30:00Z")
        });
        let state = world::zone(&format!("z{zone}"), &format!("z{zone}.example"));
        world::read(state, rows.collect(), ZoneFindings::default())
    });
    server.snapshot.publish(world::directory(zones.collect()));
    for (query, rows) in [
        ("", 1000),
        ("?limit=10000&offset=25000", 5000),
        ("?limit=10000", 10_000),
    ] {
        let (_, answer) = get(&server, &format!("mappings{query}")).await;
        assert_eq!(answer["total"], 30_000);
        assert_eq!(
            answer["mappings"].as_array().unwrap().len(),
            rows,
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_not_understood_is_refused_in_json() {
    let server = server().await;
    for (path, expected) in [
        ("zones?nothing=1", "unknown parameter \"nothing\""),
        ("mappings?limit=10001", "limit"),
        ("mappings?limit=many", "limit"),
        ("findings?offset=-1", "offset"),
        ("findings?origin_ip=example.com", "origin_ip"),
        ("zones?zone=a&zone=b", "twice"),
    ] {
        let (status, answer) = get(&server, path).await;
        assert_eq!(status, 400, "{path}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(expected), "{path}: {error}");
    }
    server.expect_requests("api", "400", 6);
}

#[tokio::test]
async fn answers_are_json_and_not_cached() {
    let server = server().await;
    for path in ["/api/v1/zones", "/api/v1/zones?bad"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert_eq!(header(&answer, "content-type"), Some("application/json"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
}

/// Each response in `docs/api.md` has the fields that the server sends, and each field is
/// explained.
#[tokio::test]
async fn the_documentation_shows_the_fields_as_they_are() {
    let server = server().await;
    let page = include_str!("../../docs/api.md");
    for (path, rows, mark) in [
        ("zones", "zones", "\"account\""),
        ("mappings", "mappings", ""),
        ("findings", "findings", ""),
        ("origins", "origins", ""),
        ("changes", "changes", ""),
        ("plan", "zones", "\"undecided\""),
    ] {
        let example = page
            .split("```json\n")
            .filter_map(|part| part.split("```").next())
            .find(|text| text.contains(&format!("\"{rows}\": [")) && text.contains(mark))
            .unwrap();
        let documented: Value = serde_json::from_str(example).unwrap();
        let (_, answer) = get(&server, path).await;
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(names(&documented), names(&answer), "{rows}");
        assert_eq!(
            names(&documented[rows][0]),
            names(&answer[rows][0]),
            "{rows}"
        );
        for name in names(&answer[rows][0]) {
            assert!(
                page.contains(&format!("| `{name}` |")),
                "{name} is not explained"
            );
        }
    }
}

#[tokio::test]
async fn origins_are_listed_and_so_is_what_was_left_out() {
    let server = server().await;
    let (status, answer) = get(&server, "origins?zone=example.com").await;
    assert_eq!(status, 200);
    assert_eq!(
        answer["origins"],
        json!([{
            "zone": "example.com", "zone_id": "a1", "origin_ip": "192.0.2.1",
            "sources": ["config", "dns"], "hosts": ["origin.example.net"],
            "expected_vendor": "aws", "expected_region": "us-east-1",
            "check": "declared", "mapped": true,
        }])
    );
    for (query, total) in [
        ("region=us-east-1", 1),
        ("region=eu-west-1", 0),
        ("origin_ip=192.0.2.1", 1),
        ("left_out=false", 1),
        ("left_out=true", 1),
        ("left_out=true&zone=example.org", 0),
        ("left_out=true&origin_ip=10.0.0.1", 1),
    ] {
        let (_, answer) = get(&server, &format!("origins?{query}")).await;
        assert_eq!(answer["total"], total, "{query}");
    }
    let (_, answer) = get(&server, "origins?left_out=true").await;
    assert_eq!(answer["origins"][0]["reason"], "special_purpose");
    assert_eq!(answer["origins"][0]["origin_ip"], "10.0.0.1");
    assert_eq!(get(&server, "mappings?left_out=true").await.0, 400);
}

#[tokio::test]
async fn changes_are_listed_newest_first() {
    let server = server().await;
    let (_, answer) = get(&server, "changes").await;
    let kinds: Vec<_> = answer["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["finding_appeared", "mapping_removed"]);
    for (query, total) in [
        ("zone=EXAMPLE.com", 2),
        ("zone=b2", 0),
        ("kind=mapping_removed", 1),
        ("finding=missing", 1),
        ("finding=stale", 0),
        ("origin_ip=192.0.2.1", 2),
        ("since=2026-03-01T12:00:00Z", 2),
        ("until=2026-03-01T12:00:00Z", 0),
        ("limit=1", 2),
    ] {
        let (_, answer) = get(&server, &format!("changes?{query}")).await;
        assert_eq!(answer["total"], total, "{query}");
    }
    for bad in ["kind=removed", "since=yesterday", "vendor=aws"] {
        assert_eq!(
            get(&server, &format!("changes?{bad}")).await.0,
            400,
            "{bad}"
        );
    }
    let page = server.get("/changes?kind=mapping_removed").await.1;
    assert!(
        page.contains("mapping removed") && page.contains("1 in all."),
        "{page}"
    );
    let zone = server.get("/zones/a1").await.1;
    assert!(
        zone.contains("aws us-east-1") && zone.contains("10.0.0.1"),
        "{zone}"
    );
}

#[tokio::test]
async fn the_plan_says_what_fixes_each_zone() {
    let server = server().await;
    let (status, answer) = get(&server, "plan").await;
    assert_eq!(status, 200);
    assert_eq!(answer["total"], 2, "only zones whose mappings are known");
    assert_eq!(
        answer["zones"][0],
        json!({
            "zone": "example.com", "zone_id": "a1",
            "put": [{
                "origin_ip": "192.0.2.2", "vendor": "aws", "region": "us-east-1",
                "because": "wrong by declared: mapped to gcp us-east1",
            }],
            "delete": [],
            "undecided": [
                {
                    "origin_ip": "2001:db8::99",
                    "because": "missing: expected by dns; its vendor and region are not known",
                },
                {
                    "origin_ip": "2001:db8::1",
                    "because": "stale: check that the origin is still there, then write the \
                                mapping again",
                },
            ],
        })
    );
    assert_eq!(
        answer["zones"][1],
        json!({"zone": "example.org", "zone_id": "b2", "put": [], "delete": [], "undecided": []})
    );
    let (_, answer) = get(&server, "plan?limit=1&offset=1").await;
    assert_eq!(column(&answer, "zones", "zone_id"), ["b2"]);
    assert_eq!(answer["total"], 2);
    for bad in ["plan?prune=yes", "plan?vendor=aws", "zones?prune=true"] {
        assert_eq!(get(&server, bad).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn the_plan_deletes_unused_mappings_only_on_request() {
    let server = Server::start().await;
    let unused = world::mapping("192.0.2.3", "aws", "us-east-1", "");
    let findings = ZoneFindings {
        unused: Some(vec![unused.clone()]),
        ..ZoneFindings::default()
    };
    let state = world::read(world::zone("u1", "unused.example"), vec![unused], findings);
    server.snapshot.publish(world::directory(vec![state]));
    for (query, deleted) in [
        ("", vec![]),
        ("&prune=false", vec![]),
        ("&prune=true", vec!["192.0.2.3"]),
    ] {
        let (_, answer) = get(&server, &format!("plan?zone=UNUSED.example{query}")).await;
        let zone = &answer["zones"][0];
        assert_eq!(column(zone, "delete", "origin_ip"), deleted, "{query}");
    }
    let page = server.get("/zones/u1").await.1;
    assert!(
        page.contains("--request DELETE") && page.contains("[&quot;192.0.2.3&quot;]"),
        "{page}"
    );
}
