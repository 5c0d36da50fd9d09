//! The tables of the file, and the bounds of what is read from them.

use redb::TableDefinition;

/// The version of the layout. Another one is neither read nor changed: the file is set aside.
pub(super) const FORMAT: u64 = 1;

/// Numbers about the file itself.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Each zone by its identifier.
pub(super) const ZONES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("zones");
/// The last good mappings of each zone by its identifier.
pub(super) const MAPPINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mappings");
/// The findings on these, as JSON.
pub(super) const FINDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("findings");
/// The zones' polls as a log: each value lists the zones that were polled since the one before.
/// Polls that change nothing cost one small value for all zones together.
pub(super) const ACTIVITY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("activity");
/// The changes of the history by their identifiers.
pub(super) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// What the other parts keep: JSON by kind and key.
pub(super) const PARTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("parts");

/// Key of [`META`]: the version of the layout.
pub(super) const META_FORMAT: &str = "format";
/// Key of [`META`]: a number that the process drew which wrote last.
pub(super) const META_SESSION: &str = "session";
/// Key of [`META`]: the identifier of the latest change.
pub(super) const META_LAST_CHANGE: &str = "last_change";

/// A file that is larger is not ours: a million mappings take 20 MB, and a hundred thousand
/// changes as much.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;
/// Values that are larger are left out.
pub(super) const MAX_VALUE_BYTES: usize = 32 << 20;
/// More zones than Cloudflare accounts have.
pub(super) const MAX_ZONES: usize = 1_000_000;
/// More values of other parts than there can be: 10,000 hosts, and a few for each zone.
pub(super) const MAX_PARTS: usize = 5_000_000;
