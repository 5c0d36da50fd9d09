//! What is wrong with a zone's mappings: pure comparison, no I/O and no clock.

mod model;
mod settings;

pub use model::{
    Check, ExpectedOrigin, ExpectedPlace, LeftOut, Source, TieredCache, Unverified, WrongMapping,
    ZoneFindings,
};
pub use settings::{DeclaredOrigin, DeclaredZone, ExpectSettings, VerifySettings};
