//! The HTTP server over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod api;
mod limits;
mod listening;
mod page;
mod probe;
mod protocol;
mod routes;
mod support;
mod world;
