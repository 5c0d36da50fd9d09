//! The HTTP server over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by unwrapping"
)]

mod limits;
mod listening;
mod protocol;
mod routes;
mod support;
