//! The HTML pages.

use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::AccountStatus;
use cloudflare_origin_region_exporter::domain::{AccountName, ZoneName};
use cloudflare_origin_region_exporter::findings::ZoneFindings;
use cloudflare_origin_region_exporter::snapshot::{Directory, ZoneState};
use jiff::Timestamp;

use crate::support::*;
use crate::world;

const EVIL: &str = "<script>alert(1)</script>";

pub(crate) async fn serving(directory: Directory) -> Server {
    let server = Server::start().await;
    server.ready.send(true).unwrap();
    server.snapshot.publish(directory);
    server
}

/// The content of a page without its style.
pub(crate) async fn page(server: &Server, path: &str) -> String {
    let (status, body) = server.get(path).await;
    assert_eq!(status, 200, "{path}");
    body.split_once("</style>").unwrap().1.to_owned()
}

fn many(count: usize) -> Directory {
    let zones = (0..count).map(|n| {
        let zone = world::zone(&format!("id{n:029}x"), &format!("zone{n:05}.example"));
        let error = "list_mappings: the API answered 403: the token lacks a permission";
        if n % 7 == 0 {
            world::failed(zone, error)
        } else {
            world::read(zone, vec![], ZoneFindings::default())
        }
    });
    world::directory(zones.collect())
}

#[tokio::test]
async fn what_comes_from_outside_is_harmless() {
    let mut bad = world::failed(world::zone("abc", EVIL), EVIL);
    bad.zone = cloudflare_origin_region_exporter::domain::Zone {
        status: EVIL.into(),
        plan: EVIL.into(),
        ..bad.zone
    };
    let mapped = world::read(
        ZoneState { ..bad.clone() },
        vec![world::mapping("192.0.2.1", EVIL, EVIL, "")],
        ZoneFindings::default(),
    );
    let both = ZoneState {
        last_poll: bad.last_poll,
        ..mapped
    };
    let mut directory = world::directory(vec![both]);
    for account in &mut directory.accounts {
        account.name = AccountName::parse(EVIL).unwrap();
        account.error = Some(EVIL.to_owned());
    }
    let server = serving(directory).await;
    for path in [
        "/",
        "/?q=%3Cscript%3E",
        "/?q=%22%3E%3Cscript%3E",
        "/zones/abc",
        "/zones/abc?q=%3Cscript%3E",
        "/zones/abc?q=%22%3E%3Cscript%3E",
        "/findings?q=%22%3E%3Cscript%3E",
        "/changes?zone=%22%3E%3Cscript%3E",
    ] {
        let page = page(&server, path).await;
        assert!(
            !page.contains("<script") && !page.contains("\"\">"),
            "{path}: {page}"
        );
        assert!(page.contains("&lt;script&gt;"), "{path}: {page}");
    }
    let not_found = server.get("/zones/%3Cscript%3E").await;
    assert_eq!(not_found.0, 404);
    assert!(!not_found.1.contains("<script"));
}

#[tokio::test]
async fn pages_load_nothing_and_run_nothing() {
    let server = serving(world::small()).await;
    for path in [
        "/",
        "/findings",
        "/changes",
        "/zones/a1",
        "/zones/none",
        "/docs/",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            header(head, "content-type"),
            Some("text/html; charset=utf-8")
        );
        let (before, after) = body.split_once("<pre").unwrap_or((body, ""));
        let after = after.split_once("</pre>").map_or(after, |(_, after)| after);
        let body = format!("{before}{after}");
        let policy = header(head, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for forbidden in [
            "http:", "https:", "//", "<script", "<img", "<link", "url(", "@import",
        ] {
            assert!(!body.contains(forbidden), "{path}: {forbidden}");
        }
    }
    server.expect_requests("landing", "200", 5);
    server.expect_requests("landing", "404", 1);
}

#[tokio::test]
async fn every_link_of_the_pages_leads_somewhere() {
    let server = serving(world::small()).await;
    let mut links = std::collections::BTreeSet::new();
    for path in ["/", "/findings", "/changes", "/zones/a1", "/docs/"] {
        let (_, body) = server.get(path).await;
        for link in body.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap().replace("&amp;", "&");
            links.insert(if link.starts_with('/') {
                link
            } else {
                format!("{path}{link}")
            });
        }
    }
    for wanted in [
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/api/v1/zones",
        "/docs/",
        "/zones/c3",
    ] {
        assert!(links.contains(wanted), "{wanted}: {links:?}");
    }
    for link in links {
        let link = link.split('#').next().unwrap();
        assert_eq!(server.get(link).await.0, 200, "{link}");
    }
}

#[tokio::test]
async fn a_thousand_zones_come_in_small_pages_with_the_bad_ones_first() {
    let server = serving(many(1000)).await;
    let (_, first) = server.get("/").await;
    assert!(first.len() < 120_000, "{} bytes", first.len());
    assert_eq!(first.matches("href=\"/zones/").count(), 100);
    assert_eq!(
        first.matches("failing</span>").count(),
        101,
        "100 rows and the tile"
    );
    assert!(first.contains("Page 1 of 10") && first.contains("?page=2"));
    let last = page(&server, "/?page=10").await;
    assert!(last.contains("zone00999") && !last.contains("rel=\"next\""));
    for beyond in ["page=11", "page=99999999999999999999", "page=0", "page=x"] {
        assert!(
            page(&server, &format!("/?{beyond}"))
                .await
                .contains("href=\"/zones/")
        );
    }
}

#[tokio::test]
async fn a_search_finds_parts_of_names_whole_ids_and_problems() {
    let server = serving(many(1000)).await;
    for (query, found) in [
        ("q=ZONE0000", 10),
        ("q=id00000000000000000000000000007X", 1),
        ("show=problems", 143),
        ("q=zone000&show=problems", 15),
    ] {
        let page = page(&server, &format!("/?{query}")).await;
        assert!(
            page.contains(&format!("{found} of 1000 match")),
            "{query}: {page}"
        );
    }
    let second = page(&server, "/?q=example&show=problems&page=2").await;
    assert!(
        second.contains("?q=example&amp;show=problems&amp;page=1"),
        "{second}"
    );
    assert!(page(&server, "/?q=nothing").await.contains("No zone."));
}

#[tokio::test]
async fn accounts_show_token_and_rate_limit() {
    let status = AccountStatus {
        name: AccountName::parse("production").unwrap(),
        has_token: true,
        token_valid: Some(false),
        token_expires_on: Some(Timestamp::now() + Duration::from_hours(24 * 9 + 1)),
        budget: 600,
        remaining: Some(42),
        paused_until: Some(Timestamp::now() + Duration::from_secs(250)),
    };
    let options = Options {
        accounts: accounts(vec![status]),
        ..Options::default()
    };
    let server = options.start().await;
    server.snapshot.publish(world::small());
    let page = page(&server, "/").await;
    for part in [
        "refused",
        "Cloudflare refuses the API token of account",
        "in 9 days",
        "paused",
        "in 4 min",
        "600 requests a window",
        "42 requests",
        "4 polled, 3 filtered",
        "The first round of polls has not ended yet",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn a_zone_shows_what_is_wrong_with_it() {
    let server = serving(world::small()).await;
    let due = Timestamp::now() + Duration::from_secs(200);
    server.snapshot.directory().zones[0].announce_poll(due);
    let zone = page(&server, "/zones/a1").await;
    for part in [
        "<h1>example.com</h1>",
        "a proxied DNS record points to it",
        "the configuration declares another region",
        "Change the mapping to aws us-east-1.",
        "gcp us-east1",
        "aws us-east-1",
        "in 3 min",
        "every 5m",
        "180 days",
        "2 dns",
        "2026-03-01T12:00:00Z",
        "What would fix it",
        "Write 1 mapping:",
        "--request PUT 'https://api.example/client/v4/zones/a1/origin/cloud_regions/batch'",
        "$CLOUDFLARE_API_TOKEN",
        "&quot;origin_ip&quot;:&quot;192.0.2.2&quot;,&quot;vendor&quot;:&quot;aws&quot;",
        "2001:db8::99 – missing: expected by dns; its vendor and region are not known",
        "does not support: 192.0.2.7: aws us-esat-1",
        "<th scope=\"row\">origin.example.net</th>",
        "192.0.2.1 <span class=\"quiet\">mapped</span>",
        "<th scope=\"row\">failing.example.net</th>",
        "<span class=\"bad\">failing</span>",
        "<th scope=\"row\">gone.example.net</th>",
        "<span class=\"bad\">no address</span>",
        "More hosts that do not resolve: 2 failing.",
    ] {
        assert!(zone.contains(part), "{part}: {zone}");
    }
    assert_eq!(
        zone.matches("2001:db8::1</th>").count(),
        2,
        "stale, and a mapping"
    );
    let found = page(&server, "/zones/a1?q=2001:DB8:0::1").await;
    assert!(
        found.contains("2001:db8::1</th>") && !found.contains("192.0.2.2"),
        "{found}"
    );
    let failing = page(&server, "/zones/c3").await;
    assert!(failing.contains("The last poll failed: list_mappings: the API answered 403"));
    assert!(failing.contains("None are known."));
}

#[tokio::test]
async fn a_zone_with_many_mappings_is_shown_page_by_page() {
    let rows = (0..3500).map(|n| {
        let ip = format!("10.0.{}.{}", n / 256, n % 256);
        world::mapping(&ip, "aws", "us-east-1", "2020-03-01T12:30:00Z")
    });
    let state = world::read(
        world::zone("z", "z.example"),
        rows.collect(),
        ZoneFindings::default(),
    );
    let server = serving(world::directory(vec![state])).await;
    let (_, first) = server.get("/zones/z").await;
    assert!(first.len() < 120_000, "{} bytes", first.len());
    assert_eq!(first.matches("<th scope=\"row\">").count(), 200);
    assert_eq!(first.matches("Page 1 of 35").count(), 2);
    let second = page(&server, "/zones/z?mappings=35&findings=2&q=10.0").await;
    assert!(second.contains("10.0.13.171"), "the last mapping");
    assert!(
        second.contains("?q=10.0&amp;mappings=34&amp;findings=2"),
        "{second}"
    );
}

#[tokio::test]
async fn a_name_that_is_not_known_is_the_identifier() {
    let mut state = world::zone("abc", "x");
    state.zone.name = ZoneName::from(&state.zone.id);
    let server = serving(world::directory(vec![state])).await;
    assert!(page(&server, "/").await.contains("not read yet"));
    assert!(page(&server, "/zones/abc").await.contains("<h1>abc</h1>"));
}

#[tokio::test]
async fn a_zone_is_found_by_its_name_too() {
    let server = serving(world::small()).await;
    for path in ["/zones/a1", "/zones/example.com", "/zones/EXAMPLE%2Ecom"] {
        assert!(
            page(&server, path).await.contains("<h1>example.com</h1>"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_name_of_two_zones_that_are_equally_good_is_ambiguous() {
    let twin = |id: &str, status: &str| {
        let mut state = world::zone(id, "twin.example");
        state.zone.status = status.into();
        state
    };
    let server = serving(world::directory(vec![
        twin("t1", "active"),
        twin("t2", "active"),
        twin("t3", "moved"),
    ]))
    .await;
    let (status, both) = server.get("/zones/twin.example").await;
    assert_eq!(status, 300, "{both}");
    for part in ["href=\"/zones/t1\"", "href=\"/zones/t2\""] {
        assert!(both.contains(part), "{part}: {both}");
    }
    assert!(!both.contains("t3"), "{both}");
    let (status, error) = server
        .get("/probe?zone=twin.example&target=192.0.2.1")
        .await;
    assert_eq!(status, 400);
    assert!(error.contains("name one by its identifier"), "{error}");
    server.snapshot.publish(world::directory(vec![
        twin("t1", "moved"),
        twin("t2", "active"),
    ]));
    assert!(
        page(&server, "/zones/twin.example")
            .await
            .contains("/api/v1/zones?zone=t2")
    );
}

#[tokio::test]
async fn that_no_zone_is_watched_is_at_the_top() {
    let mut directory = world::directory(Vec::new());
    let server = serving(world::directory(Vec::new())).await;
    let none = page(&server, "/").await;
    let (before, _) = none.split_once("<h2>").unwrap();
    assert!(
        before.contains("notice bad") && before.contains("No zone is watched."),
        "{none}"
    );
    assert!(before.contains("filters of the configuration"), "{none}");
    assert!(!none.contains("<ul class=\"tiles\""), "{none}");

    directory.accounts[0].up = Some(false);
    directory.accounts[0].last_success = None;
    directory.accounts[0].error = Some("list_zones: the API answered 401".to_owned());
    server.snapshot.publish(directory);
    let refused = page(&server, "/").await;
    let (before, _) = refused.split_once("<h2>").unwrap();
    for part in [
        "cannot be listed: list_zones: the API answered 401",
        "No account could list",
    ] {
        assert!(before.contains(part), "{part}: {refused}");
    }
}
