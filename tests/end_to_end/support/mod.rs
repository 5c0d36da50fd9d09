//! The programs, started on free ports and stopped with the test.

pub(crate) mod alertmanager;
pub(crate) mod exporter;
pub(crate) mod official_client;
pub(crate) mod program;
pub(crate) mod prometheus;
pub(crate) mod ranges;
pub(crate) mod rules;
pub(crate) mod webhook;

use std::path::Path;
use std::time::Duration;

use cloudflare_origin_region_exporter::http_client;
use tokio::time::{Instant, sleep};

/// Everything that is to happen happens within this time, or the test fails. The slowest, an alert
/// that is pending for a minute, takes a little longer than that on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// Between two looks at what is to happen.
const PAUSE: Duration = Duration::from_millis(250);

/// What `look` finds, which it is asked for again and again until it is there.
///
/// # Panics
///
/// With what `look` said last, if it has not come in time.
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => panic!("{what} has not come: {seen}"),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A client with the settings of the exporter's own.
pub(crate) fn http() -> reqwest::Client {
    http_client::client_builder(None).unwrap().build().unwrap()
}

/// A file of this repository.
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with every `from` replaced, of which there must be one.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} to replace in:\n{text}");
    text.replace(from, to)
}
