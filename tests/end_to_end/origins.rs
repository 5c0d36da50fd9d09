//! The addresses of a load balancer are replaced: from the first missing mapping to the removal of
//! the last unused one, through DNS, the real Prometheus and Alertmanager, and the official client.

use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsHosts, NameServer};
use cloudflare_origin_region_exporter::simulator::{Simulator, World, demo};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::tempdir;
use tokio_util::sync::CancellationToken;

use crate::support::alertmanager::Alertmanager;
use crate::support::exporter::Exporter;
use crate::support::official_client::OfficialClient;
use crate::support::prometheus::Prometheus;
use crate::support::webhook::Webhook;
use crate::support::{eventually, http, ranges, rules};

const TOKEN: &str = "token-of-a-test";
const ZONE: &str = "example.com";
/// The region is part of the name.
const BALANCER: &str = "shop-1234567890.us-east-1.elb.amazonaws.com";
const BEFORE: [&str; 2] = ["3.80.2.1", "3.80.2.2"];
const AFTER: [&str; 2] = ["3.80.2.3", "3.80.2.4"];
const MISSING: &str = "OriginRegionMappingMissing";
const UNUSED: &str = "OriginRegionMappingUnused";

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager, and EXPORTER_PYTHON, the \
            interpreter that scripts/python-env prints; run by scripts/test"]
async fn replaced_addresses_are_missing_until_they_are_mapped_and_the_old_ones_unused_until_they_are_removed()
 {
    let directory = tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let mut names = DnsHosts::default();
    names.set(BALANCER, DnsHost::addresses(BEFORE).ttl(30));
    let dns = NameServer::local(names, shutdown.clone()).await.unwrap();
    let api = Simulator::local(world(), shutdown).await.unwrap();
    let exporter = Exporter::serve(directory.path(), &configuration(&api, &dns)).await;
    let webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(directory.path(), webhook.address).await;
    let prometheus = Prometheus::start(
        directory.path(),
        &[(exporter.address, "")],
        &rules::hurried(),
        Some(alertmanager.address),
    )
    .await;
    let notified = async |name: &str, status: &str| {
        eventually(&format!("{name} {status}"), async || {
            webhook.find(name, status).ok_or_else(String::new)
        })
        .await
    };
    let counts = async || -> Vec<f64> {
        let names = ["missing_mappings", "wrong_mappings", "unused_mappings"];
        let mut counts = Vec::new();
        for name in names {
            let query = format!("sum(cloudflare_origin_region_{name})");
            let samples = prometheus.query(&query).await;
            counts.extend(samples.first().map(|sample| sample.value));
        }
        counts
    };
    // A count of unused mappings exists only after everything was read and resolved.
    eventually("a zone that is in order", async || match &*counts().await {
        [0.0, 0.0, 0.0] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(changes(&exporter).await, [] as [String; 0]);

    dns.update(|names| names.set(BALANCER, DnsHost::addresses(AFTER).ttl(30)));
    let alert = notified(MISSING, "firing").await;
    let description = alert["annotations"]["description"].as_str().unwrap();
    for ip in AFTER {
        assert!(description.contains(ip), "{description}");
    }
    assert!(description.contains("aws us-east-1"), "{description}");

    let client = OfficialClient::new(&api, TOKEN);
    for ip in AFTER {
        client.put(ZONE, ip, "aws", "us-east-1").await;
    }
    notified(MISSING, "resolved").await;
    let alert = notified(UNUSED, "firing").await;
    assert_eq!(alert["labels"]["zone"], ZONE);

    for ip in BEFORE {
        client.delete(ZONE, ip).await;
    }
    notified(UNUSED, "resolved").await;
    eventually("silence", async || {
        let alerts = prometheus.query("ALERTS").await;
        match (&*counts().await, &*alerts) {
            ([0.0, 0.0, 0.0], []) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    // Each change happened exactly once, without flapping.
    let mut expected: Vec<String> = Vec::new();
    for (ips, finding, change) in [
        (AFTER, "missing", "mapping_added"),
        (BEFORE, "unused", "mapping_removed"),
    ] {
        for ip in ips {
            expected.push(format!("finding_appeared {finding} {ip}"));
            expected.push(format!("finding_cleared {finding} {ip}"));
            expected.push(format!("{change}  {ip}"));
        }
    }
    expected.sort();
    assert_eq!(changes(&exporter).await, expected);
}

/// A zone whose only record refers to the load balancer. Its addresses are mapped.
fn world() -> World {
    let mut world = World::single_token(TOKEN).zone(ZONE, []);
    let written = Timestamp::now() - (24 * 30).hours();
    let zone = world.zone_mut(ZONE);
    zone.record("CNAME", "www.example.com", BALANCER, true);
    for ip in BEFORE {
        zone.map(ip, "aws", "us-east-1", Some(written));
    }
    demo::serve_range_files(&mut world);
    world
}

/// An address is valid for longer than one refresh, so that the new addresses appear before the old
/// ones expire.
fn configuration(api: &Simulator, dns: &NameServer) -> String {
    let text = format!(
        "poll: {{ interval: 1s }}\n\
         cloudflare: {{ base_url: \"{}\" }}\n\
         accounts: [{{ name: test, api_token: {TOKEN} }}]\n\
         hosts: {{ nameservers: [\"{}\"], window: 45s }}\n\
         expect: {{ from_dns: true, from_load_balancers: true, from_rules: true, unused_after: 3s }}\n",
        api.base_url(),
        dns.address()
    );
    text + &ranges::configuration(api)
}

/// The changes since the start, sorted alphabetically.
async fn changes(exporter: &Exporter) -> Vec<String> {
    let url = exporter.url("/api/v1/changes");
    let body = http().get(url).send().await.unwrap().bytes().await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let changes = answer["changes"].as_array().unwrap().iter();
    let text = |change: &Value| {
        let part = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", part("kind"), part("finding"), part("origin_ip"))
    };
    let mut changes: Vec<_> = changes.map(text).collect();
    changes.sort();
    changes
}
