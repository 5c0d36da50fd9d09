//! A resolver and the name server that it asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::{HostName, HostState, ZoneId};
use cloudflare_origin_region_exporter::origin_hosts::{Host, Metrics, OriginHosts, Settings};
use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsHosts, NameServer};
use prometheus::Registry;
use tokio::time::{advance, pause, resume, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than any test waits for one thing.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) dns: NameServer,
    pub(crate) hosts: OriginHosts,
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    _end: DropGuard,
}

impl World {
    /// A name server with these names, and a resolver that asks it and knows nothing yet.
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

    /// Wants hosts and waits until each was asked for.
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

    /// Waits until a host is as it should be.
    pub(crate) async fn until(&self, name: &str, good: impl Fn(&Host) -> bool) -> Arc<Host> {
        let name = host(name);
        let wait = async {
            loop {
                match self.hosts.get(&name) {
                    Some(host) if good(&host) => return host,
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

    /// Lets time pass and waits until the host was asked for again.
    pub(crate) async fn ask_again(&self, name: &str, later: Duration) {
        let asked = self.dns.count(name);
        // What the resolver waits for is over before the clock moves.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pause();
        advance(later).await;
        resume();
        let wait = async {
            while self.dns.count(name) < asked + 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("another question");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    pub(crate) async fn changed(&self) -> BTreeSet<HostName> {
        timeout(PATIENCE, self.hosts.changed())
            .await
            .expect("a change")
    }

    /// The value of a series of the counter of queries.
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
