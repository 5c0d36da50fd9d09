//! The state of an origin host.

use serde::{Deserialize, Serialize};

/// The state of an origin host that was looked up, in the order of the label's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It has addresses.
    Resolved,
    /// It rotates through more addresses than mappings can follow.
    Rotating,
    /// The last lookup failed. Addresses from earlier lookups still count for the window.
    Failing,
    /// It does not exist or has no address.
    NoAddress,
}

impl HostState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Resolved,
        Self::Rotating,
        Self::Failing,
        Self::NoAddress,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Rotating => "rotating",
            Self::Failing => "failing",
            Self::NoAddress => "no_address",
        }
    }
}
