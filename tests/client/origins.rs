//! The sources of the origins of a zone, as the simulation serves them.

use cloudflare_origin_region_exporter::cloudflare::{OriginTarget, Reason, StorageProvider};
use cloudflare_origin_region_exporter::domain::{Vendor, ZoneId};
use cloudflare_origin_region_exporter::simulator::{
    LoadBalancer, Permission, Pool, PoolOrigin, World, zone_id_of,
};
use serde_json::json;

use crate::support::{Set, Simulated, TOKEN, answer, call, page, zone};

struct Api {
    api: Simulated,
    zone: ZoneId,
}

impl Api {
    async fn with(world: World) -> Self {
        Self {
            api: Simulated::start(world).await,
            zone: zone_id_of("example.com"),
        }
    }
}

fn world() -> World {
    World::single_token(TOKEN).zone("example.com", [])
}

fn target(text: &str) -> OriginTarget {
    OriginTarget::parse(text).unwrap()
}

#[tokio::test]
async fn records_of_all_types_that_name_origins_with_what_marks_them() {
    let mut world = world();
    let zone = world.zone_mut("example.com");
    zone.record("A", "www.example.com", "192.0.2.1", true);
    zone.record("CNAME", "*.example.com", "Origin.example.net", true);
    zone.record("AAAA", "origin.example.com", "2001:db8::1", false);
    zone.record("TXT", "example.com", "v=spf1 -all", false);
    zone.dns_records[0].worker = Some("worker-1".to_owned());
    zone.dns_records[2].read_only = true;
    let api = Api::with(world).await;
    let records = api.api.client.dns_records(&api.zone, &call()).await;
    let all = records.unwrap();
    assert!(all.is_complete());
    let [worker, wildcard, read_only] = &all.rows[..] else {
        panic!("{all:?}")
    };
    assert!(worker.is_workers && worker.proxied && !worker.is_read_only);
    assert_eq!(wildcard.target, target("origin.example.net"));
    assert!(wildcard.name.as_ref().unwrap().is_wildcard());
    assert!(read_only.is_read_only && !read_only.proxied);
    assert_eq!(api.api.simulator.requests().len(), 1);
}

#[tokio::test]
async fn load_balancers_and_pools_as_they_are_written() {
    let mut world = world();
    let owner = world.accounts.keys().next().unwrap().clone();
    world.accounts.get_mut(&owner).unwrap().pools.push(Pool {
        id: "p1".to_owned(),
        name: "one".to_owned(),
        enabled: false,
        origins: vec![PoolOrigin {
            name: "a".to_owned(),
            address: "origin.example.net".to_owned(),
            enabled: true,
            virtual_network_id: Some("v".to_owned()),
        }],
    });
    world
        .zone_mut("example.com")
        .load_balancers
        .push(LoadBalancer {
            id: "lb".to_owned(),
            name: "www.example.com".to_owned(),
            proxied: false,
            default_pools: vec!["p1".to_owned()],
            pool_sets: vec![json!({"disabled": false, "overrides": {"pools": ["p2"]}})],
            ..LoadBalancer::default()
        });
    let api = Api::with(world).await;
    let balancers = api
        .api
        .client
        .load_balancers(&api.zone, &call())
        .await
        .unwrap();
    let [balancer] = &balancers.rows[..] else {
        panic!("{balancers:?}")
    };
    assert!(balancer.enabled && !balancer.proxied);
    let pools: Vec<_> = balancer.pools.iter().map(ToString::to_string).collect();
    assert_eq!(pools, ["p1", "p2"]);
    let pools = api
        .api
        .client
        .load_balancer_pools(&owner, &call())
        .await
        .unwrap();
    assert!(!pools.rows[0].enabled);
    let origin = &pools.rows[0].origins[0];
    assert!(origin.enabled && origin.in_virtual_network);
    assert_eq!(origin.target, target("origin.example.net"));
}

#[tokio::test]
async fn rules_name_hosts_and_a_zone_without_rules_is_no_error() {
    let api = Api::with(world()).await;
    let (client, zone) = (&api.api.client, &api.zone);
    let none = client.origin_rules(zone, &call()).await.unwrap();
    assert!(none.rows.is_empty() && none.is_complete());
    api.api.simulator.update(|world| {
        let zone = world.zone_mut("example.com");
        zone.origin_rule("a.example.net");
        zone.cloud_connector_rule("gcp_storage", "b.example.net");
        zone.page_rule("c.example.net");
    });
    let rules = client.origin_rules(zone, &call()).await.unwrap();
    assert_eq!(rules.rows, [target("a.example.net")]);
    let rules = client.cloud_connector(zone, &call()).await.unwrap();
    assert_eq!(rules.rows[0].host, target("b.example.net"));
    let gcp = StorageProvider::Vendor(Vendor::Gcp);
    assert_eq!(rules.rows[0].provider, gcp);
    let rules = client.page_rules(zone, &call()).await.unwrap();
    assert_eq!(rules.rows, [target("c.example.net")]);
    let ips = client.cloudflare_ips(&call()).await.unwrap();
    assert!(ips.contains(&"104.16.0.0/13".parse().unwrap()));
    api.api.simulator.update(|world| {
        let permissions = &mut world.credentials[0].permissions;
        permissions.remove(&Permission::OriginRulesRead);
    });
    let error = client.origin_rules(zone, &call()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Forbidden);
    assert!(error.detail.contains("Zone: Origin Rules: Read"), "{error}");
}

#[tokio::test]
async fn a_list_without_paging_is_read_on_where_it_says_that_there_is_more() {
    let balancer = |number| format!(r#"{{"id": "lb{number}", "fallback_pool": "p{number}"}}"#);
    let set = Set::up(move |seen| {
        let mut seen = seen.clone();
        if !seen.target.contains('?') {
            seen.target.push_str("?page=1&per_page=50");
        }
        answer(200, &page(&seen, 60, balancer))
    })
    .await;
    let balancers = set.client.load_balancers(&zone(), &call()).await.unwrap();
    assert_eq!(balancers.rows.len(), 60);
    let targets: Vec<_> = set
        .server
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    let path = "/client/v4/zones/z1/load_balancers";
    assert_eq!(
        targets,
        [path.to_owned(), format!("{path}?page=2&per_page=50")]
    );
}

#[tokio::test]
async fn half_of_a_list_without_paging_is_never_taken_for_all_of_it() {
    // The same 50 rows on every page.
    let pool = |number| format!(r#"{{"id": "p{number}", "origins": []}}"#);
    let set = Set::up(move |seen| {
        let mut seen = seen.clone();
        "/?page=1&per_page=50".clone_into(&mut seen.target);
        answer(200, &page(&seen, 60, pool))
    })
    .await;
    let error = set.client.load_balancer_pools("a", &call()).await;
    assert_eq!(error.unwrap_err().reason, Reason::InconsistentPages);
}

#[tokio::test]
async fn a_list_of_which_no_row_can_be_read_is_malformed() {
    let body = r#"{"success": true, "result": [{"nothing": "known"}, 7]}"#;
    let set = Set::up(move |_| answer(200, body)).await;
    let reason = |error: cloudflare_origin_region_exporter::cloudflare::ApiError| error.reason;
    let (client, id) = (&set.client, &zone());
    for outcome in [
        client.list_mappings(id, &call()).await.map(drop),
        client.list_zones(&call()).await.map(drop),
        client.dns_records(id, &call()).await.map(drop),
        client.load_balancers(id, &call()).await.map(drop),
        client.load_balancer_pools("a", &call()).await.map(drop),
        client.page_rules(id, &call()).await.map(drop),
    ] {
        assert_eq!(outcome.map_err(reason), Err(Reason::Malformed));
    }
    let errors = r#"api_errors_total{account="main",operation="list_mappings",reason="malformed"}"#;
    assert_eq!(set.metric(errors), Some(1.0));
}
