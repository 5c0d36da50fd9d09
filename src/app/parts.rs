//! Builds the components of the program from the settings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, Registry};
use tokio::sync::watch;

use super::rate_limits::RateLimits;
use super::{Error, stored_ranges};
use crate::build_info;
use crate::cloudflare::{Client, Secrets};
use crate::config::Settings;
use crate::exposition::{self, BuildInfo, Exposition, WHOLE_AT_MOST};
use crate::history::{CAPACITY_WITHOUT_STORAGE, History};
use crate::http_client::HttpClient;
use crate::metric_families;
use crate::origin_hosts::{self, OriginHosts};
use crate::poller::{
    self, ConfiguredAccount, EvaluationConfig, Poller, PollerHandle, Recorder, Shard,
};
use crate::snapshot::Snapshot;
use crate::storage::{self, Parts as StoredParts, Restored, Storage};
use crate::vendor_ranges::{self, VendorRanges};

/// The clients of the accounts, in the order of the configuration. A reload replaces the list.
pub(super) type Clients = ArcSwap<Vec<Client>>;

/// The components of every command that polls. Clones share them.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) registry: Registry,
    pub(super) snapshot: Snapshot,
    pub(super) clients: Arc<Clients>,
    pub(super) poller: PollerHandle,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) exposition: Exposition,
    pub(super) ranges: VendorRanges,
    pub(super) hosts: OriginHosts,
    pub(super) secrets: Secrets,
    pub(super) range_metrics: vendor_ranges::Metrics,
    pub(super) history: History,
    pub(super) storage: Option<Storage>,
}

impl Parts {
    /// The components, and the poller, which is to be run.
    pub(super) fn new(settings: &Settings) -> Result<(Self, Poller), Error> {
        let registry = Registry::new();
        let snapshot = Snapshot::default();
        let http = HttpClient::new(settings.cloudflare.ca_file.as_deref())?;
        let secrets = Secrets::default();
        let accounts = accounts(settings, &http, &registry, &secrets, &[])?;
        let clients = accounts.iter().map(|account| account.client.clone());
        let clients = Arc::new(ArcSwap::from_pointee(clients.collect()));
        let range_metrics = vendor_ranges::Metrics::register(&registry)?;
        let ranges = VendorRanges::new(
            &settings.vendor_ranges,
            http.connections().client().clone(),
            &range_metrics,
        );
        let host_metrics = origin_hosts::Metrics::register(&registry)?;
        let hosts = OriginHosts::new(settings.hosts.clone(), host_metrics)
            .map_err(|error| format!("cannot resolve host names: {error}"))?;
        let (poller, handle, ready) = Poller::new(
            poller_configuration(settings, &ranges, &hosts, accounts),
            snapshot.clone(),
            poller::Metrics::register(&registry)?,
        );
        register_shard(settings.poller.shard, &registry)?;
        let exposition = Exposition::new(
            exposition::Settings {
                detail: settings.detail,
                whole_at_most: WHOLE_AT_MOST,
                build: BuildInfo {
                    version: build_info::VERSION,
                    revision: build_info::REVISION,
                    rustc: build_info::RUSTC,
                },
            },
            snapshot.clone(),
            registry.clone(),
        );
        let parts = Self {
            registry,
            snapshot,
            clients,
            poller: handle,
            ready,
            exposition,
            ranges,
            hosts,
            secrets,
            range_metrics,
            history: History::new(&settings.history, CAPACITY_WITHOUT_STORAGE),
            storage: None,
        };
        Ok((parts, poller))
    }

    /// Like [`Parts::new`], with the stored state, and with the rate limits to keep in the storage.
    /// Only the daemon uses the storage.
    pub(super) fn with_storage(
        settings: &Settings,
    ) -> Result<(Self, Poller, Option<RateLimits>), Error> {
        let (mut parts, mut poller) = Self::new(settings)?;
        let Some(storage) = &settings.storage else {
            let recorder = Recorder::new(parts.history.clone(), None);
            poller.restore(recorder, [].into(), &StoredParts::default());
            return Ok((parts, poller, None));
        };
        let metrics = storage::Metrics::register(&parts.registry)?;
        let now = Timestamp::now();
        let (storage, restored) = Storage::open(storage, &settings.history, metrics, now)?;
        let Restored {
            zones,
            history,
            parts: stored,
        } = restored;
        stored_ranges::restore(&parts.ranges, &stored);
        let recorder = Recorder::new(history.clone(), Some(storage.clone()));
        poller.restore(recorder, zones, &stored);
        parts.history = history;
        let clients = Arc::clone(&parts.clients);
        let rate_limits = RateLimits::new(clients, storage.clone(), &stored);
        parts.storage = Some(storage);
        Ok((parts, poller, Some(rate_limits)))
    }
}

/// All accounts with their API clients, in the order of the configuration. An account that has one
/// of the `old` clients keeps it, with its rate limit and counters.
pub(super) fn accounts(
    settings: &Settings,
    http: &HttpClient,
    registry: &Registry,
    secrets: &Secrets,
    old: &[Client],
) -> prometheus::Result<Vec<ConfiguredAccount>> {
    let account = |account: &poller::AccountSettings| {
        let (api, credentials) = (&settings.cloudflare, account.credentials.clone());
        let old = old.iter().find(|client| *client.account() == account.name);
        let (client, credentials_changed) = if let Some(client) = old {
            let changed = client.reconfigure(api, credentials, http.clone());
            (client.clone(), changed)
        } else {
            let name = account.name.clone();
            let client = Client::new(api, name, credentials, http.clone(), registry, secrets)?;
            (client, true)
        };
        Ok(ConfiguredAccount {
            client,
            zones: account.zones.clone(),
            credentials_changed,
        })
    };
    settings.accounts.iter().map(account).collect()
}

/// What the poller takes from the configuration.
pub(super) fn poller_configuration(
    settings: &Settings,
    ranges: &VendorRanges,
    hosts: &OriginHosts,
    accounts: Vec<ConfiguredAccount>,
) -> poller::Configuration {
    poller::Configuration {
        settings: settings.poller.clone(),
        evaluation: EvaluationConfig {
            expect: settings.expect.clone(),
            verify: settings.verify,
            audit_log: settings.audit_log,
            ranges: ranges.clone(),
            hosts: hosts.clone(),
        },
        accounts,
    }
}

fn register_shard(shard: Shard, registry: &Registry) -> Result<(), prometheus::Error> {
    let ordinal: GaugeVec = metric_families::SHARD_ORDINAL.register(registry)?;
    ordinal
        .with_label_values(&[&shard.ordinal.to_string()])
        .set(f64::from(shard.ordinal));
    let total: Gauge = metric_families::TOTAL_SHARDS.register(registry)?;
    total.set(f64::from(shard.total));
    Ok(())
}
