//! The tables of the file, and the limits on what is read from them.

use redb::TableDefinition;

/// The version of the layout. A file with another version is neither read nor changed, but set
/// aside.
pub(super) const FORMAT: u64 = 1;

/// Numbers about the file itself.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Each zone by its identifier.
pub(super) const ZONES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("zones");
/// The last good mappings of each zone by its identifier.
pub(super) const MAPPINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mappings");
/// The findings for these mappings, as JSON.
pub(super) const FINDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("findings");
/// The zones' polls as a log: the values of a commit list the zones that were polled since the one
/// before it. A poll that changes nothing costs some bytes of a value that many zones share.
pub(super) const ACTIVITY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("activity");
/// The changes of the history by their identifiers.
pub(super) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// The values of other modules by kind and key: JSON, compressed if it is large.
pub(super) const PARTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("parts");
/// The values of [`Kind::Window`](super::Kind::Window) by their keys. Nearly every commit writes
/// them, and in a small table that takes one page. [`PARTS`] has them in files of earlier versions.
pub(super) const WINDOWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("windows");

/// Key of [`META`]: the version of the layout.
pub(super) const META_FORMAT: &str = "format";
/// Key of [`META`]: a random number of the process that wrote last.
pub(super) const META_SESSION: &str = "session";
/// Key of [`META`]: the identifier of the latest change.
pub(super) const META_LAST_CHANGE: &str = "last_change";

/// A larger file is not ours: a million mappings take 20 MB, and so do a hundred thousand changes.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;
/// Larger values are left out.
pub(super) const MAX_VALUE_BYTES: usize = 32 << 20;
/// The most zones that are read: more than Cloudflare accounts have.
pub(super) const MAX_ZONES: usize = 1_000_000;
/// The most values of other modules that are read: more than 10,000 hosts and a few values per
/// zone.
pub(super) const MAX_PARTS: usize = 5_000_000;
