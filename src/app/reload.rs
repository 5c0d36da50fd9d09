//! Reloads the configuration while the daemon runs, all or nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Gauge, Registry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::parts::{self, Parts};
use super::{AppError, stored_ranges, supervisor};
use crate::cloudflare::Client;
use crate::config::{ConfigErrors, Settings};
use crate::file_io::Reading;
use crate::http_client::HttpClient;
use crate::metric_families;
use crate::poller::{Reconfiguration, ReconfiguredAccount};
use crate::vendor_ranges::VendorRanges;
use crate::web::Reloading;

/// Reads the configuration, as at startup.
pub(super) type Load = Arc<dyn Fn() -> Result<Settings, ConfigErrors> + Send + Sync>;

/// The time limit for reading the configuration and its file of certificate authorities. Only a
/// hung file system takes longer.
const READING_LIMIT: Duration = Duration::from_secs(30);

/// The most reload requests that wait for the current reload; they share the next one. Each takes a
/// few bytes.
const WAITING: usize = 4096;

/// The result of a reload, described for the client that requested it.
type Outcome = Result<String, String>;

const IN_FORCE: &str = "The new configuration is in force. Flags, among them the addresses to \
                        listen on, stay as they are until a restart.";

/// Everything that a reload changes. A single task runs the reloads in sequence.
pub(super) struct Reloader {
    load: Load,
    reading: Reading<Read>,
    settings: Settings,
    parts: Parts,
    /// Stops the refreshes of the vendors' ranges.
    ranges_end: CancellationToken,
    metrics: Metrics,
}

/// The configuration that was read, or its mistakes.
type Read = Result<(Settings, HttpClient), String>;

struct Metrics {
    successful: Gauge,
    success_timestamp: Gauge,
}

/// Requests reloads. Clones reach the same task.
#[derive(Clone)]
pub(super) struct ReloadHandle(mpsc::Sender<oneshot::Sender<Outcome>>);

impl ReloadHandle {
    /// Reloads and returns the result.
    pub(super) fn reload(&self) -> Reloading {
        let Self(requests) = self.clone();
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            let ending = || "the daemon is stopping".to_owned();
            requests.send(answer).await.map_err(|_| ending())?;
            outcome.await.map_err(|_| ending())?
        })
    }
}

impl Reloader {
    /// `settings` is the current configuration; `load` reads it again.
    pub(super) fn new(load: Load, settings: Settings, parts: Parts) -> Result<Self, AppError> {
        let metrics = Metrics::register(&parts.registry)?;
        metrics.succeeded(Timestamp::now());
        Ok(Self {
            load,
            reading: Reading::new(READING_LIMIT),
            settings,
            parts,
            ranges_end: CancellationToken::new(),
            metrics,
        })
    }

    /// Refreshes the vendors' ranges, and reloads at each SIGHUP or request, until the shutdown.
    pub(super) fn start(
        mut self,
        shutdown: CancellationToken,
    ) -> Result<(ReloadHandle, impl Future<Output = ()> + Send + 'static), AppError> {
        let fail = |error| AppError::Broken(format!("cannot handle signals: {error}"));
        let mut hangup = signal(SignalKind::hangup()).map_err(fail)?;
        let (sender, mut requests) = mpsc::channel::<oneshot::Sender<Outcome>>(WAITING);
        let task = async move {
            self.run_ranges(&shutdown);
            loop {
                let (mut signalled, mut waiting) = (false, Vec::new());
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    _ = hangup.recv() => signalled = true,
                    Some(first) = requests.recv() => waiting.push(first),
                }
                // One reload answers all earlier requests.
                while let Ok(next) = requests.try_recv() {
                    waiting.push(next);
                }
                tokio::select! {
                    biased;
                    _ = hangup.recv() => signalled = true,
                    () = std::future::ready(()) => {}
                }
                if signalled {
                    info!(signal = "SIGHUP", "configuration reload requested");
                }
                if !waiting.is_empty() {
                    info!(
                        requests = waiting.len(),
                        "configuration reload requested over HTTP"
                    );
                }
                let outcome = self.reload(&shutdown).await;
                for request in waiting {
                    // The client may be gone.
                    drop(request.send(outcome.clone()));
                }
            }
        };
        Ok((ReloadHandle(sender), task))
    }

    async fn reload(&mut self, shutdown: &CancellationToken) -> Outcome {
        supervisor::reloading();
        let outcome = self.try_reload(shutdown).await;
        supervisor::ready();
        match &outcome {
            Ok(_) => {
                self.metrics.succeeded(Timestamp::now());
                info!(
                    accounts = self.settings.accounts.len(),
                    "configuration reloaded"
                );
            }
            Err(problems) => {
                self.metrics.successful.set(0.0);
                for problem in problems.lines() {
                    error!(
                        problem,
                        "configuration reload failed, the old configuration stays in force"
                    );
                }
            }
        }
        self.parts.exposition.forget_bodies();
        outcome
    }

    /// Completes everything that can fail before it makes the first change.
    async fn try_reload(&mut self, shutdown: &CancellationToken) -> Outcome {
        let load = Arc::clone(&self.load);
        // Reading a file may hang. The shutdown does not wait for it.
        let loading = self.reading.read_anew(move || {
            let settings = load().map_err(|errors| errors.to_string())?;
            let http = parts::build_http_client(&settings).map_err(|error| error.to_string())?;
            Ok((settings, http))
        });
        let Some(loaded) = shutdown.run_until_cancelled(loading).await else {
            return Err("the daemon is stopping".to_owned());
        };
        let (settings, http) = loaded.map_err(|error| format!("the configuration {error}"))??;
        for warning in &settings.warnings {
            warn!("{warning}");
        }
        let hosts = self.parts.hosts.reconfigure(settings.hosts.clone());
        hosts.map_err(|error| format!("cannot resolve host names: {error}"))?;
        let (accounts, gone) = self.replace_clients(&settings, &http);
        self.replace_ranges(&settings, &http, shutdown);
        let change = Reconfiguration {
            settings: settings.poller.clone(),
            evaluation: parts::evaluation(&settings, &self.parts.ranges, &self.parts.hosts),
            accounts,
        };
        if !self.parts.poller.reconfigure(change).await {
            return Err("the daemon is stopping".to_owned());
        }
        let history = &self.parts.history;
        history.configure(&settings.history, Timestamp::now());
        for client in &gone {
            client.forget_metrics();
        }
        let (exposition, detail) = (self.parts.exposition.clone(), settings.detail);
        // Waits for a body that is being rendered.
        drop(tokio::task::spawn_blocking(move || exposition.show_detail(detail)).await);
        self.settings = settings;
        Ok(IN_FORCE.to_owned())
    }

    /// Replaces the clients, and returns the accounts, and the clients of removed accounts.
    /// Remaining accounts keep their client, with its rate limit and counters.
    fn replace_clients(
        &self,
        settings: &Settings,
        http: &HttpClient,
    ) -> (Vec<ReconfiguredAccount>, Vec<Client>) {
        let clients = self.parts.clients.load();
        let mut old: HashMap<_, _> = clients
            .iter()
            .map(|client| (client.account().clone(), client.clone()))
            .collect();
        let mut accounts = Vec::new();
        for account in &settings.accounts {
            let api = &settings.cloudflare;
            let credentials = account.credentials.clone();
            let kept = old.remove(&account.name);
            let (client, credentials_changed) = if let Some(client) = kept {
                let changed = client.reconfigure(api, credentials, http.clone());
                (client, changed)
            } else {
                let (metrics, secrets) = (&self.parts.api_metrics, &self.parts.secrets);
                let name = account.name.clone();
                let client = Client::new(api, name, credentials, http.clone(), metrics, secrets);
                (client, true)
            };
            accounts.push(ReconfiguredAccount {
                client,
                zones: account.zones.clone(),
                credentials_changed,
            });
        }
        let clients = accounts.iter().map(|account| account.client.clone());
        self.parts.clients.store(Arc::new(clients.collect()));
        (accounts, old.into_values().collect())
    }

    /// Ranges with unchanged settings stay loaded, and so do those with an unchanged source.
    fn replace_ranges(
        &mut self,
        settings: &Settings,
        http: &HttpClient,
        shutdown: &CancellationToken,
    ) {
        let (old, new) = (&self.settings, settings);
        if old.vendor_ranges != new.vendor_ranges
            || old.cloudflare.ca_file != new.cloudflare.ca_file
        {
            self.ranges_end.cancel();
            let http = http.connections().client().clone();
            let metrics = &self.parts.range_metrics;
            let new = VendorRanges::new(&settings.vendor_ranges, http, metrics);
            new.take_over(&self.parts.ranges);
            self.parts.ranges = new;
            self.run_ranges(shutdown);
        }
    }

    fn run_ranges(&mut self, shutdown: &CancellationToken) {
        let (ranges, end) = (&self.parts.ranges, shutdown.child_token());
        tokio::spawn(ranges.clone().run(end.clone()));
        if let Some(storage) = self.parts.storage.clone() {
            tokio::spawn(stored_ranges::keep(ranges.clone(), storage, end.clone()));
        }
        self.ranges_end = end;
    }
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            successful: metric_families::CONFIG_LAST_RELOAD_SUCCESSFUL.register(registry)?,
            success_timestamp: metric_families::CONFIG_LAST_RELOAD_SUCCESS.register(registry)?,
        })
    }

    fn succeeded(&self, at: Timestamp) {
        self.successful.set(1.0);
        self.success_timestamp.set(at.as_duration().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, mpsc};

    use super::*;
    use crate::config::{self, Environment, Format, ProcessFlags};

    #[tokio::test]
    async fn a_configuration_that_hangs_fails_its_reload_and_costs_one_thread() {
        let text = "cloudflare: { base_url: 'http://127.0.0.1:9' }";
        let environment = Environment::new([("CLOUDFLARE_API_TOKEN", "token")], None);
        let flags = ProcessFlags::default();
        let read = move || config::load_text("x", Format::Yaml, text, &flags, &environment);
        let settings = read().unwrap();
        let (end, hanging) = mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let load: Load = Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            hanging.lock().unwrap().recv().ok();
            read()
        });
        let (parts, poller) = Parts::new(&settings).unwrap();
        let mut reloader = Reloader::new(load, settings, parts.clone()).unwrap();
        reloader.reading = Reading::new(Duration::from_millis(50));
        let shutdown = CancellationToken::new();
        let _end = shutdown.clone().drop_guard();
        tokio::spawn(poller.run(shutdown.clone()));
        let successful = || {
            let name = "cloudflare_origin_region_exporter_config_last_reload_successful";
            let families = parts.registry.gather();
            let family = families.iter().find(|family| family.name() == name)?;
            Some(family.get_metric()[0].get_gauge().get_value())
        };
        assert_eq!(successful(), Some(1.0));
        for _ in 0..3 {
            let problem = reloader.reload(&shutdown).await.unwrap_err();
            assert!(
                problem.starts_with("the configuration was not read within "),
                "{problem}"
            );
            assert_eq!(successful(), Some(0.0));
        }
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        drop(end);
        // A result that came too late is outdated: the next reload reads again.
        reloader.reading = Reading::new(READING_LIMIT);
        drop(reloader.reading.hang(Err("too old".to_owned())));
        reloader.reading.ended().await;
        reloader.reload(&shutdown).await.unwrap();
        assert_eq!(successful(), Some(1.0));
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn requests_during_a_reload_share_the_next_one() {
        const REQUESTS: usize = 200;
        let text = "cloudflare: { base_url: 'http://127.0.0.1:9' }";
        let environment = Environment::new([("CLOUDFLARE_API_TOKEN", "token")], None);
        let flags = ProcessFlags::default();
        let read = move || config::load_text("x", Format::Yaml, text, &flags, &environment);
        let settings = read().unwrap();
        let (proceed, waiting) = mpsc::channel::<()>();
        let waiting = Mutex::new(waiting);
        let (begins, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let load: Load = Arc::new(move || {
            begins.send(()).unwrap();
            waiting.lock().unwrap().recv().ok();
            read()
        });
        let (parts, poller) = Parts::new(&settings).unwrap();
        let reloader = Reloader::new(load, settings, parts).unwrap();
        let shutdown = CancellationToken::new();
        let _end = shutdown.clone().drop_guard();
        tokio::spawn(poller.run(shutdown.clone()));
        let (handle, task) = reloader.start(shutdown.clone()).unwrap();
        tokio::spawn(task);

        let first = tokio::spawn(handle.reload());
        begun.recv().await.unwrap();
        let mut others = tokio::task::JoinSet::new();
        for _ in 0..REQUESTS {
            others.spawn(handle.reload());
        }
        let all_wait = async {
            while WAITING - handle.0.capacity() < REQUESTS {
                tokio::task::yield_now().await;
            }
        };
        let all_wait = tokio::time::timeout(READING_LIMIT, all_wait).await;
        all_wait.expect("all requests wait");
        proceed.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(IN_FORCE.to_owned()));
        begun.recv().await.unwrap();
        assert!(others.try_join_next().is_none(), "they wait for the second");
        proceed.send(()).unwrap();
        let outcomes = tokio::time::timeout(READING_LIMIT, others.join_all()).await;
        let outcomes = outcomes.expect("no third reload");
        assert!(outcomes.iter().all(Result::is_ok) && outcomes.len() == REQUESTS);
        assert!(begun.try_recv().is_err());
    }
}
