//! The HTTP server over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod access;
mod api;
mod fairness;
mod findings_page;
mod http2;
mod limits;
mod listening;
mod log;
mod page;
mod probe;
mod protocol;
mod rotation;
mod routes;
mod secure;
mod streaming;
mod support;
mod tls;
mod world;
