//! Checks that the alerts, their runbooks and their documentation agree. `scripts/check-rules`
//! checks that the rules are valid and fire as intended.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers panic if a file is not as expected"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cloudflare_origin_region_exporter::metric_families::{self, Kind};
use config::{Config, File, FileFormat};
use serde_json::Value;

const PREFIX: &str = "cloudflare_origin_region_";

#[test]
fn every_alert_has_a_severity_texts_and_links() {
    for alert in alerts() {
        let name = text(&alert["alert"]);
        let annotation = |key: &str| text(&alert["annotations"][key]);

        assert!(name.starts_with("OriginRegion"), "{name}");
        let severity = text(&alert["labels"]["severity"]);
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}: {severity}"
        );
        let summary = annotation("summary");
        assert!(
            !summary.is_empty() && !summary.contains("{{"),
            "{name}: {summary}"
        );
        assert!(!annotation("description").is_empty(), "{name}");
        assert!(
            annotation("dashboard_url").contains("/d/origin-region-"),
            "{name}"
        );
        let (_, anchor) = annotation("runbook_url")
            .split_once("/deploy/runbooks.md#")
            .unwrap_or_else(|| panic!("{name}: no section of the runbooks"));
        assert_eq!(anchor, anchor_of(name));
    }
}

#[test]
fn every_alert_has_a_whole_runbook_and_every_runbook_an_alert() {
    let runbooks = read("deploy/runbooks.md");
    let sections: BTreeMap<&str, &str> = runbooks
        .split("\n## ")
        .skip(1)
        .map(|section| section.split_once('\n').expect("a section has a body"))
        .collect();

    assert_eq!(
        sections
            .keys()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        names()
    );
    for (name, body) in sections {
        for part in [
            "**Meaning.**",
            "**Impact.**",
            "**Diagnosis.**",
            "**Mitigation.**",
        ] {
            assert!(body.contains(part), "{name} lacks {part}");
        }
    }
}

#[test]
fn every_alert_is_listed_with_its_severity_and_nothing_else_is() {
    let page = read("docs/alerts.md");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| [OriginRegion"))
        .collect();

    assert_eq!(listed.len(), names().len());
    for alert in alerts() {
        let name = text(&alert["alert"]);
        let row = format!(
            "| [{name}](../deploy/runbooks.md#{}) | {} | ",
            anchor_of(name),
            text(&alert["labels"]["severity"]),
        );
        assert!(
            listed.iter().any(|line| line.starts_with(&row)),
            "no row {row}"
        );
    }
}

#[test]
fn rules_runbooks_and_dashboards_speak_only_of_metrics_that_exist() {
    let recorded: BTreeSet<String> = rules()
        .iter()
        .filter_map(|rule| rule.get("record"))
        .map(|name| text(name).to_owned())
        .collect();
    for path in [
        "deploy/prometheus/rules.yaml",
        "deploy/runbooks.md",
        "dashboards/overview.json",
        "dashboards/zone.json",
        "dashboards/exporter.json",
    ] {
        let contents = read(path);
        let words = contents
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            .filter(|word| word.contains(PREFIX));
        for word in words {
            assert!(recorded.contains(word) || is_family(word), "{path}: {word}");
        }
    }
}

/// Whether the exporter has a family for this series. Histogram series have a suffix.
fn is_family(series: &str) -> bool {
    let suffixes: &[&str] = &["_bucket", "_count", "_sum"];
    metric_families::all().any(|family| match family.kind {
        Kind::Histogram => series
            .strip_prefix(family.name)
            .is_some_and(|suffix| suffixes.contains(&suffix)),
        Kind::Counter | Kind::Gauge => series == family.name,
    })
}

/// The anchor on GitHub of a heading with one word.
fn anchor_of(heading: &str) -> String {
    heading.to_lowercase()
}

fn names() -> BTreeSet<String> {
    alerts()
        .iter()
        .map(|alert| text(&alert["alert"]).to_owned())
        .collect()
}

fn alerts() -> Vec<Value> {
    rules()
        .into_iter()
        .filter(|rule| rule.get("alert").is_some())
        .collect()
}

fn rules() -> Vec<Value> {
    let file = yaml("deploy/prometheus/rules.yaml");
    list(&file["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .cloned()
        .collect()
}

/// The elements of a list; none if there is no list.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn yaml(path: impl AsRef<Path>) -> Value {
    Config::builder()
        .add_source(File::from_str(&read(path), FileFormat::Yaml))
        .build()
        .and_then(Config::try_deserialize)
        .expect("the file is YAML")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
