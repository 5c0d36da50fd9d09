//! Every query of every dashboard is valid on a real Prometheus, and has data where the demo has any.

use std::collections::BTreeSet;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::exporter::Exporter;
use crate::support::prometheus::Prometheus;
use crate::support::{eventually, read, rules};

/// Grafana's own variables at a scrape interval of a second and a range of an hour.
const BUILT_IN: [(&str, &str); 3] = [
    ("$__rate_interval", "30s"),
    ("$__interval", "15s"),
    ("$__range", "1h"),
];

/// Parts of queries that may have no data over the demo: nothing fails in it, and what it does not use
/// has no series.
const MAY_BE_EMPTY: [&str; 11] = [
    "audit_log",
    "blocked_until",
    "ALERTS",
    "certificate",
    "poll_errors_total",
    "api_errors_total",
    "prompted_polls",
    "storage_",
    "token_expiry",
    "unused",
    "offset",
];

/// Something that a dashboard asks for.
struct Query {
    /// The dashboard and the panel or variable.
    place: String,
    expression: String,
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn every_query_is_valid_and_has_data_where_the_demo_has_any() {
    let directory = tempdir().unwrap();
    let exporter = Exporter::demo(directory.path()).await;
    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        None,
    )
    .await;
    let zones = prometheus.query("cloudflare_origin_region_zone_info").await;
    let ids: BTreeSet<_> = zones.iter().map(|zone| zone.label("zone_id")).collect();
    assert!(ids.len() > 10, "{ids:?}");

    // All zones at once, except on the dashboard of a single zone. No zone has every finding, so
    // there it is enough that a panel shows something for one of them.
    let all = BTreeSet::from([".+"]);
    for (name, zones) in [("overview", &all), ("zone", &ids), ("exporter", &all)] {
        let queries = queries(name);
        assert!(queries.len() > 10, "{name}");
        for query in queries {
            if let Some(zone) = zones.iter().next()
                && MAY_BE_EMPTY
                    .iter()
                    .any(|part| query.expression.contains(part))
            {
                // It is valid all the same.
                prometheus.query(&fill_in(&query.expression, zone)).await;
                continue;
            }
            let what = format!("data for {}, {}", query.place, query.expression);
            eventually(&what, async || {
                for zone in zones {
                    let expression = fill_in(&query.expression, zone);
                    let data = prometheus.query(&expression).await;
                    if data.iter().any(|sample| !sample.value.is_nan()) {
                        return Ok(());
                    }
                }
                Err("nothing for any zone".to_owned())
            })
            .await;
        }
    }
}

/// The expressions of a dashboard's panels and variables.
fn queries(dashboard: &str) -> Vec<Query> {
    let json: Value = serde_json::from_str(&read(&format!("dashboards/{dashboard}.json"))).unwrap();
    let mut queries = Vec::new();
    for variable in json["templating"]["list"].as_array().unwrap() {
        if variable["type"] == "query" {
            let query = variable["query"]["query"].as_str().unwrap();
            if variable["name"] == "cluster" {
                continue;
            }
            queries.push(Query {
                place: format!("{dashboard}: ${}", variable["name"].as_str().unwrap()),
                expression: label_values(query),
            });
        }
    }
    let mut panels: Vec<_> = json["panels"].as_array().unwrap().iter().collect();
    while let Some(panel) = panels.pop() {
        // A collapsed row holds its panels.
        panels.extend(panel["panels"].as_array().into_iter().flatten());
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                place: format!("{dashboard}: {}", panel["title"].as_str().unwrap()),
                expression: target["expr"].as_str().unwrap().to_owned(),
            });
        }
    }
    queries
}

/// Grafana's `label_values(selector, label)` in Prometheus' own language.
fn label_values(query: &str) -> String {
    let arguments = query.strip_prefix("label_values(").unwrap();
    let arguments = arguments.strip_suffix(')').unwrap();
    let (selector, label) = arguments.rsplit_once(", ").unwrap();
    format!("group by ({label}) ({selector}) and group by ({label}) ({{{label}!=\"\"}})")
}

/// The expression with every variable's value in its place.
fn fill_in(expression: &str, zone: &str) -> String {
    let mut filled = expression.to_owned();
    for (name, value) in BUILT_IN.into_iter().chain([
        ("$job", "origin-region-exporter"),
        ("$cluster", ".*"),
        ("$account", ".*"),
        ("$instance", ".*"),
        ("$zone_id", zone),
        ("zone=\"$zone\"", "zone!=\"\""),
        ("$zone", ".*"),
    ]) {
        filled = filled.replace(name, value);
    }
    assert!(!filled.contains('$'), "an unknown variable in {filled}");
    filled
}
