//! The origin hosts of the demo: one for each state.

use crate::simulator::World;
use crate::simulator::dns::{DnsHost, DnsHosts, DnsTrouble};

const LOAD_BALANCER: &str = "assets-1234567890.us-east-1.elb.amazonaws.com";
const ROTATING: &str = "builds-987654321.us-east-1.elb.amazonaws.com";

/// The names that the demo's name server resolves.
pub fn hosts() -> DnsHosts {
    let rotating: Vec<_> = (40..64).map(|last| format!("3.80.2.{last}")).collect();
    let mut hosts = DnsHosts::default();
    for (name, host) in [
        // Its addresses are mapped to the region in its name.
        ("assets.origin.example", DnsHost::alias(LOAD_BALANCER)),
        (
            LOAD_BALANCER,
            DnsHost::addresses(["3.80.2.10", "3.80.2.11"]).rotating(1),
        ),
        // It has more addresses than mappings can keep up with.
        (
            ROTATING,
            DnsHost::addresses(rotating.iter().map(String::as_str)).rotating(8),
        ),
        (
            "legacy.origin.example",
            DnsHost::default().trouble(DnsTrouble::ServerFailure),
        ),
        ("api.origin.example", DnsHost::addresses(["40.74.113.70"])),
    ] {
        hosts.set(name, host);
    }
    hosts
}

/// Adds the records and rules that refer to the hosts, and one that refers to a nonexistent host.
pub(super) fn name_hosts(world: &mut World) {
    for (zone, name, host) in [
        ("example.com", "assets.example.com", "assets.origin.example"),
        ("docs.example", "builds.docs.example", ROTATING),
        ("docs.example", "old.docs.example", "legacy.origin.example"),
        ("docs.example", "gone.docs.example", "gone.origin.example"),
    ] {
        world.zone_mut(zone).record("CNAME", name, host, true);
    }
    world
        .zone_mut("api.example")
        .origin_rule("api.origin.example");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::demo;

    #[test]
    fn every_host_that_is_named_is_known_but_the_one_that_is_gone() {
        let mut hosts = hosts();
        let world = demo::world(jiff::Timestamp::UNIX_EPOCH);
        let zones = world.zones.values();
        let records = zones.flat_map(|zone| &zone.dns_records);
        let unknown: Vec<_> = records
            .filter(|record| record.kind == "CNAME" && record.proxied)
            .map(|record| record.content.as_str())
            .filter(|host| hosts.get_mut(host).is_none())
            .collect();
        assert_eq!(unknown, ["gone.origin.example"]);
    }
}
