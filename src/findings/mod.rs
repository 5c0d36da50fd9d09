//! Finds what is wrong with a zone's mappings: pure comparison, no I/O and no clock.
//!
//! [`evaluate()`] determines which origins are expected, and compares the mappings with these, with
//! the regions in host names, with the vendors' published ranges and with the regions that
//! Cloudflare supports. [`Usage`] remembers since when no source has named a mapped address.

mod expected;
mod inputs;
mod judge;
mod model;
mod places;
mod plan;
mod settings;
mod supported;
#[cfg(test)]
mod tests;
mod usage;

pub use crate::domain::{ExpectedPlace, SupportedRegion, SupportedRegions};
pub use expected::NamedAddresses;
pub use inputs::{Candidates, Discovered, Evidence, HostAnswer, RangesUse, SourceState, Unusable};
pub use judge::{Evaluation, evaluate};
pub use model::{
    Check, Effect, ExpectedOrigin, FindingKind, LeftOut, LeftOutReason, MAX_UNRESOLVED_HOSTS,
    RotatingHost, Source, Sources, TieredCache, UnresolvedHost, UnsupportedDeclaration, Unverified,
    WrongMapping, ZoneFindings,
};
pub use plan::{Delete, Put, Undecided, ZonePlan, plan};
pub use settings::{DeclaredHost, DeclaredOrigin, DeclaredZone, ExpectSettings, VerifySettings};
pub use usage::Usage;
