//! `get`

use cloudflare_origin_region_exporter::domain::ZoneName;
use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation, zone_id_of};

use crate::support::{Setup, world};

#[tokio::test]
async fn a_mapping_is_found_by_name_and_by_id() {
    let setup = Setup::new(world(), "").await;
    let id = zone_id_of("a.test");
    for zone in ["a.test", "A.Test", id.as_str()] {
        let ended = setup.run(&["get", zone, "192.0.2.1"]).await;
        ended.code(0).prints(&["192.0.2.1", "aws", "us-east-1"]);
    }
    let ended = setup.run(&["get", "a.test", "2001:DB8:0::1"]).await;
    ended
        .code(0)
        .prints(&["2001:db8::1", "gcp us-central1", "last modified 20"]);
    assert_eq!(setup.api.count(Operation::ListMappings), 0);
}

#[tokio::test]
async fn an_origin_without_a_mapping_is_one() {
    let setup = Setup::new(world(), "").await;
    let ended = setup.run(&["get", "b.test", "192.0.2.1"]).await;
    ended.code(1).prints(&["192.0.2.1", "no mapping", "b.test"]);
}

#[tokio::test]
async fn what_cannot_be_told_is_two() {
    let setup = Setup::new(world(), "poll: { retries: 0 }\n").await;
    let ended = setup.run(&["get", "nowhere.test", "192.0.2.1"]).await;
    ended.code(2).prints(&["nowhere.test"]);
    let ended = setup.run(&["get", "a.test", "192.0.2.256"]).await;
    ended.code(2).complains(&["192.0.2.256"]);
    let fault = Fault::new(FaultKind::Status(502, None)).on(Operation::GetMapping);
    setup.api.add_fault(fault);
    let ended = setup.run(&["get", "a.test", "192.0.2.1"]).await;
    ended.code(2).prints(&["cannot tell", "502"]);
}

#[tokio::test]
async fn json_says_what_is_known() {
    let setup = Setup::new(world(), "").await;
    let get = async |zone: &str, ip: &str, code| {
        let ended = setup.run(&["get", zone, ip, "--format=json"]).await;
        ended.code(code);
        serde_json::from_str::<serde_json::Value>(&ended.out).unwrap()
    };
    let mapped = get("a.test", "192.0.2.1", 0).await;
    assert_eq!(mapped["mapped"], true);
    assert_eq!(mapped["zone_id"], zone_id_of("a.test").as_str());
    assert_eq!(
        (&mapped["vendor"], &mapped["region"]),
        (&"aws".into(), &"us-east-1".into())
    );
    assert!(mapped["modified_on"].is_string() && mapped["error"].is_null());
    let not_mapped = get("b.test", "192.0.2.1", 1).await;
    assert_eq!(not_mapped["mapped"], false);
    assert!(not_mapped["vendor"].is_null());
    let unknown = get("nowhere.test", "192.0.2.1", 2).await;
    assert!(unknown["mapped"].is_null());
    assert!(unknown["error"].as_str().unwrap().contains("nowhere.test"));
}

#[tokio::test]
async fn a_name_means_its_zone_in_any_spelling() {
    let world = world().zone("bücher.example", [("192.0.2.3", "oci", "us-ashburn-1")]);
    let setup = Setup::new(world, "").await;
    for name in [
        "bücher.example",
        "BÜCHER.example",
        "bu\u{308}cher.example",
        "xn--bcher-kva.example",
        "bücher.example.",
    ] {
        let ended = setup.run(&["get", name, "192.0.2.3"]).await;
        ended.code(0).prints(&["oci us-ashburn-1"]);
    }
}

#[tokio::test]
async fn two_equally_good_zones_of_one_name_are_ambiguous() {
    let mut world = world().zone("other.test", []);
    let other = &mut world.zone_mut("other.test").zone;
    other.name = ZoneName::parse("a.test").unwrap();
    let id = other.id.clone();
    let setup = Setup::new(world, "").await;
    let ended = setup.run(&["get", "a.test", "192.0.2.1"]).await;
    ended
        .code(2)
        .prints(&["ambiguous", id.as_str(), zone_id_of("a.test").as_str()]);
    // Active zones take precedence.
    setup.api.update(|world| {
        let zones = &mut world.zones;
        zones.get_mut(&id).unwrap().zone.status = "pending".into();
    });
    let ended = setup.run(&["get", "a.test", "192.0.2.1"]).await;
    ended.code(0).prints(&["aws us-east-1"]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_two() {
    let setup = Setup::new(world(), "").await;
    let get = ["get", "a.test", "192.0.2.1"];
    assert_eq!(setup.run_on_full_disk(&get).await, Some(2));
    assert_eq!(setup.run_on_full_disk(&["plan"]).await, Some(2));
    assert_eq!(setup.run_on_full_disk(&["once"]).await, Some(3));
}
