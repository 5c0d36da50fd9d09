//! Reloads the configuration while the daemon runs, all or nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::Gauge;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::parts::{self, Parts};
use super::{Error, stored_ranges, supervisor};
use crate::config::{ConfigErrors, Settings};
use crate::file_io::Reading;
use crate::http_client::HttpClient;
use crate::metric_families;
use crate::vendor_ranges::VendorRanges;
use crate::web::Reload;

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

/// The error of a reload that the shutdown interrupts.
const STOPPING: &str = "the daemon is stopping";

/// Everything that a reload changes. A single task runs the reloads in sequence.
struct Reloader {
    load: Load,
    reading: Reading<Read>,
    settings: Settings,
    parts: Parts,
    /// Stops the refreshes of the vendors' ranges.
    ranges_end: CancellationToken,
    successful: Gauge,
    success_timestamp: Gauge,
}

/// The configuration that was read, or its mistakes.
type Read = Result<(Settings, HttpClient), String>;

/// Refreshes the vendors' ranges, and reloads at each SIGHUP or request, until the shutdown.
/// `settings` is the current configuration; `load` reads it again.
pub(super) fn start(
    load: Load,
    settings: Settings,
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<(Reload, impl Future<Output = ()> + Send + 'static), Error> {
    let hangup = signal(SignalKind::hangup());
    let mut hangup = hangup.map_err(|error| format!("cannot handle signals: {error}"))?;
    let (sender, mut requests) = mpsc::channel::<oneshot::Sender<Outcome>>(WAITING);
    let mut reloader = Reloader::new(load, settings, parts)?;
    let task = async move {
        reloader.run_ranges(&shutdown);
        loop {
            let mut waiting = Vec::new();
            // One reload answers all earlier requests.
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => info!(signal = "SIGHUP", "configuration reload requested"),
                requests @ 1.. = requests.recv_many(&mut waiting, WAITING) => {
                    info!(requests, "configuration reload requested over HTTP");
                }
            }
            let outcome = reloader.reload(&shutdown).await;
            for request in waiting {
                // The client may be gone.
                drop(request.send(outcome.clone()));
            }
        }
    };
    let reload: Reload = Arc::new(move || {
        let requests = sender.clone();
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            requests.send(answer).await.map_err(|_| STOPPING)?;
            outcome.await.map_err(|_| STOPPING)?
        })
    });
    Ok((reload, task))
}

impl Reloader {
    fn new(load: Load, settings: Settings, parts: Parts) -> prometheus::Result<Self> {
        let registry = &parts.registry;
        let reloader = Self {
            load,
            reading: Reading::new(READING_LIMIT),
            settings,
            successful: metric_families::CONFIG_LAST_RELOAD_SUCCESSFUL.register(registry)?,
            success_timestamp: metric_families::CONFIG_LAST_RELOAD_SUCCESS.register(registry)?,
            parts,
            ranges_end: CancellationToken::new(),
        };
        reloader.succeeded();
        Ok(reloader)
    }

    async fn reload(&mut self, shutdown: &CancellationToken) -> Outcome {
        supervisor::reloading();
        let outcome = self.try_reload(shutdown).await;
        supervisor::ready();
        match &outcome {
            Ok(_) => {
                self.succeeded();
                info!(
                    accounts = self.settings.accounts.len(),
                    "configuration reloaded"
                );
            }
            Err(problems) => {
                self.successful.set(0.0);
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
        let loading = self.reading.read(move || {
            let settings = load().map_err(|errors| errors.to_string())?;
            let http = HttpClient::new(settings.cloudflare.ca_file.as_deref());
            Ok((settings, http.map_err(|error| error.to_string())?))
        });
        let loaded = shutdown
            .run_until_cancelled(loading)
            .await
            .ok_or(STOPPING)?;
        let (settings, http) = loaded.map_err(|error| format!("the configuration {error}"))??;
        for warning in &settings.warnings {
            warn!("{warning}");
        }
        let hosts = self.parts.hosts.reconfigure(settings.hosts.clone());
        hosts.map_err(|error| format!("cannot resolve host names: {error}"))?;
        let (registry, secrets) = (&self.parts.registry, &self.parts.secrets);
        let old = self.parts.clients.load_full();
        let accounts = parts::accounts(&settings, &http, registry, secrets, &old)
            .map_err(|error| error.to_string())?;
        let clients = accounts.iter().map(|account| account.client.clone());
        self.parts.clients.store(Arc::new(clients.collect()));
        self.replace_ranges(&settings, &http, shutdown);
        let (ranges, hosts) = (&self.parts.ranges, &self.parts.hosts);
        let configuration = parts::poller_configuration(&settings, ranges, hosts, accounts);
        if !self.parts.poller.reconfigure(configuration).await {
            return Err(STOPPING.to_owned());
        }
        let history = &self.parts.history;
        history.configure(&settings.history, Timestamp::now());
        for client in old.iter() {
            let mut accounts = settings.accounts.iter();
            if accounts.all(|account| account.name != *client.account()) {
                client.unregister_metrics(&self.parts.registry);
            }
        }
        let (exposition, detail) = (self.parts.exposition.clone(), settings.detail);
        // Waits for a body that is being rendered.
        drop(tokio::task::spawn_blocking(move || exposition.show_detail(detail)).await);
        self.settings = settings;
        Ok(IN_FORCE.to_owned())
    }

    /// Ranges with unchanged settings stay loaded, and so do those with an unchanged source.
    fn replace_ranges(
        &mut self,
        settings: &Settings,
        http: &HttpClient,
        shutdown: &CancellationToken,
    ) {
        if self.settings.vendor_ranges != settings.vendor_ranges
            || self.settings.cloudflare.ca_file != settings.cloudflare.ca_file
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

    fn succeeded(&self) {
        let now = Timestamp::now().as_duration();
        self.successful.set(1.0);
        self.success_timestamp.set(now.as_secs_f64());
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
        let shutdown = CancellationToken::new();
        let _end = shutdown.clone().drop_guard();
        tokio::spawn(poller.run(shutdown.clone()));
        let (reload, task) = start(load, settings, parts, shutdown).unwrap();
        tokio::spawn(task);

        let first = tokio::spawn(reload());
        begun.recv().await.unwrap();
        let mut others = tokio::task::JoinSet::new();
        for _ in 0..REQUESTS {
            let mut request = reload();
            let waiting = tokio::time::timeout(Duration::ZERO, &mut request).await;
            assert!(waiting.is_err(), "a reload is in progress");
            others.spawn(request);
        }
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
