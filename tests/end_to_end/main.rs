//! The built program under the programs that operators run it with: Prometheus, Alertmanager, a
//! browser, Cloudflare's own client. `scripts/test` installs them and runs these tests, which fail
//! where one is missing.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests and their helpers say what they expect by failing"
)]

mod alerting;
mod dashboards;
mod demo;
mod origins;
mod page;
mod situations;
mod sockets;
mod support;
