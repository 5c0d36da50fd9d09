//! Origin hosts over real DNS packets.

mod bounds;
mod memory;
mod resolving;
mod support;
