//! Logs on standard error, as logfmt or JSON.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, LogSettings};

/// The most that libraries may say: at finer levels they print headers and addresses, which may
/// hold secrets.
const LIBRARIES: LevelFilter = LevelFilter::WARN;

/// Sets up logging for the whole process. A second call changes nothing.
pub(super) fn init(settings: &LogSettings) {
    let filter = Targets::new()
        .with_default(LIBRARIES.min(LevelFilter::from_level(settings.level)))
        .with_target(
            env!("CARGO_CRATE_NAME"),
            LevelFilter::from_level(settings.level),
        );
    let layer = match settings.format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .layer()
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_writer(io::stderr)
            .boxed(),
    };
    // A subscriber that is there already is a test's, and stays.
    drop(
        tracing_subscriber::registry()
            .with(layer.with_filter(filter))
            .try_init(),
    );
}
