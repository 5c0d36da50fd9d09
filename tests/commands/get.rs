//! `get`

use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation, zone_id_of};

use crate::support::{Setup, world};

#[tokio::test]
async fn a_mapping_is_found_by_name_and_by_id() {
    let setup = Setup::new(world(), "").await;
    let id = zone_id_of("a.test");
    for zone in ["a.test", "A.Test", id.as_str()] {
        let ended = setup.run(&["get", zone, "192.0.2.1"]).await;
        ended.code(0).says(&["192.0.2.1", "aws", "us-east-1"]);
    }
    let ended = setup.run(&["get", "a.test", "2001:DB8:0::1"]).await;
    ended
        .code(0)
        .says(&["2001:db8::1", "gcp us-central1", "last modified 20"]);
    assert_eq!(setup.api.count(Operation::ListMappings), 0);
}

#[tokio::test]
async fn an_origin_without_a_mapping_is_one() {
    let setup = Setup::new(world(), "").await;
    let ended = setup.run(&["get", "b.test", "192.0.2.1"]).await;
    ended.code(1).says(&["192.0.2.1", "no mapping", "b.test"]);
}

#[tokio::test]
async fn what_cannot_be_told_is_two() {
    let setup = Setup::new(world(), "poll: { retries: 0 }\n").await;
    let ended = setup.run(&["get", "nowhere.test", "192.0.2.1"]).await;
    ended.code(2).says(&["nowhere.test"]);
    let ended = setup.run(&["get", "a.test", "192.0.2.256"]).await;
    ended.code(2).complains(&["192.0.2.256"]);
    let fault = Fault::new(FaultKind::Status(502, None)).on(Operation::GetMapping);
    setup.api.add_fault(fault);
    let ended = setup.run(&["get", "a.test", "192.0.2.1"]).await;
    ended.code(2).says(&["cannot tell", "502"]);
}
