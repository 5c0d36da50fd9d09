//! The real program together with Prometheus, Alertmanager, a browser and the official Cloudflare
//! client. `scripts/test` installs these programs and runs the tests, which fail if one is missing.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod alerting;
mod dashboards;
mod demo;
mod origins;
mod page;
mod situations;
mod sockets;
mod support;
