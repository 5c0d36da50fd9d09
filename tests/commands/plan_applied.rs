//! Plans for random worlds, applied to the simulated API: with the printed curl commands, and by
//! interpreting the Terraform configuration.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use cloudflare_origin_region_exporter::domain::{OriginIp, ZoneMappings};
use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::zone_id_of;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use crate::plan_worlds::{Case, K, Kind, ZONES, worlds};
use crate::support::{PATIENCE, TOKEN};

/// Applies the printed commands with a shell and curl.
async fn by_curl(case: &Case) {
    let script = case.output(&["plan", "--prune", "--format=curl"]).await;
    assert!(!script.contains(TOKEN));
    let shell = Command::new("sh")
        .args(["-c", &script])
        .env("CLOUDFLARE_API_TOKEN", TOKEN)
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, shell).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}\n{script}");
    for answer in String::from_utf8(output.stdout).unwrap().lines() {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["result"]["failed"], json!([]), "{answer}");
    }
}

/// Applies the Terraform configuration like Terraform: existing mappings must be imported, and each
/// element of `for_each` is a mapping.
async fn by_terraform(case: &Case, before: &BTreeMap<String, ZoneMappings>) {
    let text = case
        .output(&["plan", "--prune", "--format=terraform"])
        .await;
    let body: hcl::Body = hcl::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let blocks = |name: &'static str| {
        let blocks = body
            .blocks()
            .filter(move |block| block.identifier() == name);
        blocks.map(|block| {
            let attributes = block.body().attributes();
            let attributes =
                attributes.map(|attribute| (attribute.key().to_owned(), attribute.expr().clone()));
            let labels: Vec<_> = block
                .labels()
                .iter()
                .map(|l| l.as_str().to_owned())
                .collect();
            (labels, attributes.collect::<BTreeMap<_, _>>())
        })
    };
    let string = |expression: &hcl::Expression| match expression {
        hcl::Expression::String(text) => text.clone(),
        other => panic!("{other} is not a string"),
    };
    let mut imports: BTreeSet<String> = blocks("import")
        .map(|(_, import)| string(&import["id"]))
        .collect();
    let client = http_client::client_builder(None).unwrap().build().unwrap();
    for (labels, resource) in blocks("resource") {
        assert_eq!(labels[0], "cloudflare_origin_cloud_region");
        for (key, value) in [
            ("origin_ip", "each.key"),
            ("vendor", "each.value.vendor"),
            ("region", "each.value.region"),
        ] {
            assert_eq!(resource[key].to_string(), value);
        }
        let zone = string(&resource["zone_id"]);
        let hcl::Expression::Object(each) = &resource["for_each"] else {
            panic!("for_each is not an object: {text}");
        };
        for (ip, place) in each {
            let ip = match ip {
                hcl::ObjectKey::Expression(ip) => string(ip),
                hcl::ObjectKey::Identifier(ip) => panic!("{ip} is not quoted"),
                other => panic!("{other}"),
            };
            let hcl::Expression::Object(place) = place else {
                panic!("{place} is not an object");
            };
            let of =
                |key: &str| string(&place[&hcl::ObjectKey::from(hcl::Identifier::sanitized(key))]);
            let exists = before[&zone].get(OriginIp::parse(&ip).unwrap()).is_some();
            let is_imported = imports.remove(&format!("{zone}/{ip}"));
            assert_eq!(is_imported, exists, "{zone}/{ip}");
            let url = format!(
                "{}/zones/{zone}/origin/cloud_regions/{ip}",
                case.setup.api.base_url()
            );
            let body = json!({"origin_ip": ip, "vendor": of("vendor"), "region": of("region")});
            let request = client.put(url).bearer_auth(TOKEN).body(body.to_string());
            request.send().await.unwrap().error_for_status().unwrap();
        }
    }
    assert!(imports.is_empty(), "{imports:?}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Curl,
    Terraform,
}

async fn check(origins: &[Vec<Kind>; 2], idle: bool, means: Means) {
    let case = Case::new(origins, idle).await;
    let before = case.mappings();
    let planned = case.plan().await;
    // Each kind of origin leads to the expected part of the plan.
    for (zone, kinds) in ZONES.iter().zip(origins) {
        let plan = &planned[zone_id_of(zone).as_str()];
        let count = |wanted: &[Kind]| kinds.iter().filter(|kind| wanted.contains(kind)).count();
        let to_put = count(&[
            K::Missing,
            K::MissingDeclared,
            K::MissingByHost,
            K::WrongByRanges,
            K::WrongVendor,
            K::WrongDeclared,
            K::WrongByHost,
            K::NotSupported,
            K::StaleAndWrong,
        ]);
        let supported = zone != &ZONES[1] || !idle;
        // Each zone also has one declared origin.
        assert!(plan.put.len() <= to_put + 1, "{plan:?}");
        assert!(
            plan.put.len() + count(&[K::NotSupported]) > to_put,
            "{plan:?}"
        );
        if supported {
            assert_eq!(plan.put.len(), to_put + 1, "{plan:?}");
        }
        assert_eq!(plan.delete.len(), count(&[K::Unused]), "{plan:?}");
        let has = |word: &str| {
            plan.undecided
                .iter()
                .filter(|row| row.1.starts_with(word))
                .count()
        };
        assert_eq!(has("stale"), count(&[K::Stale]), "{plan:?}");
        assert_eq!(has("missing"), count(&[K::MissingSomewhere]), "{plan:?}");
        assert_eq!(has("rotating"), count(&[K::Rotating]), "{plan:?}");
        assert_eq!(has("idle"), usize::from(!supported), "{plan:?}");
    }
    match means {
        Means::Curl => by_curl(&case).await,
        Means::Terraform => by_terraform(&case, &before).await,
    }
    let left = case.plan().await;
    let findings = case.findings().await;
    let after = case.mappings();
    for (zone, plan) in &planned {
        assert_eq!(left[zone].put, BTreeMap::new());
        assert_eq!(left[zone].undecided, plan.undecided);
        let deletes = match means {
            Means::Curl => BTreeSet::new(),
            // Terraform deletes only what it manages, and this configuration is new.
            Means::Terraform => plan.delete.clone(),
        };
        assert_eq!(left[zone].delete, deletes);
        let handled = plan.put.keys().chain(plan.delete.difference(&deletes));
        for ip in handled {
            let about = |row: &&(String, String, String)| row.0 == *zone && row.1 == *ip;
            assert_eq!(findings.iter().find(about), None);
        }
        // Mappings that the plan does not name are unchanged, and the planned ones exist.
        for mapping in before[zone].as_slice() {
            let ip = mapping.origin_ip.to_string();
            if !plan.put.contains_key(&ip) {
                let stays = !plan.delete.contains(&ip) || deletes.contains(&ip);
                let is = after[zone].get(mapping.origin_ip);
                assert_eq!(is, stays.then_some(mapping));
            }
        }
        for (ip, (vendor, region)) in &plan.put {
            let is = after[zone].get(OriginIp::parse(ip).unwrap()).unwrap();
            assert_eq!(
                (is.vendor.as_str(), is.region.as_str()),
                (&**vendor, &**region)
            );
        }
    }
}

fn in_random_worlds(means: Means) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 5,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new(config).run(&worlds(), |(origins, idle)| {
        runtime.block_on(check(&origins, idle, means));
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_commands_of_a_plan_leave_no_finding_that_it_names() {
    in_random_worlds(Means::Curl);
}

#[test]
fn the_terraform_configuration_of_a_plan_leaves_no_finding_that_it_puts() {
    in_random_worlds(Means::Terraform);
}

#[test]
fn a_plan_of_more_than_a_batch_is_applied_whole() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let many = |kind| [vec![kind; 230], vec![K::Unused; 120]];
    runtime.block_on(check(&many(K::Missing), false, Means::Curl));
}
