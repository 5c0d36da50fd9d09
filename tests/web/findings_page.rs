//! The page with the findings of all zones.

use cloudflare_origin_region_exporter::findings::{TieredCache, ZoneFindings};
use cloudflare_origin_region_exporter::snapshot::ZoneState;

use crate::page::{page, serving};
use crate::world;

#[tokio::test]
async fn findings_of_all_zones_are_listed_with_what_fixes_them() {
    let idle = world::read(
        world::zone("e5", "idle.example"),
        vec![world::mapping("192.0.2.9", "aws", "eu-west-1", "")],
        ZoneFindings::default(),
    );
    let mut zones: Vec<_> = world::small()
        .zones
        .iter()
        .map(|slot| (*slot.load()).clone())
        .collect();
    zones.push(ZoneState {
        tiered_cache: TieredCache {
            enabled: Some(false),
            smart_enabled: None,
        },
        ..idle
    });
    let server = serving(world::directory(zones)).await;
    let all = page(&server, "/findings").await;
    let positions: Vec<_> = [
        "2001:db8::99</td>",
        "192.0.2.2</td>",
        "all mappings",
        "2001:db8::1</td>",
    ]
    .iter()
    .map(|part| all.find(part).unwrap_or_else(|| panic!("{part}: {all}")))
    .collect();
    assert!(positions.is_sorted(), "missing, wrong, idle, stale: {all}");
    for part in [
        "4 in all.",
        "Find the origin’s region, then add a mapping.",
        "Change the mapping to aws us-east-1.",
        "Turn on Tiered Cache",
        "href=\"/zones/e5\"",
        "/findings?finding=idle",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    for (query, count) in [
        ("finding=wrong", 1),
        ("finding=idle", 1),
        ("q=IDLE.example", 1),
        ("q=2001:DB8:0::99", 1),
        ("q=example.com", 3),
        ("q=example.com&finding=stale", 1),
    ] {
        let found = page(&server, &format!("/findings?{query}")).await;
        assert!(
            found.contains(&format!("{count} in all.")),
            "{query}: {found}"
        );
    }
    assert!(
        page(&server, "/findings?q=nothing")
            .await
            .contains("Nothing matches.")
    );

    let landing = page(&server, "/").await;
    assert!(
        landing.contains("href=\"/findings?finding=missing\""),
        "{landing}"
    );
    assert!(
        landing.contains("<span class=\"bad\">idle</span>"),
        "{landing}"
    );
    let json = server.get("/api/v1/findings?finding=idle").await.1;
    assert!(json.contains("\"zone\":\"idle.example\""), "{json}");
    assert!(json.contains("\"origin_ip\":null"), "{json}");
}

#[tokio::test]
async fn what_no_zone_can_be_judged_by_is_no_zero() {
    let zone = world::zone("abc", "example.com");
    let read = world::read(zone, vec![], ZoneFindings::default());
    let server = serving(world::directory(vec![read])).await;
    for path in ["/", "/findings"] {
        let page = page(&server, path).await;
        for kind in ["missing", "wrong"] {
            let unknown = format!("–</strong> <span>{kind}</span>");
            assert!(page.contains(&unknown), "{path}: {page}");
            let zero = format!("<strong>0</strong> <span>{kind}</span>");
            assert!(!page.contains(&zero), "{path}: {page}");
        }
    }
}

#[tokio::test]
async fn many_findings_come_page_by_page() {
    let zones = (0..3).map(|zone| {
        let rows = (0..70).map(|n| {
            let ip = format!("10.0.{zone}.{n}");
            world::mapping(&ip, "aws", "us-east-1", "2020-03-01T12:30:00Z")
        });
        let name = format!("zone{zone}.example");
        world::read(
            world::zone(&format!("z{zone}"), &name),
            rows.collect(),
            ZoneFindings::default(),
        )
    });
    let server = serving(world::directory(zones.collect())).await;
    let mut seen = std::collections::BTreeSet::new();
    for number in 1..=3 {
        let page = page(&server, &format!("/findings?page={number}")).await;
        assert!(page.contains("210 in all."), "{page}");
        let rows = page.split("<th scope=\"row\">").skip(1);
        seen.extend(rows.map(|row| {
            let ip = row.split("Origin\">").nth(1).unwrap();
            ip.split('<').next().unwrap().to_owned()
        }));
    }
    assert_eq!(seen.len(), 210);
}
