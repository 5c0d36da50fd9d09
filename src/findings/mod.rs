//! What is wrong with a zone's mappings: pure comparison, no I/O and no clock.
//!
//! [`expected()`] puts together which origins ought to be mapped, [`judge()`] compares the mappings
//! with that, with the vendors' published ranges and with the regions that Cloudflare supports.

mod expected;
mod judge;
mod model;
mod settings;
mod supported;

pub use crate::domain::{SupportedRegion, SupportedRegions};
pub use expected::{Candidates, Discovered, Expectations, RangesUse, expected};
pub use judge::judge;
pub use model::{
    Check, ExpectedOrigin, ExpectedPlace, LeftOut, Source, TieredCache, Unverified, WrongMapping,
    ZoneFindings,
};
pub use settings::{
    DeclaredHost, DeclaredOrigin, DeclaredZone, ExpectSettings, UnusedAfter, VerifySettings,
};
