//! The state of an origin host.

use crate::words::words;

words! {
    /// The state of an origin host that was looked up, in the order of the label's values.
    pub enum HostState {
        /// It has addresses.
        Resolved = "resolved",
        /// It rotates through more addresses than mappings can follow.
        Rotating = "rotating",
        /// The last lookup failed. Addresses from earlier lookups still count for the window.
        Failing = "failing",
        /// It does not exist or has no address.
        NoAddress = "no_address",
    }
}
