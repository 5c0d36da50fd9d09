//! What is wrong with a zone's mappings at a given time, and which findings appeared and cleared.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StaleAfter, ZoneState};
use crate::domain::{HostName, Mapping, OriginIp, Region, Vendor};
use crate::findings::{
    Check, ExpectedOrigin, FindingKey, FindingKind, RotatingHost, WrongMapping, ZoneFindings,
};

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
        let findings = state.data.iter().map(|data| &*data.findings);
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

    /// Identifies the finding within its zone.
    pub fn key(self) -> FindingKey {
        let host = match self {
            // The host that leads to a missing origin may change while the finding stays.
            Self::Missing(_) => None,
            finding => finding.host().cloned(),
        };
        FindingKey {
            kind: self.kind(),
            origin_ip: self.origin_ip(),
            check: self.check(),
            host,
        }
    }
}

/// Whether findings of this kind can be judged for the zone. If not, having none means nothing.
pub fn is_judged(state: &ZoneState, kind: FindingKind) -> bool {
    let Some(data) = &state.data else {
        return false;
    };
    let findings = &data.findings;
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

/// The findings of a zone that have appeared and not cleared yet. A finding that cannot be judged
/// for a while stays open, so that it neither clears nor appears again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenFindings(BTreeSet<FindingKey>);

/// The findings that appeared and cleared.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct FindingChanges<'a> {
    /// New findings.
    pub appeared: Vec<Finding<'a>>,
    /// Findings that are gone.
    pub cleared: Vec<FindingKey>,
}

impl OpenFindings {
    /// The findings that are open now. None of them counts as a change.
    pub fn of(state: &ZoneState, now: Timestamp) -> Self {
        Self(Finding::all(state, now).map(Finding::key).collect())
    }

    /// Takes the zone's new state and returns what has changed since the last one.
    pub fn update<'a>(&mut self, state: &'a ZoneState, now: Timestamp) -> FindingChanges<'a> {
        let mut changes = FindingChanges::default();
        let Some(data) = &state.data else {
            return changes;
        };
        let mut found = BTreeSet::new();
        for finding in Finding::all(state, now) {
            let key = finding.key();
            if !self.0.contains(&key) {
                changes.appeared.push(finding);
            }
            found.insert(key);
        }
        for key in std::mem::take(&mut self.0) {
            if found.contains(&key) {
                continue;
            }
            let is_mapped = key
                .origin_ip
                .is_some_and(|ip| data.mappings.get(ip).is_some());
            if can_tell(&key, &data.findings, is_mapped, is_idle(state)) {
                changes.cleared.push(key);
            } else {
                found.insert(key);
            }
        }
        self.0 = found;
        changes
    }
}

/// Whether an evaluation without the finding shows that it is gone.
fn can_tell(
    key: &FindingKey,
    findings: &ZoneFindings,
    is_mapped: bool,
    is_idle: Option<bool>,
) -> bool {
    let is_named = || {
        let origins = findings.origins.iter();
        let mut origins = origins.map(|origin| Some(origin.origin_ip));
        origins.any(|ip| ip == key.origin_ip)
    };
    match (key.kind, key.check) {
        (FindingKind::Missing, _) => is_mapped || !findings.is_partial,
        (FindingKind::Wrong, Some(check @ (Check::Declared | Check::HostName))) => {
            !is_mapped || (!findings.is_partial && findings.checks.contains(&check))
        }
        (FindingKind::Wrong, Some(check)) => !is_mapped || findings.checks.contains(&check),
        (FindingKind::Unused, _) => !is_mapped || findings.unused.is_some() || is_named(),
        (FindingKind::Rotating, _) => !findings.is_partial,
        (FindingKind::Idle, _) => is_idle.is_some(),
        (FindingKind::Stale | FindingKind::Wrong, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::{AccountName, ExpectedPlace, Zone, ZoneId, ZoneMappings};
    use crate::findings::{Effect, Source, TieredCache};
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

    /// An evaluation without one of the sources.
    fn partial() -> ZoneFindings {
        ZoneFindings {
            is_partial: true,
            ..ZoneFindings::default()
        }
    }

    fn kinds(keys: &[FindingKey]) -> Vec<FindingKind> {
        keys.iter().map(|key| key.kind).collect()
    }

    #[test]
    fn every_kind_is_listed_those_that_matter_most_first() {
        let state = everything();
        let all: Vec<_> = Finding::all(&state, now()).collect();
        let found: Vec<_> = all.iter().map(|finding| finding.kind()).collect();
        assert_eq!(found, FindingKind::ALL);
        let missing = all[0].key();
        assert_eq!(
            (missing.origin_ip, missing.host),
            (Some(ip("192.0.2.9")), None)
        );
        let rotating = all[4].key();
        assert_eq!(rotating.host, HostName::parse("rotating.example"));
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

    #[test]
    fn findings_appear_once_and_clear_once() {
        let good = state(
            vec![mapping("192.0.2.1", None)],
            ZoneFindings {
                checks: Check::ALL.into(),
                unused: Some(Vec::new()),
                ..ZoneFindings::default()
            },
        );
        let good = ZoneState {
            tiered_cache: TieredCache {
                enabled: Some(true),
                smart_enabled: Some(true),
            },
            ..good
        };
        let bad = everything();
        let mut open = OpenFindings::of(&good, now());
        let appeared = open.update(&bad, now());
        assert_eq!(appeared.appeared.len(), 6);
        assert_eq!(appeared.cleared, []);
        assert_eq!(open.update(&bad, now()), FindingChanges::default());
        let cleared = open.update(&good, now());
        assert_eq!(cleared.appeared, []);
        assert_eq!(kinds(&cleared.cleared), FindingKind::ALL);
        assert_eq!(open.update(&good, now()), FindingChanges::default());
    }

    #[test]
    fn the_first_reading_of_a_zone_is_no_change() {
        let bad = everything();
        let mut open = OpenFindings::of(&bad, now());
        assert_eq!(open.update(&bad, now()), FindingChanges::default());
    }

    #[test]
    fn what_cannot_be_judged_for_a_while_neither_clears_nor_appears_again() {
        let bad = everything();
        let mut open = OpenFindings::of(&bad, now());
        let mut unknown = everything();
        unknown.tiered_cache = TieredCache::default();
        if let Some(data) = &mut unknown.data {
            data.findings = Arc::new(partial());
        }
        let changes = open.update(&unknown, now());
        assert_eq!(changes, FindingChanges::default());
        unknown.data = None;
        assert_eq!(open.update(&unknown, now()), FindingChanges::default());
        assert_eq!(open.update(&bad, now()), FindingChanges::default());
    }

    #[test]
    fn a_mapping_that_is_made_or_removed_clears_what_it_can_even_where_little_is_known() {
        let mut open = OpenFindings::of(&everything(), now());
        let mended = state(vec![mapping("192.0.2.9", None)], partial());
        let changes = open.update(&mended, now());
        // All except rotating and idle.
        assert_eq!(kinds(&changes.cleared), FindingKind::ALL[..4]);
    }

    #[test]
    fn a_mapping_that_goes_stale_with_time_appears() {
        let fresh = Some(now());
        let state = state(vec![mapping("192.0.2.1", fresh)], ZoneFindings::default());
        let mut open = OpenFindings::of(&state, now());
        let later = now() + Duration::from_hours(25);
        let changes = open.update(&state, later);
        assert_eq!(changes.appeared.len(), 1);
    }

    #[test]
    fn open_findings_can_be_stored() {
        let open = OpenFindings::of(&everything(), now());
        let stored = serde_json::to_string(&open).unwrap();
        assert_eq!(serde_json::from_str::<OpenFindings>(&stored).unwrap(), open);
    }
}
