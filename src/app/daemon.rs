//! The daemon: polls and serves until a signal.

use std::process::ExitCode;
use std::sync::Arc;

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
    let parts = Parts::with_storage(&settings)?;
    parts
        .registry
        .register(Box::new(ProcessCollector::new()?))?;
    logging::register(&parts.registry)?;
    let metrics = web::Metrics::register(&parts.registry)?;
    protection.register(&parts.registry)?;
    let reloader = Reloader::new(load, settings.clone(), &parts)?;
    let (reload, reloading) = reloader.start(shutdown.clone())?;
    let sources = sources::of(&parts, reload);
    let exposition = parts.exposition.clone();
    let (storage, clients) = (parts.storage.clone(), Arc::clone(&parts.clients));
    let router = Router::new(&settings.web, sources, metrics);
    let serving = web::serve(
        listeners,
        protection,
        router,
        Limits::default(),
        shutdown.clone(),
    );
    let all = [
        tokio::spawn(parts.poller.run(shutdown.clone())),
        tokio::spawn(parts.hosts.clone().run(shutdown.clone())),
        tokio::spawn(exposition.keep_prepared(shutdown.clone())),
        tokio::spawn(reloading),
        tokio::spawn(keep_rate_limits(parts.rate_limits, shutdown.clone())),
        tokio::spawn(supervisor::keep_alive(
            parts.poller_handle.clone(),
            shutdown.clone(),
        )),
        tokio::spawn(serving),
    ];
    supervisor::ready();
    let ended = supervise(all, &shutdown).await;
    if let Some(storage) = storage {
        RateLimits::store_last(&clients, &storage);
        if !storage.close().await {
            warn!("the last changes were not written to the storage");
        }
    }
    ended
}

async fn keep_rate_limits(rate_limits: Option<RateLimits>, shutdown: CancellationToken) {
    match rate_limits {
        Some(rate_limits) => rate_limits.run(shutdown).await,
        None => shutdown.cancelled().await,
    }
}

/// Waits for all tasks. When one ends, whether by the shutdown or a bug, the others are stopped.
async fn supervise<const N: usize>(
    parts: [JoinHandle<()>; N],
    shutdown: &CancellationToken,
) -> Result<(), AppError> {
    let watched = parts.map(|part| {
        let end = shutdown.clone().drop_guard();
        tokio::spawn(async move {
            let _end = end;
            part.await
        })
    });
    shutdown.cancelled().await;
    supervisor::stopping();
    let mut result = Ok(());
    for part in watched {
        if let Err(error) = part.await.and_then(|ended| ended) {
            result = Err(AppError::Broken(format!("a part broke off: {error}")));
        }
    }
    result
}
