//! The real program with `--storage.path`: kills, restarts and bad disks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]
#![expect(
    clippy::float_cmp,
    reason = "counts are whole numbers, which the text format represents exactly"
)]

mod disks;
mod kill;
mod restart;
mod support;
