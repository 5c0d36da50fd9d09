//! What the mappings of a zone are held against, and how.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::{OriginIp, ZoneMappings};
use crate::findings::{
    DeclaredOrigin, Discovered, ExpectedOrigin, RangesUse, SupportedRegions, ZoneFindings,
    expected, judge,
};
use crate::vendor_ranges::VendorRanges;

/// Everything that a zone's mappings are compared with, as of the start of a job.
#[derive(Clone)]
pub(super) struct Yardstick {
    pub(super) declared: Arc<[DeclaredOrigin]>,
    pub(super) discovered: Discovered,
    pub(super) supported: Option<Arc<SupportedRegions>>,
    pub(super) ranges: VendorRanges,
    /// Missing origins that are shown already, or were found missing by an earlier poll.
    pub(super) known_missing: BTreeSet<OriginIp>,
}

impl Yardstick {
    /// The findings, without the missing origins that nobody has seen missing before; these are
    /// returned beside them, to be confirmed.
    pub(super) fn judge(&self, mappings: &ZoneMappings) -> (ZoneFindings, Vec<ExpectedOrigin>) {
        let table = self.ranges.table();
        let verdict = |ip| table.verdict(ip);
        let ranges = match (self.ranges.is_enabled(), self.ranges.all_loaded()) {
            (false, _) => RangesUse::Off,
            (true, false) => RangesUse::NotLoaded(&verdict),
            (true, true) => RangesUse::Loaded(&verdict),
        };
        let expectations = expected(&self.declared, &self.discovered, ranges);
        let mut findings = judge(mappings, &expectations, self.supported.as_deref(), ranges);
        let known = |origin: &ExpectedOrigin| self.known_missing.contains(&origin.origin_ip);
        let (known, new) = findings.missing.into_iter().partition(known);
        findings.missing = known;
        (findings, new)
    }
}

/// Puts origins that are missing after all among the findings, by address.
pub(super) fn add_missing(findings: &mut ZoneFindings, origins: Vec<ExpectedOrigin>) {
    findings.missing.extend(origins);
    findings.missing.sort_by_key(|origin| origin.origin_ip);
}
