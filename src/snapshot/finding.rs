//! What is wrong with a zone's mappings at a given time.

use jiff::Timestamp;

use super::{StaleAfter, ZoneState};
use crate::domain::{HostName, Mapping, OriginIp, Region, Vendor};
use crate::findings::{Check, ExpectedOrigin, FindingKind, RotatingHost, WrongMapping};

/// One thing that is wrong with a zone's mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<'a> {
    /// An expected origin without a mapping.
    Missing(&'a ExpectedOrigin),
    /// A mapping that disagrees with a check.
    Wrong(&'a WrongMapping),
    /// A mapping older than the zone's threshold.
    Stale(&'a Mapping),
    /// A mapping of an address that no source names any more.
    Unused(&'a Mapping),
    /// A host with more addresses than mappings can follow.
    Rotating(&'a RotatingHost),
    /// None of the zone's mappings has an effect, because tiered cache is off.
    Idle,
}

impl<'a> Finding<'a> {
    /// What is wrong with the zone as of `now`, in the order of [`FindingKind::ALL`], then by
    /// address.
    pub fn all(state: &'a ZoneState, now: Timestamp) -> impl Iterator<Item = Self> {
        let findings = state.findings().into_iter();
        let missing = findings.clone().flat_map(|f| &f.missing).map(Self::Missing);
        let wrong = findings.clone().flat_map(|f| &f.wrong).map(Self::Wrong);
        let old = stale_mappings(state, now).into_iter().flatten();
        let unused = findings.clone().flat_map(|f| f.unused.iter().flatten());
        let rotating = findings.flat_map(|f| &f.rotating).map(Self::Rotating);
        let idle = (is_idle(state) == Some(true)).then_some(Self::Idle);
        missing
            .chain(wrong)
            .chain(old.map(Self::Stale))
            .chain(unused.map(Self::Unused))
            .chain(rotating)
            .chain(idle)
    }

    /// The kind.
    pub fn kind(self) -> FindingKind {
        match self {
            Self::Missing(_) => FindingKind::Missing,
            Self::Wrong(_) => FindingKind::Wrong,
            Self::Stale(_) => FindingKind::Stale,
            Self::Unused(_) => FindingKind::Unused,
            Self::Rotating(_) => FindingKind::Rotating,
            Self::Idle => FindingKind::Idle,
        }
    }

    /// The origin's address; `None` if the finding is not about one origin.
    pub fn origin_ip(self) -> Option<OriginIp> {
        match self {
            Self::Missing(origin) => Some(origin.origin_ip),
            Self::Wrong(wrong) => Some(wrong.origin_ip),
            Self::Stale(mapping) | Self::Unused(mapping) => Some(mapping.origin_ip),
            Self::Rotating(_) | Self::Idle => None,
        }
    }

    /// Vendor and region of the mapping; `None` if the finding is not about one mapping.
    pub fn mapped_to(self) -> Option<(&'a Vendor, &'a Region)> {
        match self {
            Self::Wrong(wrong) => Some((&wrong.vendor, &wrong.region)),
            Self::Stale(mapping) | Self::Unused(mapping) => {
                Some((&mapping.vendor, &mapping.region))
            }
            Self::Missing(_) | Self::Rotating(_) | Self::Idle => None,
        }
    }

    /// The check that a wrong mapping fails.
    pub fn check(self) -> Option<Check> {
        match self {
            Self::Wrong(wrong) => Some(wrong.check),
            _ => None,
        }
    }

    /// The origin host that led to a missing origin, or that is rotating.
    pub fn host(self) -> Option<&'a HostName> {
        match self {
            Self::Missing(origin) => origin.host(),
            Self::Rotating(rotating) => Some(&rotating.host),
            _ => None,
        }
    }
}

/// Whether findings of this kind can be judged for the zone. If not, having none means nothing.
pub fn is_judged(state: &ZoneState, kind: FindingKind) -> bool {
    let Some(findings) = state.findings() else {
        return false;
    };
    match kind {
        FindingKind::Missing => !findings.expected.is_empty(),
        FindingKind::Wrong => !findings.checks.is_empty(),
        FindingKind::Stale => state.stale_after != StaleAfter::Never,
        FindingKind::Unused => findings.unused.is_some(),
        FindingKind::Rotating => findings.hosts.is_some(),
        FindingKind::Idle => is_idle(state).is_some(),
    }
}

/// The mappings that are older than the zone's threshold; `None` if there is no threshold or no
/// mappings are known.
pub(super) fn stale_mappings(
    state: &ZoneState,
    now: Timestamp,
) -> Option<impl Iterator<Item = &Mapping>> {
    let StaleAfter::Age(age) = state.stale_after else {
        return None;
    };
    let data = state.data.as_ref()?;
    let since = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let old =
        move |mapping: &&Mapping| mapping.modified_on.is_some_and(|modified| modified < since);
    Some(data.mappings.as_slice().iter().filter(old))
}

/// Whether the zone's mappings have no effect; `None` if not known.
pub(super) fn is_idle(state: &ZoneState) -> Option<bool> {
    let data = state.data.as_ref()?;
    let is_idle = state.tiered_cache.makes_mappings_idle()?;
    Some(is_idle && !data.mappings.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::{AccountName, ExpectedPlace, Zone, ZoneId, ZoneMappings};
    use crate::findings::{Effect, Source, TieredCache, ZoneFindings};
    use crate::snapshot::ZoneData;

    fn ip(text: &str) -> OriginIp {
        OriginIp::parse(text).unwrap()
    }

    fn mapping(text: &str, modified_on: Option<Timestamp>) -> Mapping {
        Mapping {
            origin_ip: ip(text),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            modified_on,
        }
    }

    fn origin(text: &str, host: Option<&str>) -> ExpectedOrigin {
        ExpectedOrigin {
            origin_ip: ip(text),
            sources: [Source::Dns].into_iter().collect(),
            hosts: host.into_iter().filter_map(HostName::parse).collect(),
            named_itself: host.is_none(),
            place: ExpectedPlace::default(),
            check: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-27T10:00:00Z".parse().unwrap()
    }

    fn state(mappings: Vec<Mapping>, findings: ZoneFindings) -> ZoneState {
        ZoneState {
            zone: Zone::unknown(ZoneId::parse("a").unwrap()),
            account: AccountName::parse("default").unwrap(),
            interval: Duration::from_mins(5),
            stale_after: StaleAfter::Age(Duration::from_hours(24)),
            last_poll: None,
            last_success: None,
            failing_since: None,
            data: Some(ZoneData {
                mappings: Arc::new(ZoneMappings::from_rows(mappings).unwrap()),
                findings: Arc::new(findings),
            }),
            tiered_cache: TieredCache::default(),
            changes: None,
            polls: 0,
            errors: BTreeMap::new(),
            rejected_rows: 0,
        }
    }

    /// One finding of each kind.
    fn everything() -> ZoneState {
        let old = Some(now() - Duration::from_hours(48));
        let wrong = WrongMapping {
            origin_ip: ip("192.0.2.1"),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            expected: ExpectedPlace::in_vendor(Vendor::Gcp),
            check: Check::HostName,
            effect: Effect::Unknown,
        };
        let rotating = RotatingHost {
            host: HostName::parse("rotating.example").unwrap(),
            sources: [Source::Dns].into_iter().collect(),
            addresses: 40,
        };
        let findings = ZoneFindings {
            missing: vec![origin("192.0.2.9", Some("a.example"))],
            wrong: vec![wrong],
            unused: Some(vec![mapping("192.0.2.3", None)]),
            rotating: vec![rotating],
            checks: Check::ALL.into(),
            ..ZoneFindings::default()
        };
        let mappings = vec![
            mapping("192.0.2.1", None),
            mapping("192.0.2.2", old),
            mapping("192.0.2.3", None),
        ];
        let mut state = state(mappings, findings);
        state.tiered_cache.enabled = Some(false);
        state
    }

    #[test]
    fn every_kind_is_listed_those_that_matter_most_first() {
        let state = everything();
        let all: Vec<_> = Finding::all(&state, now()).collect();
        let found: Vec<_> = all.iter().map(|finding| finding.kind()).collect();
        assert_eq!(found, FindingKind::ALL);
    }

    #[test]
    fn what_no_source_or_check_covers_is_not_judged() {
        let judged = |state: &ZoneState| FindingKind::ALL.map(|kind| is_judged(state, kind));
        let mut unknown = state(Vec::new(), ZoneFindings::default());
        unknown.stale_after = StaleAfter::Never;
        assert_eq!(judged(&unknown), [false; 6]);
        let mut known = state(
            Vec::new(),
            ZoneFindings {
                expected: BTreeMap::from([(Source::Dns, 1)]),
                checks: Check::ALL.into(),
                unused: Some(Vec::new()),
                hosts: Some(BTreeMap::new()),
                ..ZoneFindings::default()
            },
        );
        known.tiered_cache.enabled = Some(false);
        assert_eq!(judged(&known), [true; 6]);
        known.data = None;
        assert_eq!(judged(&known), [false; 6]);
    }
}
