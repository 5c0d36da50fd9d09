//! The daemon: polls and serves until a signal.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::parts::Parts;
use super::{AppError, signals};
use crate::build_info;
use crate::config::Settings;
use crate::exposition::process::ProcessCollector;
use crate::web::{self, Handlers, Limits};

/// Serves until SIGTERM or SIGINT.
pub(super) async fn run(settings: Settings) -> Result<ExitCode, AppError> {
    let shutdown = signals::shutdown()?;
    info!(
        version = build_info::VERSION,
        revision = build_info::REVISION,
        "starting"
    );
    let listeners = web::bind(&settings.web).await?;
    serve(settings, listeners, shutdown).await?;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Polls and serves on `listeners` until the shutdown, and then until what is in flight is
/// answered. An error is a defect of this program, and what restarts it should.
pub(super) async fn serve(
    settings: Settings,
    listeners: Vec<web::Listener>,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    let parts = Parts::new(&settings)?;
    parts
        .registry
        .register(Box::new(ProcessCollector::new()?))?;
    let metrics = web::Metrics::register(&parts.registry)?;
    let exposition = parts.exposition.clone();
    let render: web::Render = Arc::new(move |encoding| {
        let exposition = exposition.clone();
        Box::pin(async move { exposition.render(encoding).await })
    });
    let handlers = Handlers::new(
        &settings.web,
        render,
        parts.snapshot.clone(),
        parts.ready,
        metrics,
    );
    let polling = tokio::spawn(parts.poller.run(shutdown.clone()));
    let refreshing = tokio::spawn(parts.ranges.run(shutdown.clone()));
    let serving = tokio::spawn(web::serve(
        listeners,
        handlers,
        Limits::default(),
        shutdown.clone(),
    ));
    let (polled, refreshed, served) = tokio::join!(
        supervise(polling, &shutdown),
        supervise(refreshing, &shutdown),
        supervise(serving, &shutdown),
    );
    polled.and(refreshed).and(served)
}

/// Waits for a part. Whichever ends first, by the shutdown or by a defect, ends the others.
async fn supervise(part: JoinHandle<()>, shutdown: &CancellationToken) -> Result<(), AppError> {
    let ended = part.await;
    shutdown.cancel();
    ended.map_err(|error| AppError::Broken(format!("a part broke off: {error}")))
}
