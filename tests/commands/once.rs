//! `once`

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, Operation, RetryAfter, World,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::strict::families;
use crate::support::{Setup, TOKEN, world};

const EXPECT: &str = "expect:\n\
                      \x20 zones:\n\
                      \x20   a.test:\n\
                      \x20     - { origin_ip: 192.0.2.1, vendor: aws, region: eu-west-1 }\n\
                      \x20     - { origin_ip: 192.0.2.7, vendor: gcp, region: us-central1 }\n\
                      mappings: { stale_after: 1h }\n";

async fn setup_with_findings() -> Setup {
    Setup::new(world(), EXPECT).await
}

fn forbid(setup: &Setup, zone: &str) {
    let kind = FaultKind::ApiError(
        403,
        9109,
        "Unauthorized to access requested resource".to_owned(),
    );
    let fault = Fault::new(kind).on(Operation::ListMappings);
    setup.api.add_fault(fault.zone(zone));
}

#[tokio::test]
async fn the_exposition_is_strictly_the_format_and_clashes_with_no_other() {
    let setup = setup_with_findings().await;
    let ended = setup.run(&["once"]).await;
    let families = families(&ended.code(0).out);
    for name in families.keys() {
        assert!(name.starts_with("cloudflare_origin_region_"), "{name}");
        assert!(!name.contains("_http_"), "{name}");
    }
    for (name, series) in [
        ("mapping_info", 2),
        ("zone_up", 2),
        ("missing_mapping", 1),
        ("wrong_mapping", 1),
        ("stale_mappings", 2),
        ("tiered_cache_enabled", 2),
        ("exporter_build_info", 1),
    ] {
        let name = format!("cloudflare_origin_region_{name}");
        assert_eq!(families[&name].1, series, "{name}");
    }
}

#[tokio::test]
async fn the_table_is_for_people() {
    let setup = setup_with_findings().await;
    let ended = setup.run(&["once", "--format=table"]).await;
    ended
        .code(0)
        .prints(&["ZONE", "MAPPINGS", "Findings", "missing", "wrong", "stale"]);
    let lines: Vec<&str> = ended.out.lines().collect();
    let line = |words: &[&str]| {
        let found = lines
            .iter()
            .find(|line| words.iter().all(|word| line.contains(word)));
        assert!(found.is_some(), "{words:?} in\n{}", ended.out);
    };
    line(&[
        "a.test",
        "192.0.2.7",
        "missing",
        "config",
        "gcp us-central1",
    ]);
    line(&[
        "a.test",
        "192.0.2.1",
        "wrong",
        "declared",
        "aws us-east-1",
        "aws eu-west-1",
    ]);
    line(&["a.test", "2001:db8::1", "stale"]);
    assert!(lines.iter().all(|line| line.trim_end() == *line));
}

#[tokio::test]
async fn the_json_has_the_labels_names_and_instants_of_rfc_3339() {
    let setup = setup_with_findings().await;
    let ended = setup.run(&["once", "--format", "json"]).await;
    let report: Value = serde_json::from_str(&ended.code(0).out).unwrap();
    assert_eq!(report["zones"].as_array().unwrap().len(), 2);
    let zone = &report["zones"][0];
    assert_eq!(
        (zone["zone"].as_str(), zone["up"].as_bool()),
        (Some("a.test"), Some(true))
    );
    assert_eq!(
        (zone["missing"].as_u64(), zone["wrong"].as_u64()),
        (Some(1), Some(1))
    );
    let mapping = &report["mappings"][0];
    assert_eq!(mapping["origin_ip"], "192.0.2.1");
    for instant in [
        &mapping["modified_on"],
        &zone["last_poll"],
        &zone["last_success"],
    ] {
        let text = instant.as_str().unwrap();
        assert!(
            text.parse::<Timestamp>().is_ok() && text.ends_with('Z'),
            "{text}"
        );
    }
    let findings = report["findings"].as_array().unwrap();
    let missing = findings
        .iter()
        .find(|row| row["finding"] == "missing")
        .unwrap();
    assert_eq!(missing["expected_region"], "us-central1");
    assert_eq!(report["errors"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a_zone_that_cannot_be_read_is_one_and_the_rest_is_printed() {
    let setup = Setup::new(world(), "").await;
    forbid(&setup, "b.test");
    let ended = setup.run(&["once", "--format=table"]).await;
    ended.code(1).prints(&["192.0.2.1", "b.test", "403"]);
    let ended = setup.run(&["once"]).await;
    ended.code(1).prints(&[
        "cloudflare_origin_region_zone_up{zone=\"b.test\"",
        "cloudflare_origin_region_mapping_info{zone=\"a.test\"",
    ]);
    families(&ended.out);
}

#[tokio::test]
async fn a_listing_that_fails_is_three_and_says_why() {
    let setup = Setup::new(world(), "poll: { retries: 0 }\n").await;
    setup.api.update(|world| world.credentials.clear());
    let ended = setup.run(&["once", "--format=table"]).await;
    ended.code(3).prints(&["main", "401"]);
    let ended = setup.run(&["once", "--format=json"]).await;
    let report: Value = serde_json::from_str(&ended.code(3).out).unwrap();
    assert_eq!(report["errors"][0]["account"], "main");

    let file = setup.folder.path().join("origins.prom");
    fs::write(&file, "old\n").unwrap();
    let ended = setup
        .run(&["once", "--output", file.to_str().unwrap()])
        .await;
    ended.code(3).complains(&["account main"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "old\n");
    let ended = setup.run(&["once", "--output", "-"]).await;
    families(&ended.code(3).out);
}

/// The addresses of the missing origins.
fn missing(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    let missing = findings.filter(|row| row["finding"] == "missing");
    missing
        .map(|row| row["origin_ip"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_origin_that_is_not_in_a_complete_list_is_missing_although_no_lookup_confirms_it() {
    let config = "expect:\n\
                  \x20 zones:\n\
                  \x20   a.test: [{ origin_ip: 192.0.2.7 }]\n\
                  \x20   b.test: [{ origin_ip: 192.0.2.7 }]\n";
    let setup = Setup::new(world(), config).await;
    // The second poll receives a 429, so no lookups follow.
    let fault = Fault::new(FaultKind::TooManyRequests(RetryAfter::Seconds(2)));
    setup
        .api
        .add_fault(fault.on(Operation::ListMappings).after(1));
    let ended = setup.run(&["once", "--format=json"]).await;
    let report: Value = serde_json::from_str(&ended.code(1).out).unwrap();
    let zones = report["zones"].as_array().unwrap().iter();
    assert_eq!(zones.filter(|zone| zone["up"] == true).count(), 1);
    assert_eq!(missing(&report), ["192.0.2.7"]);
    assert_eq!(setup.api.count(Operation::GetMapping), 0);
}

#[tokio::test]
async fn an_origin_whose_mapping_may_be_an_unreadable_row_is_missing_only_by_a_lookup() {
    let config = "expect:\n\
                  \x20 zones:\n\
                  \x20   a.test: [{ origin_ip: 192.0.2.7 }, { origin_ip: 2001:db8::1 }]\n\
                  poll: { retries: 0 }\n";
    let setup = Setup::new(world(), config).await;
    // The invalid row replaces the mapping of 2001:db8::1.
    let bad_row = Fault::new(FaultKind::BadRow(Value::Null)).zone("a.test");
    setup.api.add_fault(bad_row.on(Operation::ListMappings));
    let ended = setup.run(&["once", "--format=json"]).await;
    let report: Value = serde_json::from_str(&ended.code(0).out).unwrap();
    assert_eq!(missing(&report), ["192.0.2.7"]);
    let broken = Fault::new(FaultKind::Html).on(Operation::GetMapping);
    setup.api.add_fault(broken);
    let ended = setup.run(&["once", "--format=json"]).await;
    let report: Value = serde_json::from_str(&ended.code(0).out).unwrap();
    assert_eq!(missing(&report), [""; 0]);
}

#[tokio::test]
async fn a_file_is_replaced_in_one_step_and_stays_where_that_fails() {
    let setup = setup_with_findings().await;
    let folder = setup.folder.path().join("textfile");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("origins.prom");
    fs::write(&file, "old\n").unwrap();
    let words = ["once", "--output", file.to_str().unwrap()];
    let ended = setup.run(&words).await;
    assert_eq!(ended.code(0).out, "");
    let written = families(&fs::read_to_string(&file).unwrap());
    assert!(written.contains_key("cloudflare_origin_region_zone_up"));
    assert!(!written.contains_key("cloudflare_origin_region_exporter_build_info"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o444, 0o444, "readable by all: {mode:o}");

    // A folder cannot be replaced with a file.
    let taken = folder.join("taken.prom");
    fs::create_dir(&taken).unwrap();
    let ended = setup
        .run(&["once", "--output", taken.to_str().unwrap()])
        .await;
    ended.code(3).complains(&["taken.prom"]);
    let missing = folder.join("no").join("origins.prom");
    let ended = setup
        .run(&["once", "--output", missing.to_str().unwrap()])
        .await;
    ended.code(3).complains(&["origins.prom"]);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        2,
        "no temporary file remains"
    );
}

#[tokio::test]
async fn zones_that_an_earlier_account_lists_late_are_polled_once_and_it_ends() {
    const ZONES: usize = 60;
    let mut world = World::generate(TOKEN, ZONES, 1, 1)
        .credential(Credential::user_token("late", "late-token-of-the-commands"));
    world.latency = Duration::from_millis(30);
    let setup = Setup::new(world, "").await;
    let late = Fault::new(FaultKind::Delay(Duration::from_millis(400)));
    setup
        .api
        .add_fault(late.on(Operation::ListZones).credential("late"));
    let accounts = format!(
        r#"[{{"name": "first", "api_token": "late-token-of-the-commands"}},
            {{"name": "second", "api_token": "{TOKEN}"}}]"#
    );
    let variables = [
        ("ORIGIN_REGION_EXPORTER__ACCOUNTS", accounts.as_str()),
        ("ORIGIN_REGION_EXPORTER__POLL__CONCURRENCY", "1"),
    ];
    let ended = setup.run_in(&variables, &["once"]).await;
    let families = families(&ended.code(0).out);
    assert_eq!(families["cloudflare_origin_region_zone_up"].1, ZONES);
    assert!(ended.out.contains(r#"account="first""#));
}
