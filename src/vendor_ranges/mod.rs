//! The four vendors' published address ranges in one longest-prefix table, kept up to date.
//!
//! A refresh that fails, or whose file cannot be right, changes nothing: the vendor's last good
//! prefixes stay in use, and the metrics show their age.

mod download_page;
mod error;
mod fetch;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod refresh;
mod restore;
mod rows;
mod settings;
mod stored;
mod table;

pub use error::RangesError;
pub use format::Format;
pub use metrics::Metrics;
pub use refresh::VendorRanges;
pub use restore::Refreshed;
pub use settings::{RangeSource, Settings};
pub use stored::{StoredRanges, StoredRefresh};
pub use table::{RangeTable, VendorTable};
