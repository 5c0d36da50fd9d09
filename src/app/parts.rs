//! Builds the components of the program from the settings.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, Registry};
use tokio::sync::watch;

use super::rate_limits::RateLimits;
use super::{AppError, stored_ranges};
use crate::build_info;
use crate::cloudflare::{self, Client, Secrets};
use crate::config::Settings;
use crate::exposition::{self, BuildInfo, Exposition, WHOLE_AT_MOST};
use crate::history::{CAPACITY_WITHOUT_STORAGE, History};
use crate::http_client::{HttpClient, HttpClientError};
use crate::metric_families;
use crate::origin_hosts::{self, OriginHosts};
use crate::poller::{self, EvaluationConfig, Poller, PollerHandle, Recorder, Shard};
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
    pub(super) api_metrics: cloudflare::Metrics,
    pub(super) secrets: Secrets,
    pub(super) range_metrics: vendor_ranges::Metrics,
    pub(super) history: History,
    pub(super) storage: Option<Storage>,
}

impl Parts {
    /// The components, and the poller, which is to be run.
    pub(super) fn new(settings: &Settings) -> Result<(Self, Poller), AppError> {
        let registry = Registry::new();
        let snapshot = Snapshot::default();
        let http = build_http_client(settings)?;
        let api_metrics = cloudflare::Metrics::register(&registry)?;
        let secrets = Secrets::default();
        let clients = clients(settings, &http, &api_metrics, &secrets);
        let selections = settings
            .accounts
            .iter()
            .map(|account| account.zones.clone());
        let range_metrics = vendor_ranges::Metrics::register(&registry)?;
        let ranges = VendorRanges::new(
            &settings.vendor_ranges,
            http.connections().client().clone(),
            &range_metrics,
        );
        let host_metrics = origin_hosts::Metrics::register(&registry)?;
        let hosts = OriginHosts::new(settings.hosts.clone(), host_metrics)
            .map_err(|error| AppError::Broken(format!("cannot resolve host names: {error}")))?;
        let (poller, handle, ready) = Poller::new(
            settings.poller.clone(),
            evaluation(settings, &ranges, &hosts),
            clients.iter().cloned().zip(selections).collect(),
            snapshot.clone(),
            poller::Metrics::register(&registry)?,
        );
        register_shard(settings.poller.shard, &registry)?;
        let exposition = Exposition::new(
            exposition::Settings {
                detail: settings.detail,
                whole_at_most: WHOLE_AT_MOST,
                build: BUILD,
            },
            snapshot.clone(),
            registry.clone(),
        );
        let parts = Self {
            registry,
            snapshot,
            clients: Arc::new(ArcSwap::from_pointee(clients)),
            poller: handle,
            ready,
            exposition,
            ranges,
            hosts,
            api_metrics,
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
    ) -> Result<(Self, Poller, Option<RateLimits>), AppError> {
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

/// The HTTP client for all accounts and the vendors' ranges.
pub(super) fn build_http_client(settings: &Settings) -> Result<HttpClient, HttpClientError> {
    HttpClient::new(settings.cloudflare.ca_file.as_deref())
}

/// The API clients of all accounts, in the order of the configuration.
pub(super) fn clients(
    settings: &Settings,
    http: &HttpClient,
    metrics: &cloudflare::Metrics,
    secrets: &Secrets,
) -> Vec<Client> {
    let client = |account: &poller::AccountSettings| {
        Client::new(
            &settings.cloudflare,
            account.name.clone(),
            account.credentials.clone(),
            http.clone(),
            metrics,
            secrets,
        )
    };
    settings.accounts.iter().map(client).collect()
}

/// What mappings are evaluated against.
pub(super) fn evaluation(
    settings: &Settings,
    ranges: &VendorRanges,
    hosts: &OriginHosts,
) -> EvaluationConfig {
    EvaluationConfig {
        expect: settings.expect.clone(),
        verify: settings.verify,
        audit_log: settings.audit_log,
        ranges: ranges.clone(),
        hosts: hosts.clone(),
    }
}

const BUILD: BuildInfo = BuildInfo {
    version: build_info::VERSION,
    revision: build_info::REVISION,
    rustc: build_info::RUSTC,
};

fn register_shard(shard: Shard, registry: &Registry) -> Result<(), prometheus::Error> {
    let ordinal: GaugeVec = metric_families::SHARD_ORDINAL.register(registry)?;
    ordinal
        .with_label_values(&[&shard.ordinal.to_string()])
        .set(f64::from(shard.ordinal));
    let total: Gauge = metric_families::TOTAL_SHARDS.register(registry)?;
    total.set(f64::from(shard.total));
    Ok(())
}
