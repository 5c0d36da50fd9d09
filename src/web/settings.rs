//! Where and how the server listens.

use std::path::PathBuf;

/// How the HTTP server works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` or `:port` (every address of this host, IPv4 and IPv6), at least one unless
    /// `systemd_socket` is set.
    pub listen: Vec<String>,
    /// The path of the metrics, starting with a slash. `/` takes the place of the landing page.
    pub telemetry_path: String,
    /// Scrapes that are served at once; more get 503. 0 is no limit.
    pub max_requests: usize,
    /// TLS and basic authentication, in the format that the Prometheus exporters share.
    pub web_config_file: Option<PathBuf>,
    /// Take the listeners from systemd instead of `listen`.
    pub systemd_socket: bool,
    /// Serve `/-/reload`.
    pub enable_lifecycle: bool,
}
