//! `plan`

use std::process::Stdio;

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{PATIENCE, Setup, TOKEN, command, world};

const EXPECT: &str = "expect:\n\
                      \x20 zones:\n\
                      \x20   a.test:\n\
                      \x20     - { origin_ip: 192.0.2.1, vendor: aws, region: eu-west-1 }\n\
                      \x20     - { origin_ip: 192.0.2.7, vendor: gcp, region: us-central1 }\n\
                      mappings: { stale_after: never }\n";

async fn setup() -> Setup {
    Setup::new(world(), EXPECT).await
}

/// The output of `plan --format=curl`, which contains the name of the header with the token.
async fn script(setup: &Setup) -> String {
    let file = setup.file();
    let words = [
        "--config.file".as_ref(),
        file.as_os_str(),
        "plan".as_ref(),
        "--format=curl".as_ref(),
    ];
    let output = timeout(PATIENCE, command(&words).output()).await;
    let script = String::from_utf8(output.unwrap().unwrap().stdout).unwrap();
    assert!(!script.contains(TOKEN));
    script
}

#[tokio::test]
async fn it_lists_what_would_mend_the_findings() {
    let setup = setup().await;
    let ended = setup.run(&["plan"]).await;
    ended.code(1).prints(&[
        "192.0.2.1",
        "aws eu-west-1",
        "wrong by declared: mapped to aws us-east-1",
        "192.0.2.7",
        "missing: expected by config",
    ]);
    let ended = setup.run(&["plan", "a.test", "--format=json"]).await;
    let plan: Value = serde_json::from_str(&ended.code(1).out).unwrap();
    let zone = &plan["zones"][0];
    assert_eq!(zone["zone"], "a.test");
    assert_eq!(
        zone["put"],
        json!([
            {"origin_ip": "192.0.2.1", "vendor": "aws", "region": "eu-west-1",
             "because": "wrong by declared: mapped to aws us-east-1"},
            {"origin_ip": "192.0.2.7", "vendor": "gcp", "region": "us-central1",
             "because": "missing: expected by config"},
        ])
    );
    assert_eq!(
        (&zone["delete"], &zone["undecided"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn its_terraform_configuration_parses() {
    let setup = setup().await;
    let ended = setup.run(&["plan", "--format=terraform"]).await;
    let body: Value = hcl::from_str(&ended.code(1).out).unwrap();
    let zone = &body["resource"]["cloudflare_origin_cloud_region"]["zone_a_test"];
    assert_eq!(zone["for_each"]["192.0.2.7"]["vendor"], "gcp");
    assert_eq!(zone["for_each"]["192.0.2.1"]["region"], "eu-west-1");
    // Only the existing mapping is imported.
    let id = body["import"]["id"].as_str().unwrap();
    assert!(id.ends_with("/192.0.2.1"), "{id}");
}

#[tokio::test]
async fn its_commands_mend_what_it_named() {
    let setup = setup().await;
    let script = script(&setup).await;
    let shell = Command::new("sh")
        .args(["-c", &script])
        .env("CLOUDFLARE_API_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, shell).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}\n{script}");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("\"succeeded\""), "{answer}");
    let ended = setup.run(&["plan"]).await;
    ended.code(0).prints(&["Nothing to fix."]);
}

#[tokio::test]
async fn a_zone_without_findings_has_an_empty_plan() {
    let setup = setup().await;
    setup.run(&["plan", "b.test"]).await.code(0);
    setup.run(&["plan", "B.test", "a.test"]).await.code(1);
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_plan_uncertain() {
    let setup = setup().await;
    let ended = setup.run(&["plan", "c.test"]).await;
    ended.code(2).complains(&["no account has a zone c.test"]);
    let failure = Fault::new(FaultKind::Status(403, None)).on(Operation::ListMappings);
    setup.api.add_fault(failure.zone("b.test"));
    let ended = setup.run(&["plan"]).await;
    // The plan for the other zones is still printed.
    ended
        .code(2)
        .prints(&["192.0.2.7"])
        .complains(&["zone b.test"]);
    setup.run(&["plan", "a.test"]).await.code(1);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_leaves_an_empty_plan_uncertain() {
    let more = "expect: { from_dns: true }\nmappings: { stale_after: never }\n";
    let setup = Setup::new(world(), more).await;
    setup.run(&["plan"]).await.code(0);
    let failure = Fault::new(FaultKind::Status(403, None)).on(Operation::DnsRecords);
    setup.api.add_fault(failure.zone("b.test"));
    let ended = setup.run(&["plan"]).await;
    ended
        .code(2)
        .prints(&["Nothing to fix in what could be read."])
        .complains(&["zone b.test: some sources of its origins could not be read"]);
    setup.run(&["plan", "a.test"]).await.code(0);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_leaves_it_open_what_is_unused() {
    let more = "expect: { from_dns: true, from_load_balancers: true, from_rules: true }\n\
                mappings: { stale_after: never }\n";
    let setup = Setup::new(world(), more).await;
    let failure = Fault::new(FaultKind::Status(403, None)).on(Operation::PageRules);
    setup.api.add_fault(failure.zone("a.test"));
    setup.run(&["plan", "a.test"]).await.code(0);
    let ended = setup.run(&["plan", "a.test", "--prune"]).await;
    ended.code(2).complains(&["zone a.test: some sources"]);
}

#[tokio::test]
async fn once_can_leave_out_what_is_in_order() {
    let setup = setup().await;
    let ended = setup.run(&["once", "--format=json", "--findings"]).await;
    let report: Value = serde_json::from_str(&ended.code(0).out).unwrap();
    let column = |list: &str, name: &str| -> Vec<String> {
        let rows = report[list].as_array().unwrap().iter();
        rows.map(|row| row[name].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(column("zones", "zone"), ["a.test"]);
    assert_eq!(column("mappings", "origin_ip"), ["192.0.2.1"]);
    assert_eq!(column("findings", "finding"), ["missing", "wrong"]);
    let ended = setup.run(&["once", "--format=json"]).await;
    let report: Value = serde_json::from_str(&ended.code(0).out).unwrap();
    assert_eq!(report["zones"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn once_leaves_out_the_series_of_what_is_in_order_too() {
    let mut world = world().zone("good.test", [("192.0.2.5", "aws", "us-east-1")]);
    // Idle mappings are the only finding here.
    let zone = world.zone_mut("b.test");
    zone.tiered_cache = false;
    zone.map("192.0.2.9", "aws", "us-east-1", None);
    let setup = Setup::new(world, EXPECT).await;
    let all = setup.run(&["once"]).await;
    all.code(0).prints(&["zone=\"good.test\"", "2001:db8::1"]);
    let findings = setup.run(&["once", "--findings"]).await;
    findings.code(0).prints(&[
        "missing_mapping{zone=\"a.test\"",
        "origin_ip=\"192.0.2.1\"",
        "zone_mappings{zone=\"b.test\"",
        "exporter_build_info{",
    ]);
    for left_out in ["good.test", "2001:db8::1", "192.0.2.9"] {
        assert!(!findings.out.contains(left_out), "{}", findings.out);
    }
    let table = setup.run(&["once", "--findings", "--format=table"]).await;
    table.code(0).prints(&["b.test", "idle"]);
    assert!(!table.out.contains("good.test"), "{}", table.out);
}
