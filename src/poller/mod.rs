//! When each zone is read; the only writer of the snapshot.

mod settings;

pub use settings::{Settings, Shard, ZoneOverride, ZoneSelection};
