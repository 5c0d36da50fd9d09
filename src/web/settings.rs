//! The settings of the HTTP server.

use std::path::PathBuf;

/// The settings of the HTTP server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, or `:port` for every address of this host, IPv4 and IPv6. At least one, unless
    /// `systemd_socket` is set.
    pub listen: Vec<String>,
    /// The path of the metrics, starting with a slash. `/` replaces the landing page.
    pub telemetry_path: String,
    /// The most scrapes at once; further ones get 503. 0 means no limit.
    pub max_requests: usize,
    /// TLS and basic authentication, in the shared format of the Prometheus exporters.
    pub web_config_file: Option<PathBuf>,
    /// Whether to take the listeners from systemd instead of `listen`.
    pub systemd_socket: bool,
    /// Whether to serve `/-/reload`.
    pub enable_lifecycle: bool,
}
