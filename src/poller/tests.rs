use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use tokio::sync::oneshot;

use super::tasks::{Poll, Urgency};
use super::*;
use crate::cloudflare::{self, CallBudget, Client, Credentials, RateLimit, Secret, Secrets};
use crate::http_client::{HttpClient, client_builder};
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

/// An account whose API cannot be reached.
pub(super) fn account() -> Account {
    let settings = cloudflare::Settings {
        base_url: "http://127.0.0.1:1".parse().unwrap(),
        ca_file: None,
        rate_limit: RateLimit {
            requests: 1000,
            window: Duration::from_mins(5),
            share: 1.0,
        },
        concurrency: 8,
        timeout: Duration::from_secs(1),
        retries: 0,
    };
    let client = Client::new(
        &settings,
        AccountName::parse("main").unwrap(),
        Credentials::Token(Secret::Inline("token".into())),
        HttpClient::new(None).unwrap(),
        &Registry::new(),
        &Secrets::default(),
    )
    .unwrap();
    Account::new(client, ZoneSelection::Ids(Vec::new()), Instant::now())
}

#[tokio::test(start_paused = true)]
async fn a_poller_with_a_poll_that_hangs_does_not_count_as_alive() {
    let (mut poller, handle) = poller();
    let mut account = account();
    let zone = ZoneId::parse("zone").unwrap();
    let poll = Poll {
        _task: CancellationToken::new().drop_guard(),
        urgency: Urgency::Regular,
        late: Duration::from_secs(2),
        call: Arc::new(CallBudget::new(Duration::from_mins(2))),
    };
    account.polling.insert(zone.clone(), poll);
    account.show_lag(&poller.context);
    let lag = &poller.context.metrics.lag;
    assert!((lag.with_label_values(&["main"]).get() - 2.0).abs() < 1e-9);
    poller.accounts.insert(account.name().clone(), account);
    let is_alive = |poller: &mut Poller| {
        let (done, mut answer) = oneshot::channel();
        poller.obey(Command::Ping(done));
        answer.try_recv().is_ok()
    };
    tokio::time::advance(Duration::from_mins(2)).await;
    assert!(is_alive(&mut poller), "its time-out ends it");
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(!is_alive(&mut poller));
    poller.accounts.clear();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(poller.run(shutdown.clone()));
    assert!(handle.ping().await);
    shutdown.cancel();
    running.await.unwrap();
    assert!(!handle.ping().await);
}
