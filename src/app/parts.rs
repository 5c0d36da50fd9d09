//! The parts of the program, put together from the settings.

use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, Opts, Registry};
use tokio::sync::watch;

use super::AppError;
use crate::build_info;
use crate::cloudflare::{self, Client};
use crate::config::Settings;
use crate::exposition::{self, BuildInfo, Exposition};
use crate::outbound::{self, OutboundError};
use crate::poller::{self, Judging, Poller, Shard};
use crate::snapshot::Snapshot;
use crate::vendor_ranges::{self, VendorRanges};

/// What every command that polls is made of.
pub(super) struct Parts {
    pub(super) registry: Registry,
    pub(super) snapshot: Snapshot,
    pub(super) clients: Vec<Client>,
    pub(super) poller: Poller,
    pub(super) ready: watch::Receiver<bool>,
    pub(super) exposition: Exposition,
    pub(super) ranges: VendorRanges,
}

impl Parts {
    pub(super) fn new(settings: &Settings) -> Result<Self, AppError> {
        let registry = Registry::new();
        let snapshot = Snapshot::default();
        let clients = clients(settings, &registry)?;
        let ranges = vendor_ranges(settings, &registry)?;
        let judging = Judging {
            expect: settings.expect.clone(),
            verify: settings.verify,
            ranges: ranges.clone(),
        };
        let (poller, ready) = Poller::new(
            settings.poller.clone(),
            judging,
            clients.clone(),
            snapshot.clone(),
            poller::Metrics::register(&registry)?,
        );
        register_shard(settings.poller.shard, &registry)?;
        register_configuration(&registry)?;
        let exposition = Exposition::new(
            exposition::Settings {
                detail: settings.detail,
                build: BUILD,
            },
            snapshot.clone(),
            registry.clone(),
        );
        Ok(Self {
            registry,
            snapshot,
            clients,
            poller,
            ready,
            exposition,
            ranges,
        })
    }
}

/// The API clients of all accounts, in the order of the configuration.
pub(super) fn clients(settings: &Settings, registry: &Registry) -> Result<Vec<Client>, AppError> {
    let http = http_client(settings)?;
    let metrics = cloudflare::Metrics::register(registry)?;
    Ok(settings
        .accounts
        .iter()
        .map(|account| {
            Client::new(
                &settings.cloudflare,
                account.clone(),
                http.clone(),
                &metrics,
            )
        })
        .collect())
}

/// The vendors' ranges; nothing is read yet.
fn vendor_ranges(settings: &Settings, registry: &Registry) -> Result<VendorRanges, AppError> {
    let http = http_client(settings)?;
    let metrics = vendor_ranges::Metrics::register(registry)?;
    Ok(VendorRanges::new(&settings.vendor_ranges, http, &metrics))
}

fn http_client(settings: &Settings) -> Result<reqwest::Client, AppError> {
    let client = outbound::client_builder(settings.cloudflare.ca_file.as_deref())?.build();
    Ok(client.map_err(|error| OutboundError::Client(outbound::describe(error)))?)
}

const BUILD: BuildInfo = BuildInfo {
    version: build_info::VERSION,
    revision: build_info::REVISION,
    rustc: build_info::RUSTC,
};

fn register_shard(shard: Shard, registry: &Registry) -> Result<(), prometheus::Error> {
    let ordinal = GaugeVec::new(
        Opts::new(
            "cloudflare_origin_region_exporter_shard_ordinal",
            "The number of this process among those that share the zones, from 0.",
        ),
        &["shard_ordinal"],
    )?;
    ordinal
        .with_label_values(&[&shard.ordinal.to_string()])
        .set(f64::from(shard.ordinal));
    let total = Gauge::new(
        "cloudflare_origin_region_exporter_total_shards",
        "How many processes share the zones.",
    )?;
    total.set(f64::from(shard.total));
    registry.register(Box::new(ordinal))?;
    registry.register(Box::new(total))
}

/// The configuration was read, or there would be no registry.
fn register_configuration(registry: &Registry) -> Result<(), prometheus::Error> {
    let successful = Gauge::new(
        "cloudflare_origin_region_exporter_config_last_reload_successful",
        "Whether the last reading of the configuration succeeded: 1 or 0.",
    )?;
    let at = Gauge::new(
        "cloudflare_origin_region_exporter_config_last_reload_success_timestamp_seconds",
        "When the configuration was last read successfully, in Unix seconds.",
    )?;
    successful.set(1.0);
    at.set(Timestamp::now().as_duration().as_secs_f64());
    registry.register(Box::new(successful))?;
    registry.register(Box::new(at))
}
