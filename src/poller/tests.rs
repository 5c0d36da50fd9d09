use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use super::*;
use crate::cloudflare::CallBudget;
use crate::http_client::client_builder;
use crate::snapshot::StaleAfter;
use crate::{origin_hosts, vendor_ranges};

pub(super) fn settings() -> Settings {
    Settings {
        interval: Duration::from_mins(5),
        discovery_interval: Duration::from_mins(5),
        retain: Duration::from_hours(1),
        stale_after: StaleAfter::Never,
        overrides: Vec::new(),
        shard: Shard::SINGLE,
    }
}

/// A configuration with the defaults, without checks and vendor ranges.
pub(super) fn config() -> EvaluationConfig {
    let settings = vendor_ranges::Settings {
        enabled: false,
        refresh: Duration::from_hours(24),
        sources: BTreeMap::new(),
    };
    let http = client_builder(None).unwrap().build().unwrap();
    let registry = Registry::new();
    let metrics = vendor_ranges::Metrics::register(&registry).unwrap();
    let host_metrics = origin_hosts::Metrics::register(&registry).unwrap();
    EvaluationConfig {
        expect: ExpectSettings::default(),
        verify: VerifySettings {
            supported_regions: false,
            tiered_cache: false,
        },
        audit_log: AuditLogSettings::default(),
        ranges: VendorRanges::new(&settings, http, &metrics),
        hosts: OriginHosts::new(origin_hosts::Settings::default(), host_metrics).unwrap(),
    }
}

/// A poller without accounts.
fn poller() -> (Poller, PollerHandle) {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let configuration = Configuration {
        settings: settings(),
        evaluation: config(),
        accounts: Vec::new(),
    };
    let (poller, handle, _) = Poller::new(configuration, Snapshot::default(), metrics);
    (poller, handle)
}

/// What the accounts of such a poller share.
pub(super) fn context() -> Context {
    poller().0.context
}

#[tokio::test(start_paused = true)]
async fn a_poller_with_a_poll_that_hangs_does_not_count_as_alive() {
    let (poller, handle) = poller();
    let lag = poller.context.metrics.lag.clone();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(poller.run(shutdown.clone()));
    let (account, zone) = (
        AccountName::parse("main").unwrap(),
        ZoneId::parse("zone").unwrap(),
    );
    let call = Arc::new(CallBudget::new(Duration::from_mins(2)));
    lag.started(&account, zone.clone(), Duration::ZERO, call);
    tokio::time::advance(Duration::from_mins(2)).await;
    assert!(handle.ping().await, "its time-out ends it");
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(!handle.ping().await);
    lag.ended(&account, &zone);
    assert!(handle.ping().await);
    shutdown.cancel();
    running.await.unwrap();
    assert!(!handle.ping().await);
}
