//! Lists, and the number of requests that reading them takes.

use cloudflare_origin_region_exporter::cloudflare::Reason;
use cloudflare_origin_region_exporter::domain::OriginIp;

use crate::support::{Set, answer, call, error, mapping, page, zone};

#[tokio::test]
async fn the_documented_list_is_read_with_the_token() {
    let body = include_str!("../data/cloudflare/list-two.json");
    let set = Set::up(move |_| answer(200, body)).await;
    let client = set.client.clone();
    let list = tokio::spawn(async move { client.list_mappings(&zone(), &call()).await });
    assert_eq!(list.await.unwrap().unwrap().rows.len(), 2);
    let seen = set.server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].target,
        "/client/v4/zones/z1/origin/cloud_regions?page=1&per_page=100"
    );
    assert_eq!(
        seen[0].header("authorization"),
        Some("Bearer very-secret-token")
    );
    assert_eq!(
        set.metric(r#"api_requests_total{account="main",code="200",operation="list_mappings"}"#),
        Some(1.0)
    );
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(1.0));
}

#[tokio::test]
async fn the_fewest_requests_read_a_full_zone_and_many_zones() {
    let set = Set::up(|seen| {
        answer(
            200,
            &if seen.target.contains("cloud_regions") {
                page(seen, 3500, mapping)
            } else {
                page(seen, 101, |n| {
                    format!(r#"{{"id":"z{n}","name":"z{n}.example"}}"#)
                })
            },
        )
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.rows.len(), 3500);
    assert_eq!(set.server.seen().len(), 35);
    assert_eq!(
        set.client.list_zones(&call()).await.unwrap().rows.len(),
        101
    );
    assert_eq!(set.server.seen().len(), 35 + 3);
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_is_read_again() {
    let mut requests = 0;
    let set = Set::up(move |seen| {
        requests += 1;
        // The list grows before the second page of the first walk.
        answer(
            200,
            &page(seen, if requests == 2 { 151 } else { 150 }, mapping),
        )
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.rows.len(), 150);
    assert_eq!(set.server.seen().len(), 4);
}

#[tokio::test]
async fn rows_that_contradict_each_other_are_an_error_after_the_second_reading() {
    let set = Set::up(|_| {
        answer(
            200,
            r#"{"success":true,"result":[
                {"origin_ip":"::ffff:192.0.2.1","vendor":"aws","region":"a"},
                {"origin_ip":"192.0.2.1","vendor":"aws","region":"b"}]}"#,
        )
    })
    .await;
    let error = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::InconsistentPages);
    assert_eq!(set.server.seen().len(), 2);
    let errors =
        r#"api_errors_total{account="main",operation="list_mappings",reason="inconsistent_pages"}"#;
    assert_eq!(set.metric(errors), Some(2.0));
}

#[tokio::test]
async fn one_mapping_is_found_or_not_there_or_unknown() {
    let set = Set::up(|seen| match seen.target.rsplit('/').next() {
        Some("192.0.2.1") => answer(200, include_str!("../data/cloudflare/get-one.json")),
        Some("2001:db8::1") => answer(404, include_str!("../data/cloudflare/get-not-found.json")),
        _ => answer(404, "<html>"),
    })
    .await;
    let get = async |ip: &str| {
        let ip = OriginIp::parse(ip).unwrap();
        set.client.get_mapping(&zone(), ip, &call()).await
    };
    let found = get("::ffff:192.0.2.1").await.unwrap().unwrap();
    assert_eq!(found.region.as_str(), "us-east-1");
    assert_eq!(get("2001:DB8::1").await.unwrap(), None);
    assert_eq!(get("192.0.2.9").await.unwrap_err().reason, Reason::NotFound);
    let errors = r#"api_errors_total{account="main",operation="get_mapping",reason="not_found"}"#;
    assert_eq!(set.metric(errors), None);
}

#[tokio::test]
async fn a_mapping_of_another_address_than_the_one_asked_for_is_not_believed() {
    let body = include_str!("../data/cloudflare/get-one.json");
    let set = Set::up(move |_| answer(200, body)).await;
    let get = async |ip: &str| {
        let ip = OriginIp::parse(ip).unwrap();
        set.client.get_mapping(&zone(), ip, &call()).await
    };
    assert!(get("192.0.2.1").await.unwrap().is_some());
    let error = get("192.0.2.2").await.unwrap_err();
    assert_eq!(error.reason, Reason::Malformed);
    assert!(error.detail.contains("192.0.2.1"), "{error}");
}

#[tokio::test]
async fn expected_refusals_are_no_errors() {
    let set = Set::up(|seen| {
        if seen.target.ends_with("supported_regions") {
            error(400, 1135)
        } else {
            error(404, 1142)
        }
    })
    .await;
    assert_eq!(
        set.client.supported_regions(&zone(), &call()).await,
        Ok(None)
    );
    assert_eq!(
        set.client.smart_tiered_cache(&zone(), &call()).await,
        Ok(false)
    );
    let errors = set.client.tiered_cache(&zone(), &call()).await.unwrap_err();
    assert_eq!(errors.reason, Reason::NotFound);
    for (operation, reason, count) in [
        ("supported_regions", "client_error", None),
        ("smart_tiered_cache", "not_found", None),
        ("tiered_cache", "not_found", Some(1.0)),
    ] {
        let series = format!(
            r#"api_errors_total{{account="main",operation="{operation}",reason="{reason}"}}"#
        );
        assert_eq!(set.metric(&series), count, "{operation}");
    }
}
