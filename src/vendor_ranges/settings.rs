//! Where the ranges come from, and how often they are read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::domain::Vendor;

/// How the published ranges are used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether they are used at all.
    pub enabled: bool,
    /// How often each file is read again.
    pub refresh: Duration,
    /// Where each known vendor's file is; the vendor's own address where it is left out.
    pub sources: BTreeMap<Vendor, RangeSource>,
}

/// The place of a range file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeSource {
    /// An http or https address.
    Url(Url),
    /// A file of this machine.
    File(PathBuf),
}
