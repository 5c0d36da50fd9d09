//! Random worlds with every kind of origin, and what the program plans and finds in them.

#![expect(clippy::indexing_slicing, reason = "helpers panic on failure")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use cloudflare_origin_region_exporter::domain::ZoneMappings;
use cloudflare_origin_region_exporter::simulator::World;
use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsHosts, NameServer};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, Setup, TOKEN, command};

pub(crate) const ZONES: [&str; 2] = ["one.test", "two.test"];
/// More addresses than `hosts.rotating_above`.
const ROTATING: usize = 20;

/// The state of an origin and of its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Right,
    Missing,
    /// Missing, and the region is unknown, so there is nothing to map it to.
    MissingSomewhere,
    MissingDeclared,
    MissingByHost,
    WrongByRanges,
    WrongVendor,
    WrongDeclared,
    WrongByHost,
    NotSupported,
    /// Mapped to an unsupported region, and no source knows the right one.
    NotSupportedSomewhere,
    Stale,
    StaleAndWrong,
    Unused,
    Rotating,
}

pub(crate) use Kind as K;

const KINDS: [Kind; 15] = [
    K::Right,
    K::Missing,
    K::MissingSomewhere,
    K::MissingDeclared,
    K::MissingByHost,
    K::WrongByRanges,
    K::WrongVendor,
    K::WrongDeclared,
    K::WrongByHost,
    K::NotSupported,
    K::NotSupportedSomewhere,
    K::Stale,
    K::StaleAndWrong,
    K::Unused,
    K::Rotating,
];

/// The origins of both zones, including every kind at least once, and whether Tiered Cache is off
/// in the second zone.
pub(crate) fn worlds() -> impl Strategy<Value = ([Vec<Kind>; 2], bool)> {
    let more = || vec(select(&KINDS[..]), 0..130);
    let zones = (more(), more(), any::<prop::sample::Index>());
    (zones, any::<bool>()).prop_map(|((mut one, mut two, at), idle)| {
        let (first, second) = KINDS.split_at(at.index(KINDS.len()));
        one.extend(first);
        two.extend(second);
        ([one, two], idle)
    })
}

/// A simulated API with such a world, its name server, and the configuration.
pub(crate) struct Case {
    pub(crate) setup: Setup,
    _dns: NameServer,
    _stop: DropGuard,
}

/// The ranges of the vendors: two regions, and one network that belongs to no region.
const RANGES: [(&str, &str); 4] = [
    (
        "aws",
        r#"{"syncToken":"1","createDate":"x","prefixes":[
            {"ip_prefix":"52.0.0.0/16","region":"us-east-1","service":"AMAZON","network_border_group":"x"},
            {"ip_prefix":"52.1.0.0/16","region":"eu-west-1","service":"AMAZON","network_border_group":"x"},
            {"ip_prefix":"52.2.0.0/16","region":"GLOBAL","service":"AMAZON","network_border_group":"x"}],
            "ipv6_prefixes":[{"ipv6_prefix":"2600:1f00::/40","region":"us-east-1",
            "service":"AMAZON","network_border_group":"x"}]}"#,
    ),
    (
        "gcp",
        r#"{"syncToken":"1","creationTime":"x","prefixes":[
            {"ipv4Prefix":"34.1.0.0/16","service":"Google Cloud","scope":"us-central1"}]}"#,
    ),
    (
        "azure",
        r#"{"changeNumber":1,"cloud":"Public","values":[{"name":"AzureCloud.eastus",
            "properties":{"region":"eastus","addressPrefixes":["20.1.0.0/16"]}}]}"#,
    ),
    (
        "oci",
        r#"{"last_updated_timestamp":"x","regions":[{"region":"us-ashburn-1",
            "cidrs":[{"cidr":"129.1.0.0/16","tags":["OCI"]}]}]}"#,
    ),
];

impl Case {
    pub(crate) async fn new(origins: &[Vec<Kind>; 2], idle: bool) -> Self {
        let mut simulated = ZONES
            .iter()
            .fold(World::single_token(TOKEN), |world, name| {
                world.zone(name, [])
            });
        simulated.rate_limit.requests = 1_000_000;
        let mut hosts = DnsHosts::default();
        let mut declared = String::new();
        for (zone, origins) in ZONES.iter().zip(origins) {
            writeln!(declared, "    {zone}:").unwrap();
            for (number, kind) in origins.iter().enumerate() {
                add(
                    &mut simulated,
                    &mut hosts,
                    &mut declared,
                    zone,
                    number,
                    *kind,
                );
            }
            declared += "      - { origin_ip: 198.51.100.1, vendor: aws, region: eu-west-2 }\n";
        }
        simulated.zone_mut(ZONES[1]).tiered_cache = !idle;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone().drop_guard();
        let dns = NameServer::local(hosts, shutdown).await.unwrap();
        let more = format!(
            "cloudflare: {{ rate_limit: {{ requests: 1000000 }}, base_url: BASE }}\n\
             hosts: {{ nameservers: [\"{}\"] }}\n\
             mappings: {{ stale_after: 180d }}\n\
             verify:\n  vendor_ranges:\n    enabled: true\n    sources:\n\
             \x20     {{ aws: aws.json, gcp: gcp.json, azure: azure.json, oci: oci.json }}\n\
             expect:\n  from_dns: true\n  from_load_balancers: true\n  from_rules: true\n\
             \x20 unused_after: 7d\n  zones:\n{declared}",
            dns.address()
        );
        let setup = Setup::new(simulated, "").await;
        let usual = fs::read_to_string(setup.file()).unwrap();
        let accounts = usual.lines().find(|line| line.starts_with("accounts"));
        let base = format!("\"{}\"", setup.api.base_url());
        let text = format!("{}\n{}", accounts.unwrap(), more.replace("BASE", &base));
        let folder = setup.folder.path();
        let text = RANGES.iter().fold(text, |text, (vendor, json)| {
            let file = folder.join(format!("{vendor}.json"));
            fs::write(&file, json).unwrap();
            text.replace(&format!("{vendor}.json"), file.to_str().unwrap())
        });
        fs::write(setup.file(), text).unwrap();
        Self {
            setup,
            _dns: dns,
            _stop: stop,
        }
    }

    pub(crate) async fn output(&self, words: &[&str]) -> String {
        let file = self.setup.file();
        let mut all = vec!["--config.file", file.to_str().unwrap()];
        all.extend(words);
        let output = timeout(PATIENCE, command(&all).output()).await;
        let output = output.unwrap().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The plan, by zone.
    pub(crate) async fn plan(&self) -> BTreeMap<String, Plan> {
        let json = self.output(&["plan", "--prune", "--format=json"]).await;
        let json: Value = serde_json::from_str(&json).unwrap();
        let rows = json["zones"].as_array().unwrap().iter();
        rows.map(|row| (text(&row["zone_id"]), Plan::read(row)))
            .collect()
    }

    /// The findings about addresses: zone, address and the whole row.
    pub(crate) async fn findings(&self) -> BTreeSet<(String, String, String)> {
        let json = self.output(&["once", "--format=json", "--findings"]).await;
        let json: Value = serde_json::from_str(&json).unwrap();
        let rows = json["findings"].as_array().unwrap().iter();
        rows.filter(|row| row["origin_ip"].is_string())
            .map(|row| {
                (
                    text(&row["zone_id"]),
                    text(&row["origin_ip"]),
                    row.to_string(),
                )
            })
            .collect()
    }

    pub(crate) fn mappings(&self) -> BTreeMap<String, ZoneMappings> {
        self.setup.api.look(|world| {
            let zones = world.zones.iter();
            zones
                .map(|(id, zone)| {
                    let mappings = zone.mappings.values().cloned().collect();
                    (id.to_string(), ZoneMappings::from_rows(mappings).unwrap())
                })
                .collect()
        })
    }
}

/// Adds an origin: its records, its mapping and its declaration.
fn add(
    world: &mut World,
    hosts: &mut DnsHosts,
    declared: &mut String,
    zone_name: &str,
    number: usize,
    kind: Kind,
) {
    let low = format!("{}.{}", number / 250, number % 250 + 1);
    let (east, west) = match number % 3 {
        0 => (format!("2600:1f00::{number:x}"), format!("52.1.{low}")),
        _ => (format!("52.0.{low}"), format!("52.1.{low}")),
    };
    let anywhere = format!("52.2.{low}");
    let name = format!("w{number}.{zone_name}");
    let alias = format!("h{number}.{zone_name}.us-east-1.elb.amazonaws.com");
    let ago = |days: i64| Some(Timestamp::now() - SignedDuration::from_hours(24 * days));
    let zone = world.zone_mut(zone_name);
    let record = |ip: &str| if ip.contains(':') { "AAAA" } else { "A" };
    let mut declare = |ip: &str| {
        let place = "vendor: gcp, region: us-central1";
        writeln!(declared, "      - {{ origin_ip: \"{ip}\", {place} }}").unwrap();
    };
    match kind {
        K::Right
        | K::Missing
        | K::WrongByRanges
        | K::WrongVendor
        | K::NotSupported
        | K::Stale
        | K::StaleAndWrong => zone.record(record(&east), &name, &east, true),
        K::MissingSomewhere => zone.record("A", &name, &anywhere, true),
        K::MissingDeclared | K::WrongDeclared => declare(&east),
        K::MissingByHost | K::WrongByHost => {
            zone.record("CNAME", &name, &alias, true);
            hosts.set(&alias, DnsHost::addresses([west.as_str()]));
        }
        K::Rotating => {
            zone.record("CNAME", &name, &alias, true);
            let addresses: Vec<_> = (0..ROTATING)
                .map(|last| format!("52.1.{}.{last}", 100 + number % 100))
                .collect();
            hosts.set(
                &alias,
                DnsHost::addresses(addresses.iter().map(String::as_str)),
            );
        }
        K::NotSupportedSomewhere | K::Unused => {}
    }
    match kind {
        K::Right | K::WrongDeclared => zone.map(&east, "aws", "us-east-1", ago(1)),
        K::WrongByRanges => zone.map(&east, "aws", "ap-south-1", ago(1)),
        K::WrongVendor | K::StaleAndWrong => zone.map(
            &east,
            "gcp",
            "us-central1",
            ago(if kind == K::WrongVendor { 1 } else { 400 }),
        ),
        K::WrongByHost => zone.map(&west, "aws", "eu-west-1", ago(1)),
        K::NotSupported => zone.map(&east, "aws", "mars-north-1", ago(1)),
        K::NotSupportedSomewhere => zone.map(&anywhere, "aws", "mars-north-1", ago(1)),
        K::Stale => zone.map(&east, "aws", "us-east-1", ago(400)),
        K::Unused => zone.map(&anywhere, "aws", "us-east-1", ago(30)),
        K::Missing | K::MissingSomewhere | K::MissingDeclared | K::MissingByHost | K::Rotating => {}
    }
}

/// The plan for a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Vendor and region, by address.
    pub(crate) put: BTreeMap<String, (String, String)>,
    pub(crate) delete: BTreeSet<String>,
    /// The address, if there is one, and the finding.
    pub(crate) undecided: BTreeSet<(Option<String>, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Plan {
    fn read(row: &Value) -> Self {
        let rows = |key: &str| row[key].as_array().unwrap().clone();
        let put = rows("put").into_iter().map(|row| {
            let place = (text(&row["vendor"]), text(&row["region"]));
            (text(&row["origin_ip"]), place)
        });
        let undecided = rows("undecided").into_iter().map(|row| {
            let ip = row["origin_ip"].as_str().map(str::to_owned);
            (ip, text(&row["because"]))
        });
        Self {
            put: put.collect(),
            delete: rows("delete")
                .iter()
                .map(|row| text(&row["origin_ip"]))
                .collect(),
            undecided: undecided.collect(),
        }
    }
}
