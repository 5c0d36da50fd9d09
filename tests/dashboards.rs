//! Checks that the Grafana dashboards work in any Grafana: no fixed data source, the same variables
//! everywhere, and a description for every panel.

#![expect(clippy::panic, reason = "helpers panic if a file cannot be read")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

const DASHBOARDS: [&str; 3] = ["overview", "zone", "exporter"];

#[test]
fn every_dashboard_has_a_fixed_identity_and_leads_to_the_others() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);

        assert_eq!(dashboard["uid"], format!("origin-region-{name}"));
        assert!(dashboard["schemaVersion"].as_u64() >= Some(39), "{name}");
        assert!(
            list(&dashboard["tags"]).contains(&"origin-region".into()),
            "{name}"
        );
        let link = &list(&dashboard["links"])[0];
        assert_eq!(link["type"], "dashboards", "{name}");
        assert_eq!(link["tags"], serde_json::json!(["origin-region"]), "{name}");
    }
}

#[test]
fn every_dashboard_can_be_narrowed_by_variables() {
    for (name, expected) in [
        (
            "overview",
            &["datasource", "cluster", "job", "account", "zone"][..],
        ),
        (
            "zone",
            &[
                "datasource",
                "cluster",
                "job",
                "zone",
                "zone_id",
                "instance",
            ],
        ),
        ("exporter", &["datasource", "cluster", "job", "instance"]),
    ] {
        let dashboard = dashboard(name);
        let variables: Vec<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .map(|v| text(&v["name"]))
            .collect();

        assert_eq!(variables, expected, "{name}");
        for variable in list(&dashboard["templating"]["list"]).iter().skip(1) {
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{name}");
        }
    }
}

#[test]
fn every_panel_is_explained_and_asks_the_chosen_data_source() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for panel in panels(&dashboard) {
            let title = text(&panel["title"]);
            assert!(!title.is_empty(), "{name}");
            assert!(!text(&panel["description"]).is_empty(), "{name}: {title}");
            assert!(
                !text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(),
                "{name}: {title}"
            );
            assert!(!list(&panel["targets"]).is_empty(), "{name}: {title}");
            assert_eq!(
                panel["datasource"]["uid"], "${datasource}",
                "{name}: {title}"
            );
            for target in list(&panel["targets"]) {
                assert_eq!(
                    target["datasource"]["uid"], "${datasource}",
                    "{name}: {title}"
                );
                let expression = text(&target["expr"]);
                assert!(
                    !expression.contains("rate(") || expression.contains("[$__rate_interval]"),
                    "{name}: {title}: {expression}",
                );
            }
        }
    }
}

#[test]
fn every_panel_obeys_the_variables() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for panel in panels(&dashboard) {
            for target in list(&panel["targets"]) {
                let expression = text(&target["expr"]);
                let title = text(&panel["title"]);
                for variable in ["$job", "$cluster"] {
                    assert!(
                        expression.contains(variable),
                        "{name}: {title}: {expression}"
                    );
                }
                // Zones are selected by their id: names are not unique, and a dot in a regular
                // expression matches any character.
                assert!(
                    name != "zone" || expression.contains("zone_id=\"$zone_id\""),
                    "{name}: {title}: {expression}"
                );
            }
        }
    }
}

#[test]
fn what_is_not_known_is_grey_and_says_why() {
    for name in DASHBOARDS {
        let dashboard = dashboard(name);
        for panel in panels(&dashboard) {
            if panel["type"] != "stat" {
                continue;
            }
            let title = text(&panel["title"]);
            let mappings = list(&panel["fieldConfig"]["defaults"]["mappings"]);
            let nothing = mappings.iter().find(|m| m["type"] == "special");
            assert_eq!(
                nothing.expect("a value mapping for null")["options"]["result"]["color"],
                "#8e8e8e",
                "{name}: {title}"
            );
            // Queries return negative numbers as reasons.
            for reason in ["-1", "-2", "-3", "-4", "-5", "-6", "-7"] {
                let mapped = mappings.iter().any(|m| {
                    m["options"][reason]["color"] == "#8e8e8e" && m["options"][reason]["text"] != ""
                });
                assert!(mapped, "{name}: {title}: {reason}");
            }
        }
    }
}

#[test]
fn the_longest_address_is_not_cut() {
    // 39 characters of at most 8 pixels, plus the padding of the cell.
    const LEAST_WIDTH: u64 = 39 * 8 + 16;
    let dashboard = dashboard("zone");
    let tables: Vec<&Value> = panels(&dashboard)
        .into_iter()
        .filter(|panel| panel["type"] == "table" && panel.to_string().contains("origin_ip"))
        .collect();

    assert_eq!(tables.len(), 3);
    for panel in tables {
        let overrides = list(&panel["fieldConfig"]["overrides"]);
        let address = overrides
            .iter()
            .find(|o| o["matcher"]["options"] == "Address")
            .expect("an override for the addresses");
        let width = list(&address["properties"])
            .iter()
            .find(|property| property["id"] == "custom.width")
            .and_then(|property| property["value"].as_u64());
        assert!(width >= Some(LEAST_WIDTH), "{}: {width:?}", panel["title"]);
    }
}

/// The panels with data, including those in collapsed rows. Checks that their ids are unique.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in list(&dashboard["panels"]) {
        assert!(ids.insert(panel["id"].as_u64()), "an id is used twice");
        if panel["type"] == "row" {
            found.extend(list(&panel["panels"]));
        } else {
            found.push(panel);
        }
    }
    found
}

fn dashboard(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dashboards/{name}.json"));
    let contents = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&contents).expect("the file is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
