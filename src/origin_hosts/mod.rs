//! Origin hosts: host names to addresses, by DNS, and the cloud regions that names spell.
//!
//! [`OriginHosts`] asks for every host that a zone wants and remembers the addresses that it has
//! had lately. What one answer or failure changes is a pure function ([`Host::after`]).

mod account_records;
mod changes;
mod directory;
mod dns;
mod host;
mod metrics;
mod names;
mod resolving;
mod rotation;
mod schedule;
mod settings;
mod stored;

pub use account_records::{AccountRecords, End, Followed, MAX_ALIASES, NoOrigin, RecordTarget};
pub use host::{
    Addresses, Failure, Host, IpKind, MAX_ADDRESSES, MAX_REFRESH, MIN_REFRESH, Now, Outcome,
    SeenAddress,
};
pub use metrics::Metrics;
pub use names::{chain_place, named_place};
pub use resolving::OriginHosts;
pub use schedule::MAX_HOSTS;
pub use settings::Settings;
pub use stored::{StoredAddress, StoredHost};
