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
pub(super) struct Criteria {
    pub(super) declared: Arc<[DeclaredOrigin]>,
    pub(super) discovered: Discovered,
    pub(super) supported: Option<Arc<SupportedRegions>>,
    pub(super) ranges: VendorRanges,
    /// Missing origins that are shown already, or were found missing by an earlier poll.
    pub(super) known_missing: BTreeSet<OriginIp>,
}

impl Criteria {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;

    use super::*;
    use crate::domain::{Mapping, Region, Vendor};
    use crate::findings::ExpectedPlace;
    use crate::{http_client, vendor_ranges};

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    /// Ranges that are not used.
    fn no_ranges() -> VendorRanges {
        let settings = vendor_ranges::Settings {
            enabled: false,
            refresh: Duration::from_hours(24),
            sources: std::collections::BTreeMap::new(),
        };
        let http = http_client::client_builder(None).unwrap().build().unwrap();
        let metrics = vendor_ranges::Metrics::register(&Registry::new()).unwrap();
        VendorRanges::new(&settings, http, &metrics)
    }

    fn criteria(known_missing: &[&str]) -> Criteria {
        let declared = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| DeclaredOrigin {
            origin_ip: ip(text),
            place: ExpectedPlace::default(),
        });
        Criteria {
            declared: declared.into(),
            discovered: Discovered::default(),
            supported: None,
            ranges: no_ranges(),
            known_missing: known_missing.iter().map(|text| ip(text)).collect(),
        }
    }

    fn addresses(origins: &[ExpectedOrigin]) -> Vec<String> {
        let addresses = origins.iter().map(|origin| origin.origin_ip.to_string());
        addresses.collect()
    }

    #[test]
    fn an_origin_that_nobody_saw_missing_before_is_held_back_and_the_others_are_shown() {
        let mapping = Mapping {
            origin_ip: ip("192.0.2.1"),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            modified_on: None,
        };
        let mappings = ZoneMappings::from_rows(vec![mapping]).unwrap();
        let (mut findings, new) = criteria(&["192.0.2.1", "192.0.2.3"]).judge(&mappings);
        assert_eq!(addresses(&findings.missing), ["192.0.2.3"]);
        assert_eq!(addresses(&new), ["192.0.2.2"]);
        add_missing(&mut findings, new);
        assert_eq!(addresses(&findings.missing), ["192.0.2.2", "192.0.2.3"]);
    }
}
