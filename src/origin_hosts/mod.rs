//! Origin hosts: resolves host names by DNS, and finds the cloud regions that names contain.
//!
//! [`OriginHosts`] resolves every host that a zone wants and remembers its recent addresses. How an
//! answer or a failure changes a host is a pure function ([`Host::after`]).

mod account_records;
mod changes;
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
};
pub use metrics::Metrics;
pub use names::{chain_place, named_place};
pub use resolving::OriginHosts;
pub use schedule::MAX_HOSTS;
pub use settings::Settings;
pub use stored::{StoredAddress, StoredHost};
