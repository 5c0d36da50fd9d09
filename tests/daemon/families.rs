//! With all features in use, every family of the table is exposed. Every scrape of any test checks
//! the other direction: no family is missing from the table.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cloudflare_origin_region_exporter::metric_families;
use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsHosts, NameServer};
use cloudflare_origin_region_exporter::simulator::{Fault, FaultKind, Operation};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::support::{Api, BAD, Config, Daemon, world};

#[tokio::test]
async fn every_family_of_the_table_can_be_seen() {
    let now = Timestamp::now();
    let mut world = world();
    world.credentials[0].expires_on = Some(now + Duration::from_hours(100));
    let zone = world.zone_mut(BAD);
    zone.map("3.80.2.1", "aws", "eu-west-1", Some(now));
    zone.map("40.74.113.200", "aws", "us-east-1", Some(now));
    zone.record("A", "bad.example", "3.80.2.50", true);
    zone.record("CNAME", "www.bad.example", "origin.example.net", true);
    let api = Api::start(world).await;
    let failure = Fault::new(FaultKind::Status(503, None)).on(Operation::ListMappings);
    api.simulator.add_fault(failure.zone(BAD).times(3));
    let folder = tempfile::tempdir().unwrap();
    let ranges = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ip-ranges");
    for vendor in ["aws", "azure", "gcp", "oci"] {
        let file = format!("{vendor}.json");
        fs::copy(ranges.join(&file), folder.path().join(&file)).unwrap();
    }
    let shutdown = CancellationToken::new();
    let _end = shutdown.clone().drop_guard();
    let mut names = DnsHosts::default();
    names.set("origin.example.net", DnsHost::addresses(["3.80.2.51"]));
    let dns = NameServer::local(names, shutdown).await.unwrap();
    let config = Config {
        verify: "vendor_ranges: { enabled: true, sources: { aws: aws.json, azure: azure.json, \
                 gcp: gcp.json, oci: oci.json } }"
            .to_owned(),
        more: format!(
            "expect: {{ from_dns: true, from_load_balancers: true, from_rules: true, \
             unused_after: 1s }}\n\
             hosts: {{ nameservers: [\"{}\"] }}\n\
             audit_log: {{ enabled: true, interval: 1s }}\n",
            dns.address()
        ),
        ..Config::polling("interval: 200ms, retries: 1")
    };
    let config = config.text(&api.simulator.base_url());
    let mut daemon = Daemon::start_in_with(folder, &config, &["--storage.path=storage"]).await;
    let missing = |scrape: &crate::scrape::Scrape| -> Vec<&str> {
        let seen = scrape.families();
        // This web server does not use TLS.
        let names = metric_families::all()
            .map(|family| family.name)
            .filter(|name| !name.contains("_exporter_web_certificate_"));
        names.filter(|name| !seen.contains(name)).collect()
    };
    let start = tokio::time::Instant::now();
    loop {
        let missing = missing(daemon.scrape().await);
        if missing.is_empty() {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{missing:?}\n{}",
            daemon.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.stop().await;
}
