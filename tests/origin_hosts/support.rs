//! A resolver and its name server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{HostName, HostState, ZoneId};
use cloudflare_origin_region_exporter::origin_hosts::{Host, Metrics, OriginHosts, Settings};
use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsHosts, NameServer};
use prometheus::Registry;
use tokio::time::{advance, pause, resume, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The time limit of every wait.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) dns: NameServer,
    pub(crate) hosts: OriginHosts,
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    _end: DropGuard,
}

impl World {
    /// Starts a name server with these names, and a resolver with an empty cache that uses it.
    pub(crate) async fn new(names: &[(&str, DnsHost)]) -> Self {
        Self::with(names, Settings::default()).await
    }

    pub(crate) async fn with(names: &[(&str, DnsHost)], settings: Settings) -> Self {
        let shutdown = CancellationToken::new();
        let mut known = DnsHosts::default();
        for (name, host) in names {
            known.set(name, host.clone());
        }
        let dns = NameServer::local(known, shutdown.clone()).await.unwrap();
        let registry = Registry::new();
        let settings = Settings {
            nameservers: vec![dns.address()],
            ..settings
        };
        let metrics = Metrics::register(&registry).unwrap();
        let hosts = OriginHosts::new(settings.clone(), metrics).unwrap();
        tokio::spawn(hosts.clone().run(shutdown.clone()));
        Self {
            dns,
            hosts,
            registry,
            settings,
            _end: shutdown.drop_guard(),
        }
    }

    /// Requests hosts, and waits until each was looked up.
    pub(crate) async fn resolve(&self, names: &[&str]) {
        self.want("zone", names);
        for name in names {
            self.until(name, |host| host.state().is_some()).await;
        }
    }

    pub(crate) fn want(&self, zone: &str, names: &[&str]) {
        let zone = ZoneId::parse(zone).unwrap();
        self.hosts
            .want(&zone, names.iter().map(|name| host(name)).collect());
    }

    /// Waits until a host meets a condition.
    pub(crate) async fn until(&self, name: &str, condition: impl Fn(&Host) -> bool) -> Arc<Host> {
        let name = host(name);
        let wait = async {
            loop {
                match self.hosts.get(&name) {
                    Some(host) if condition(&host) => return host,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{:?}", self.hosts.get(&name)))
    }

    pub(crate) fn host(&self, name: &str) -> Arc<Host> {
        self.hosts.get(&host(name)).unwrap()
    }

    pub(crate) fn state(&self, name: &str) -> Option<HostState> {
        self.host(name).state()
    }

    pub(crate) fn ips(&self, name: &str) -> Vec<String> {
        self.host(name).ips().map(|ip| ip.to_string()).collect()
    }

    /// Advances the clock, and waits until the host was looked up again.
    pub(crate) async fn ask_again(&self, name: &str, later: Duration) {
        let asked = self.dns.count(name);
        // The resolver has to reach its next wait before the clock moves.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pause();
        advance(later).await;
        resume();
        let wait = async {
            while self.dns.count(name) < asked + 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .expect("another query in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    pub(crate) async fn changed(&self) -> BTreeSet<HostName> {
        timeout(PATIENCE, self.hosts.changed())
            .await
            .expect("a change in time")
    }

    /// The value of the query counter for this result.
    pub(crate) fn queries(&self, result: &str) -> f64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name().ends_with("dns_queries_total"));
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        let found = metrics
            .iter()
            .find(|metric| metric.get_label().iter().any(|l| l.value() == result));
        found.unwrap().get_counter().get_value()
    }
}

pub(crate) fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}
