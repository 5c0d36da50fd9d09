//! The daemon: polls and serves until a signal.

use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::parts::Parts;
use super::rate_limits::RateLimits;
use super::reload::{self, Load};
use super::{Error, logging, signals, sources, supervisor};
use crate::build_info;
use crate::config::Settings;
use crate::exposition::process::ProcessCollector;
use crate::web::{self, Limits, Protection, Router};

/// Serves until SIGTERM or SIGINT. `load` reloads the settings.
pub(super) async fn run(settings: Settings, load: Load) -> Result<ExitCode, Error> {
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
    mut protection: Protection,
    listeners: Vec<TcpListener>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (parts, poller, rate_limits) = Parts::with_storage(&settings)?;
    parts
        .registry
        .register(Box::new(ProcessCollector::new()?))?;
    logging::register(&parts.registry)?;
    protection.register(&parts.registry)?;
    let (reload, reloading) =
        reload::start(load, settings.clone(), parts.clone(), shutdown.clone())?;
    let sources = sources::of(&parts, reload);
    let router = Router::new(&settings.web, sources, &parts.registry)?;
    let (limits, end) = (Limits::default(), shutdown.clone());
    let serving = web::serve(listeners, protection, router, limits, end);
    let mut tasks = JoinSet::new();
    tasks.spawn(poller.run(shutdown.clone()));
    tasks.spawn(parts.hosts.run(shutdown.clone()));
    tasks.spawn(parts.exposition.prepare(parts.ready, shutdown.clone()));
    tasks.spawn(reloading);
    tasks.spawn(supervisor::keep_alive(parts.poller, shutdown.clone()));
    tasks.spawn(serving);
    if let Some(rate_limits) = rate_limits {
        tasks.spawn(rate_limits.run(shutdown.clone()));
    }
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
async fn supervise(mut tasks: JoinSet<()>, shutdown: &CancellationToken) -> Result<(), Error> {
    let stopping = async {
        shutdown.cancelled().await;
        supervisor::stopping();
    };
    let ending = async {
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            shutdown.cancel();
            if let Err(error) = ended {
                result = Err(format!("a task failed: {error}").into());
            }
        }
        result
    };
    tokio::join!(stopping, ending).1
}
