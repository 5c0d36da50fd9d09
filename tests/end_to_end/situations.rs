//! Situations in which alerts could mislead, in compressed time: real exporters, Prometheus and
//! Alertmanager, with the shipped alert and inhibition rules.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, RateLimit, Simulator, World,
};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tempfile::{TempDir, tempdir};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::alertmanager::Alertmanager;
use crate::support::exporter::Exporter;
use crate::support::prometheus::{Prometheus, watch};
use crate::support::webhook::Webhook;
use crate::support::{eventually, rules};

const TOKEN: &str = "token-of-a-test";
const LEGACY_TOKEN: &str = "token-of-another-account";
/// The identifiers of the simulated credential and of the second account.
const CREDENTIAL: &str = "token-1";
const LEGACY_ACCOUNT: &str = "22222222222222222222222222222222";
/// Every zone has a mapping of the first address. The second one is missing where it is expected.
const MAPPED: &str = "192.0.2.1";
const ORIGIN: &str = "192.0.2.2";

/// An API whose exporters are monitored.
struct Watch {
    directory: TempDir,
    api: Simulator,
    webhook: Webhook,
    _alertmanager: Alertmanager,
    prometheus: Prometheus,
    _stop: DropGuard,
}

/// An API whose exporters are not monitored yet.
struct Start {
    directory: TempDir,
    api: Simulator,
    stop: DropGuard,
}

impl Start {
    async fn with(world: World) -> Self {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone().drop_guard();
        let world = World {
            rate_limit: RateLimit::NONE,
            ..world
        };
        Self {
            directory: tempdir().unwrap(),
            api: Simulator::local(world, shutdown).await.unwrap(),
            stop,
        }
    }

    /// Starts an exporter that expects the missing origin in these zones.
    async fn exporter(&self, name: &str, missing: &[String], arguments: &[&str]) -> Exporter {
        let configuration = configuration(&self.api, missing);
        Exporter::serve_at(&self.folder(name), None, &configuration, arguments).await
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// Starts monitoring these exporters, each with its cluster label.
    async fn watched(self, exporters: &[(SocketAddr, &str)]) -> Watch {
        let webhook = Webhook::start().await;
        let directory = self.directory.path();
        let alertmanager = Alertmanager::start(directory, webhook.address).await;
        let prometheus = Prometheus::start(
            directory,
            exporters,
            &rules::hurried(),
            Some(alertmanager.address),
        )
        .await;
        Watch {
            directory: self.directory,
            api: self.api,
            webhook,
            _alertmanager: alertmanager,
            prometheus,
            _stop: self.stop,
        }
    }
}

/// A monitored exporter of these zones that expects the missing origin in some of them.
async fn one_watched(zones: &[String], missing: &[String]) -> (Exporter, Watch) {
    let start = Start::with(world(zones)).await;
    let exporter = start.exporter("a", missing, &[]).await;
    let watch = start.watched(&[(exporter.address, "")]).await;
    (exporter, watch)
}

impl Watch {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Waits until Alertmanager has sent notifications for this many alerts.
    async fn notified(&self, name: &str, status: &str, count: usize) -> Vec<Value> {
        let name = format!("OriginRegion{name}");
        eventually(&format!("{count} {name} {status}"), async || {
            let found = self.webhook.all(&name, status);
            if found.len() < count {
                return Err(format!(
                    "{}, beside {:?}",
                    found.len(),
                    self.webhook.names()
                ));
            }
            Ok(found)
        })
        .await
    }

    /// Waits until an expression has a result.
    async fn holds(&self, expression: &str) {
        eventually(expression, async || {
            match self.prometheus.query(expression).await.len() {
                0 => Err("no result".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// Checks that exactly these alerts have fired since the start, that only the first ones caused
    /// notifications, and that no finding was reported as resolved.
    async fn fired(&self, notified: &[&str], inhibited: &[&str]) {
        let names = |list: &[&str]| -> BTreeSet<_> {
            let named = list.iter().map(|name| format!("OriginRegion{name}"));
            named.collect()
        };
        assert_eq!(self.webhook.names(), names(notified), "notified");
        let all = [notified, inhibited].concat();
        assert_eq!(self.prometheus.fired().await, names(&all), "fired");
        let gone = self.webhook.all("OriginRegionMappingMissing", "resolved");
        assert_eq!(
            gone,
            Vec::<Value>::new(),
            "an unresolved finding was reported as resolved"
        );
    }
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn an_outage_with_many_zones_is_one_alert() {
    let zones = names(60);
    let legacy = Credential::user_token("token-2", LEGACY_TOKEN).only_accounts([LEGACY_ACCOUNT]);
    let world = world(&zones)
        .account(LEGACY_ACCOUNT, "Legacy")
        .credential(legacy)
        .zone_of(LEGACY_ACCOUNT, "legacy.example", mapped());
    let start = Start::with(world).await;
    let mut text = configuration(&start.api, &zones[..1]);
    write!(
        text,
        "accounts:\n\
         - {{ name: test, api_token: {TOKEN}, zones: {{ exclude: [legacy.example] }} }}\n\
         - {{ name: legacy, api_token: {LEGACY_TOKEN} }}\n"
    )
    .unwrap();
    let text = text.replacen(&account(), "", 1);
    let exporter = Exporter::serve_at(&start.folder("a"), None, &text, &[]).await;
    let watch = start.watched(&[(exporter.address, "")]).await;
    watch.notified("MappingMissing", "firing", 1).await;

    let outage = || Fault::new(FaultKind::Status(503, None)).credential(CREDENTIAL);
    watch.api.add_fault(outage());
    let found = watch.notified("DiscoveryFailing", "firing", 1).await;
    assert_eq!(found[0]["labels"]["account"], "test");
    // Long after the data of all zones has become too old and their polls have failed.
    watch
        .holds("count(time() - cloudflare_origin_region_zone_last_success_timestamp_seconds > 60) == 60")
        .await;
    watch
        .holds("count(cloudflare_origin_region_zone_up == 0) == 60")
        .await;
    watch
        .fired(&["MappingMissing", "DiscoveryFailing"], &["ApiErrors"])
        .await;

    watch.api.clear_faults();
    watch.notified("DiscoveryFailing", "resolved", 1).await;
    watch
        .fired(&["MappingMissing", "DiscoveryFailing"], &["ApiErrors"])
        .await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn a_restart_while_the_api_is_down_ends_no_finding_and_loses_no_zone() {
    let zones = names(4);
    let (exporter, watch) = one_watched(&zones, &zones[..1]).await;
    let address = exporter.address;
    watch.notified("MappingMissing", "firing", 1).await;

    watch
        .api
        .add_fault(Fault::new(FaultKind::Status(503, None)));
    exporter.kill().await;
    let text = configuration(&watch.api, &zones[..1]);
    let exporter = Exporter::serve_at(&watch.path().join("a"), Some(address), &text, &[]).await;
    watch.notified("DiscoveryFailing", "firing", 1).await;
    // Longer than `keep_firing_for` of the alerts.
    watch
        .holds("time() - process_start_time_seconds > 45")
        .await;
    let nothing = watch
        .prometheus
        .query("cloudflare_origin_region_zone_info")
        .await;
    assert_eq!(
        nothing,
        [],
        "nothing is known after a restart without storage"
    );
    watch
        .fired(&["MappingMissing", "DiscoveryFailing"], &["ApiErrors"])
        .await;

    watch.api.clear_faults();
    watch.notified("DiscoveryFailing", "resolved", 1).await;
    watch
        .fired(&["MappingMissing", "DiscoveryFailing"], &["ApiErrors"])
        .await;
    watch.api.update(|world| {
        let zone = world.zone_mut(&zones[0]);
        zone.map(ORIGIN, "aws", "us-east-1", None);
    });
    watch.notified("MappingMissing", "resolved", 1).await;
    drop(exporter);
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn a_dead_shard_is_an_alert_and_the_findings_of_its_zones_go_on() {
    let zones = names(8);
    let start = Start::with(world(&zones)).await;
    let shard = |number| ["--total-shards=2", number];
    let first = start.exporter("a", &zones, &shard("--shard=0")).await;
    let second = start.exporter("b", &zones, &shard("--shard=1")).await;
    let both = [(first.address, ""), (second.address, "")];
    let watch = start.watched(&both).await;
    watch.notified("MappingMissing", "firing", 8).await;
    let of_second = watch
        .prometheus
        .query(&format!(
            "cloudflare_origin_region_zone_up{{instance=\"{}\"}}",
            second.address
        ))
        .await;
    assert!(!of_second.is_empty(), "each shard has zones");

    second.kill().await;
    watch.notified("ShardMissing", "firing", 1).await;
    let recorded = "job:cloudflare_origin_region_exporter_missing_shards:sum";
    watch
        .holds(&format!("count_over_time({recorded}[1m]) > 40"))
        .await;
    watch
        .fired(&["MappingMissing", "ShardMissing", "ExporterDown"], &[])
        .await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn a_replica_that_is_gone_is_an_alert() {
    let zones = names(2);
    let start = Start::with(world(&zones)).await;
    let first = start.exporter("a", &zones[..1], &[]).await;
    let second = start.exporter("b", &zones[..1], &[]).await;
    let both = [(first.address, ""), (second.address, "")];
    let of_two = start.watched(&both).await;
    // Two replicas have the same finding, but it is one alert.
    of_two.notified("MappingMissing", "firing", 1).await;
    let recorded = "job:cloudflare_origin_region_exporter_instances:count";
    of_two
        .holds(&format!("sum_over_time({recorded}[1m]) > 90"))
        .await;

    // Prometheus drops a target only after a few seconds, as long as it takes to report one as
    // down.
    watch(of_two.path(), &both[..1]);
    of_two.holds("count(up) == 1").await;
    second.kill().await;
    of_two.notified("ReplicaMissing", "firing", 1).await;
    of_two
        .fired(&["MappingMissing", "ReplicaMissing"], &[])
        .await;
    let found = of_two.webhook.all("OriginRegionMappingMissing", "firing");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn an_exporter_that_flaps_is_an_alert_and_hides_no_finding() {
    let zones = names(2);
    let (exporter, watch) = one_watched(&zones, &zones[..1]).await;
    eventually("both alerts", async || {
        for (frozen, value) in [(true, 0), (false, 1)] {
            exporter.freeze(frozen).await;
            watch.holds(&format!("up == {value}")).await;
        }
        let names = watch.webhook.names();
        let both = ["ExporterFlapping", "MappingMissing"];
        let missing = both
            .iter()
            .find(|name| !names.contains(&format!("OriginRegion{name}")));
        missing.map_or(Ok(()), |name| Err(format!("no {name}")))
    })
    .await;
    watch
        .fired(&["ExporterFlapping", "MappingMissing"], &[])
        .await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn a_second_cluster_that_disappears_is_an_alert_of_that_cluster() {
    let zones = names(2);
    let start = Start::with(world(&zones)).await;
    let first = start.exporter("a", &[], &[]).await;
    let second = start.exporter("b", &zones[..1], &[]).await;
    let both = [(first.address, "one"), (second.address, "two")];
    let clusters = start.watched(&both).await;
    let found = clusters.notified("MappingMissing", "firing", 1).await;
    assert_eq!(found[0]["labels"]["cluster"], "two");

    watch(clusters.path(), &both[..1]);
    clusters.holds("count(up) == 1").await;
    second.kill().await;
    let found = clusters.notified("ExporterVanished", "firing", 1).await;
    assert_eq!(found[0]["labels"]["cluster"], "two");
    // Longer than `keep_firing_for` of the alerts.
    let recorded = "job_account:cloudflare_origin_region_exporter_account_unlisted:group";
    clusters
        .holds(&format!("count_over_time({recorded}[1m]) > 40"))
        .await;
    clusters
        .fired(&["MappingMissing", "ExporterVanished"], &[])
        .await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn a_token_that_loses_zones_is_an_alert() {
    let zones = names(5);
    let (_exporter, watch) = one_watched(&zones, &[]).await;
    watch
        .holds("job_account:cloudflare_origin_region_exporter_zones:sum == 5")
        .await;

    let lose = |zones: &[String]| {
        watch.api.update(|world| {
            for zone in zones {
                world.remove_zone(zone).unwrap();
            }
        });
    };
    lose(&zones[..2]);
    let found = watch.notified("ZonesFewer", "firing", 1).await;
    let description = found[0]["annotations"]["description"].as_str().unwrap();
    assert!(
        description.starts_with("Account test lists 2 zones fewer"),
        "{description}"
    );
    watch.fired(&["ZonesFewer"], &[]).await;

    lose(&zones[2..4]);
    watch.notified("ZonesVanished", "firing", 1).await;
    watch.fired(&["ZonesFewer", "ZonesVanished"], &[]).await;
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; run by scripts/test"]
async fn where_many_zones_with_a_finding_become_few_their_alerts_take_over_without_a_gap() {
    let zones = names(33);
    let start = Start::with(world(&zones)).await;
    confirm(&start.api, &zones, Timestamp::now() - (24 * 400).hours());
    let text = configuration(&start.api, &[]).replace("stale_after: never", "stale_after: 180d");
    let exporter = Exporter::serve_at(&start.folder("a"), None, &text, &[]).await;
    let watch = start.watched(&[(exporter.address, "")]).await;
    let many = "MinorFindingInManyZones";
    let found = watch.notified(many, "firing", 1).await;
    assert_eq!(found[0]["labels"]["finding"], "stale");
    assert_eq!(
        watch.webhook.all("OriginRegionMappingStale", "firing"),
        Vec::<Value>::new()
    );

    confirm(&watch.api, &zones[5..], Timestamp::now());
    watch.notified("MappingStale", "firing", 5).await;
    let ended = watch
        .webhook
        .all("OriginRegionMinorFindingInManyZones", "resolved");
    assert_eq!(ended, Vec::<Value>::new(), "it goes on until then");
    watch.notified(many, "resolved", 1).await;
    let ended = watch.webhook.all("OriginRegionMappingStale", "resolved");
    assert_eq!(ended, Vec::<Value>::new(), "five zones are stale");

    confirm(&watch.api, &zones, Timestamp::now());
    watch.notified("MappingStale", "resolved", 5).await;
    watch.fired(&[many, "MappingStale"], &[]).await;
}

/// Writes the existing mapping of these zones again.
fn confirm(api: &Simulator, zones: &[String], written: Timestamp) {
    api.update(|world| {
        for zone in zones {
            let zone = world.zone_mut(zone);
            zone.map(MAPPED, "aws", "us-east-1", Some(written));
        }
    });
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("zone{n}.example")).collect()
}

fn mapped() -> [(&'static str, &'static str, &'static str); 1] {
    [(MAPPED, "aws", "us-east-1")]
}

/// Zones of one account with one mapping each.
fn world(zones: &[String]) -> World {
    let world = World::single_token(TOKEN);
    zones
        .iter()
        .fold(world, |world, zone| world.zone(zone, mapped()))
}

fn account() -> String {
    format!("accounts: [{{ name: test, api_token: {TOKEN} }}]\n")
}

/// An exporter that polls every two seconds and expects the missing origin in these zones.
fn configuration(api: &Simulator, missing: &[String]) -> String {
    let mut text = format!(
        "poll: {{ interval: 2s, retries: 0 }}\n\
         cloudflare:\n\
         \x20 base_url: \"{}\"\n\
         \x20 rate_limit: {{ requests: 1000000, window: 1s, share: 1.0 }}\n\
         mappings: {{ stale_after: never }}\n{}",
        api.base_url(),
        account()
    );
    if !missing.is_empty() {
        text += "expect:\n  zones:\n";
    }
    for zone in missing {
        writeln!(text, "    {zone}: [{{ origin_ip: {ORIGIN} }}]").unwrap();
    }
    text
}
