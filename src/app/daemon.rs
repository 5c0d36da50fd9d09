//! The daemon: polls and serves until a signal.

use std::process::ExitCode;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::parts::Parts;
use super::rate_limits::RateLimits;
use super::reload::{Load, Reloader};
use super::{AppError, logging, signals, sources, supervisor};
use crate::build_info;
use crate::config::Settings;
use crate::exposition::process::ProcessCollector;
use crate::web::{self, Limits, Protection, Router};

/// Serves until SIGTERM or SIGINT. `load` reloads the settings.
pub(super) async fn run(settings: Settings, load: Load) -> Result<ExitCode, AppError> {
    let shutdown = signals::shutdown()?;
    info!(
        version = build_info::VERSION,
        revision = build_info::REVISION,
        "starting"
    );
    let protection = Protection::load(settings.web.web_config_file.as_deref())?;
    let listeners = web::bind(&settings.web).await?;
    serve(settings, load, protection, listeners, shutdown).await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Polls and serves on `listeners` until the shutdown, then drains requests in flight. An error is
/// a bug in this program; the service manager should restart it.
pub(super) async fn serve(
    settings: Settings,
    load: Load,
    protection: Protection,
    listeners: Vec<web::Listener>,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    let (parts, poller, rate_limits) = Parts::with_storage(&settings)?;
    parts
        .registry
        .register(Box::new(ProcessCollector::new()?))?;
    logging::register(&parts.registry)?;
    let metrics = web::Metrics::register(&parts.registry)?;
    protection.register(&parts.registry)?;
    let reloader = Reloader::new(load, settings.clone(), parts.clone())?;
    let (reload, reloading) = reloader.start(shutdown.clone())?;
    let sources = sources::of(&parts, reload);
    let router = Router::new(&settings.web, sources, metrics);
    let serving = web::serve(
        listeners,
        protection,
        router,
        Limits::default(),
        shutdown.clone(),
    );
    let alive = supervisor::keep_alive(parts.poller, shutdown.clone());
    let mut tasks = vec![
        tokio::spawn(poller.run(shutdown.clone())),
        tokio::spawn(parts.hosts.run(shutdown.clone())),
        tokio::spawn(parts.exposition.prepare(parts.ready, shutdown.clone())),
        tokio::spawn(reloading),
        tokio::spawn(alive),
        tokio::spawn(serving),
    ];
    let rate_limits = rate_limits.map(|rate_limits| rate_limits.run(shutdown.clone()));
    tasks.extend(rate_limits.map(tokio::spawn));
    supervisor::ready();
    let ended = supervise(tasks, &shutdown).await;
    if let Some(storage) = parts.storage {
        RateLimits::store_last(&parts.clients, &storage);
        if !storage.close().await {
            warn!("the last changes were not written to the storage");
        }
    }
    ended
}

/// Waits for all tasks. When one ends, whether by the shutdown or a bug, the others are stopped.
async fn supervise(
    tasks: Vec<JoinHandle<()>>,
    shutdown: &CancellationToken,
) -> Result<(), AppError> {
    let watch = |task: JoinHandle<()>| {
        let end = shutdown.clone().drop_guard();
        tokio::spawn(async move {
            let _end = end;
            task.await
        })
    };
    let watched: Vec<_> = tasks.into_iter().map(watch).collect();
    shutdown.cancelled().await;
    supervisor::stopping();
    let mut result = Ok(());
    for task in watched {
        if let Err(error) = task.await.and_then(|ended| ended) {
            result = Err(AppError::Broken(format!("a task failed: {error}")));
        }
    }
    result
}
