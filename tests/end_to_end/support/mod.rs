//! Programs that tests start on free ports and stop at the end.

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

/// The time limit of every wait. The slowest event, an alert with a pending period of a minute,
/// takes a little longer than a minute on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);
/// The time between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(250);

/// Calls `look` until it succeeds, and returns its result.
///
/// # Panics
///
/// If `look` does not succeed in time, with its last error.
pub(crate) async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => {
                panic!("timed out waiting for {what}: {seen}")
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// An HTTP client with the settings of the exporter.
pub(crate) fn http() -> reqwest::Client {
    http_client::client_builder(None).unwrap().build().unwrap()
}

/// Reads a file of this repository.
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Replaces every occurrence of `from`. Panics if there is none.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "no {from:?} to replace in:\n{text}");
    text.replace(from, to)
}
