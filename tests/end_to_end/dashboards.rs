//! Every query of every dashboard is valid in a real Prometheus, and returns data if the demo has
//! any.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::exporter::Exporter;
use crate::support::prometheus::Prometheus;
use crate::support::{eventually, read, rules};

/// The built-in variables of Grafana, for a scrape interval of one second and a range of one hour.
const BUILT_IN: [(&str, &str); 3] = [
    ("$__rate_interval", "30s"),
    ("$__interval", "15s"),
    ("$__range", "1h"),
];

/// A query without data: the dashboard and panel, and a substring of the query.
type Empty = (&'static str, &'static str);

/// Queries without data in the demo with default settings.
const EMPTY_IN_DEMO: [Empty; 11] = [
    ("overview: Zones with findings", "finding=~\"unused\""),
    ("overview: Findings", "finding=~\"unused\""),
    ("overview: All zones", "finding=~\"unused\""),
    ("zone: Findings", "finding=\"unused\""),
    ("zone: Mappings", "unused_mapping"),
    ("exporter: Storage", "storage_size_bytes"),
    ("exporter: Storage errors", "storage_errors_total"),
    EMPTY_IN_USE[0],
    EMPTY_IN_USE[1],
    EMPTY_IN_USE[2],
    EMPTY_IN_USE[3],
];

/// Alerts about the exporter fire only if the machine is too slow for it.
const ALERTS_ABOUT_EXPORTERS: Empty = (
    "exporter: Firing alerts about exporters and accounts",
    "ALERTS",
);

/// Queries without data in the demo with storage and with unused mappings: its token does not
/// expire, no response is a 429, and it has no certificate.
const EMPTY_IN_USE: [Empty; 4] = [
    ALERTS_ABOUT_EXPORTERS,
    ("exporter: Accounts", "token_expiry_timestamp_seconds"),
    ("exporter: Accounts", "api_blocked_until_timestamp_seconds"),
    (
        "exporter: Versions",
        "web_certificate_not_after_timestamp_seconds",
    ),
];

/// A query of a dashboard.
struct Query {
    /// The dashboard and the panel or variable.
    place: String,
    expression: String,
    /// Whether it belongs to a panel.
    panel: bool,
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn every_query_is_valid_and_has_data_where_the_demo_has_any() {
    let directory = tempdir().unwrap();
    let exporter = Exporter::demo(directory.path()).await;
    let prometheus = watched(directory.path(), &exporter, "").await;
    have_data(&prometheus, &EMPTY_IN_DEMO).await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; run by scripts/test"]
async fn every_query_has_data_where_all_is_used_and_none_for_what_is_not_chosen() {
    let directory = tempdir().unwrap();
    let exporter = Exporter::demo_in_use(directory.path()).await;
    let prometheus = watched(directory.path(), &exporter, "one").await;
    have_data(&prometheus, &EMPTY_IN_USE).await;

    // A variable excludes everything that is not selected: the panel is empty, 0, or a reason,
    // which is negative.
    let ids = zones(&prometheus).await;
    let all = BTreeSet::from([".+".to_owned()]);
    for (name, variables, zones) in [
        (
            "overview",
            &["$job", "$cluster", "$account", "$zone"][..],
            &all,
        ),
        ("zone", &["$job", "$cluster"], &ids),
        ("zone", &["$zone_id"], &all),
        ("exporter", &["$job", "$cluster", "$instance"], &all),
    ] {
        for query in queries(name).iter().filter(|query| query.panel) {
            for (variable, zone) in variables
                .iter()
                .flat_map(|v| zones.iter().map(move |z| (v, z)))
            {
                let expression = query.expression.replace(variable, "none-such");
                let expression = fill_in(&expression, zone);
                let data = prometheus.query(&expression).await;
                assert!(
                    data.iter().all(|sample| sample.value <= 0.0),
                    "{} does not depend on {variable}: {expression}: {data:?}",
                    query.place
                );
            }
        }
    }
}

async fn watched(directory: &Path, exporter: &Exporter, cluster: &str) -> Prometheus {
    let exporters = [(exporter.address, cluster)];
    Prometheus::start(directory, &exporters, &rules::hurried(), None).await
}

/// The identifiers of all zones.
async fn zones(prometheus: &Prometheus) -> BTreeSet<String> {
    let zones = prometheus.query("cloudflare_origin_region_zone_info").await;
    let ids: BTreeSet<_> = zones.iter().map(|zone| zone.label("zone_id")).collect();
    assert!(ids.len() > 10, "{ids:?}");
    ids.into_iter().map(str::to_owned).collect()
}

/// Waits until all queries have data except these, which must have none.
async fn have_data(prometheus: &Prometheus, empty: &[Empty]) {
    let ids = zones(prometheus).await;
    let has_data = async |query: &Query| {
        for zone in &ids {
            let data = prometheus.query(&fill_in(&query.expression, zone)).await;
            if data.iter().any(|sample| !sample.value.is_nan()) {
                return true;
            }
        }
        false
    };
    // The zone dashboard shows a single zone, so each finding occurs only with some of the zones.
    let mut listed = Vec::new();
    for name in ["overview", "zone", "exporter"] {
        let queries = queries(name);
        assert!(queries.len() > 10, "{name}");
        for query in queries {
            if let Some(entry) = query.listed(empty) {
                listed.push((entry, query));
                continue;
            }
            let what = format!("data for {}, {}", query.place, query.expression);
            eventually(&what, async || {
                let found = has_data(&query).await;
                found
                    .then_some(())
                    .ok_or_else(|| "nothing for any zone".to_owned())
            })
            .await;
        }
    }
    let entries: BTreeSet<_> = listed.iter().map(|(entry, _)| *entry).collect();
    assert_eq!(entries, empty.iter().copied().collect(), "no such query");
    for (entry, query) in listed {
        if entry == ALERTS_ABOUT_EXPORTERS {
            continue;
        }
        assert!(
            !has_data(&query).await,
            "{} has data: {}",
            query.place,
            query.expression
        );
    }
}

impl Query {
    /// The entry of a list that matches this query.
    fn listed(&self, list: &[Empty]) -> Option<Empty> {
        let found = list
            .iter()
            .find(|(place, part)| self.place == *place && self.expression.contains(part));
        found.copied()
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
                panel: false,
            });
        }
    }
    let mut panels: Vec<_> = json["panels"].as_array().unwrap().iter().collect();
    while let Some(panel) = panels.pop() {
        // A collapsed row contains its panels.
        panels.extend(panel["panels"].as_array().into_iter().flatten());
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                place: format!("{dashboard}: {}", panel["title"].as_str().unwrap()),
                expression: target["expr"].as_str().unwrap().to_owned(),
                panel: true,
            });
        }
    }
    queries
}

/// Translates `label_values(selector, label)` of Grafana to `PromQL`.
fn label_values(query: &str) -> String {
    let arguments = query.strip_prefix("label_values(").unwrap();
    let arguments = arguments.strip_suffix(')').unwrap();
    let (selector, label) = arguments.rsplit_once(", ").unwrap();
    format!("group by ({label}) ({selector}) and group by ({label}) ({{{label}!=\"\"}})")
}

/// Replaces all variables in an expression.
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
