//! Query parameters of the JSON API.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use url::form_urlencoded;

use crate::domain::{ExpectedPlace, Mapping, OriginIp, Region, Vendor};
use crate::findings::{ExpectedOrigin, FindingKind, LeftOut};
use crate::history::{self, ChangeKind};
use crate::snapshot::rows::Finding;
use crate::snapshot::{Directory, ZoneSlot, ZoneState};
use crate::truncate::truncated;

/// The default number of rows in a response.
const DEFAULT_LIMIT: usize = 1000;
/// The most rows in a response: a few megabytes.
const MAX_LIMIT: usize = 10_000;
/// The most characters of a request that an error quotes.
const MAX_SHOWN_CHARS: usize = 100;

const INSTANT: &str = "a time such as 2026-03-01T12:00:00Z";
const FINDING_KINDS: &str = "missing, wrong, stale, unused, rotating or idle";
const CHANGE_KINDS: &str = "mapping_added, mapping_removed, mapping_changed, finding_appeared or \
                            finding_cleared";

/// The filters and the window of rows to return. `None` means no filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::web) struct Query {
    pub(super) filter: history::Query,
    vendor: Option<Vendor>,
    region: Option<Region>,
    pub(super) left_out: Option<bool>,
    pub(super) prune: Option<bool>,
}

impl Query {
    /// Parses a query string. `parameters` are the allowed ones, separated by spaces. An invalid one
    /// is an error and not ignored, because a mistyped filter would return everything.
    pub(super) fn parse(query: &str, parameters: &'static str) -> Result<Self, String> {
        let mut given = Given::parse(query, parameters)?;
        let boolean = |text: &str| text.parse().ok();
        let instant = |text: &str| text.parse().ok();
        let number = |text: &str| text.parse().ok();
        let zone = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = history::Query {
            zone: given.take("zone", "a name or an id", zone)?,
            origin_ip: given.take("origin_ip", "an IPv4 or IPv6 address", |text| {
                OriginIp::parse(text).ok()
            })?,
            kind: given.take("kind", CHANGE_KINDS, ChangeKind::parse)?,
            finding: given.take("finding", FINDING_KINDS, FindingKind::parse)?,
            since: given.take("since", INSTANT, instant)?,
            until: given.take("until", INSTANT, instant)?,
            limit: given
                .take("limit", "0 to 10000", |text| {
                    number(text).filter(|limit| *limit <= MAX_LIMIT)
                })?
                .unwrap_or(DEFAULT_LIMIT),
            offset: given
                .take("offset", "a number from 0", number)?
                .unwrap_or(0),
        };
        Ok(Self {
            filter,
            vendor: given.take("vendor", "a vendor", |text| Vendor::parse(text).ok())?,
            region: given.take("region", "a region", |text| Region::parse(text).ok())?,
            left_out: given.take("left_out", "true or false", boolean)?,
            prune: given.take("prune", "true or false", boolean)?,
        })
    }

    /// The matching zones, each with its current state.
    pub(super) fn zones<'a>(
        &'a self,
        directory: &'a Directory,
    ) -> impl Iterator<Item = (&'a ZoneSlot, Arc<ZoneState>)> {
        directory
            .zones
            .iter()
            .map(|slot| (&**slot, slot.load()))
            .filter(|(_, state)| {
                let wanted = self.filter.zone.as_deref();
                wanted.is_none_or(|wanted| state.zone.answers_to(wanted))
            })
    }

    pub(super) fn takes_origin(&self, origin: &ExpectedOrigin) -> bool {
        let ExpectedPlace { vendor, region } = &origin.place;
        self.takes(Some(origin.origin_ip), vendor.as_ref(), region.as_ref())
    }

    /// Addresses that are left out have no vendor or region.
    pub(super) fn takes_left_out(&self, left_out: &LeftOut) -> bool {
        self.takes(left_out.origin_ip, None, None)
    }

    /// Whether there is no filter on mappings.
    pub(super) fn takes_any_mapping(&self) -> bool {
        (&self.vendor, &self.region, self.filter.origin_ip) == (&None, &None, None)
    }

    pub(super) fn takes_mapping(&self, mapping: &Mapping) -> bool {
        let Mapping { vendor, region, .. } = mapping;
        self.takes(Some(mapping.origin_ip), Some(vendor), Some(region))
    }

    pub(super) fn takes_finding(&self, finding: Finding<'_>) -> bool {
        let (vendor, region) = finding.mapped_to().unzip();
        self.filter
            .finding
            .is_none_or(|kind| kind == finding.kind())
            && self.takes(finding.origin_ip(), vendor, region)
    }

    fn takes(
        &self,
        origin_ip: Option<OriginIp>,
        vendor: Option<&Vendor>,
        region: Option<&Region>,
    ) -> bool {
        (self.filter.origin_ip.is_none() || self.filter.origin_ip == origin_ip)
            && (self.vendor.is_none() || self.vendor.as_ref() == vendor)
            && (self.region.is_none() || self.region.as_ref() == region)
    }

    /// Counts all matching rows and builds those in the window.
    pub(super) fn window<T, R>(
        &self,
        matching: impl Iterator<Item = T>,
        build: impl Fn(T) -> R,
    ) -> (usize, Vec<R>) {
        let history::Query { limit, offset, .. } = self.filter;
        let end = offset.saturating_add(limit);
        let mut shown = Vec::new();
        let mut total = 0;
        for row in matching {
            if (offset..end).contains(&total) {
                shown.push(build(row));
            }
            total += 1;
        }
        (total, shown)
    }
}

/// The parameters of a request, by name.
struct Given<'a>(BTreeMap<&'static str, Cow<'a, str>>);

impl<'a> Given<'a> {
    fn parse(query: &'a str, known: &'static str) -> Result<Self, String> {
        let mut given = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = known.split(' ').find(|name| *name == key) else {
                let (key, known) = (truncated(&key, MAX_SHOWN_CHARS), known.replace(' ', ", "));
                return Err(format!(
                    "unknown parameter {key:?}; expected one of {known}"
                ));
            };
            if given.insert(name, value).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        Ok(Self(given))
    }

    fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        let parsed = parse(&value).map(Some);
        parsed.ok_or_else(|| {
            format!(
                "{name} is {:?}; expected {expected}",
                truncated(&value, MAX_SHOWN_CHARS)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &str = "zone origin_ip finding limit offset";

    fn parse(query: &str) -> Result<Query, String> {
        Query::parse(query, PARAMETERS)
    }

    #[test]
    fn an_empty_query_asks_for_everything_up_to_the_default() {
        let query = parse("").unwrap();
        assert_eq!((query.filter.limit, query.filter.offset), (1000, 0));
        assert!(query.filter.zone.is_none() && query.takes_any_mapping());
    }

    #[test]
    fn an_address_matches_in_any_spelling() {
        for spelling in ["2001:DB8::0:1", "2001%3adb8%3a%3a1", "+2001:db8::1"] {
            let query = parse(&format!("origin_ip={spelling}")).unwrap();
            assert_eq!(query.filter.origin_ip, OriginIp::parse("2001:db8::1").ok());
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (query, message) in [
            (
                "zones=a",
                "unknown parameter \"zones\"; expected one of zone, origin_ip",
            ),
            ("vendor=aws", "unknown parameter \"vendor\""),
            ("zone=a&zone=b", "zone is given twice"),
            ("zone=", "zone is \"\"; expected a name or an id"),
            (
                "origin_ip=192.0.2",
                "origin_ip is \"192.0.2\"; expected an IPv4",
            ),
            ("limit=10001", "limit is \"10001\"; expected 0 to 10000"),
            ("limit=-1", "limit is \"-1\""),
            ("offset=x", "offset is \"x\"; expected a number"),
            ("offset=99999999999999999999", "expected a number"),
            (
                "finding=bad",
                "expected missing, wrong, stale, unused, rotating or idle",
            ),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(message), "{query}: {error}");
        }
        let long = parse(&"x".repeat(10_000)).unwrap_err();
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn a_window_counts_all_rows_and_builds_its_own() {
        let window = |limit, offset| {
            let mut query = parse("").unwrap();
            (query.filter.limit, query.filter.offset) = (limit, offset);
            query.window(0..10, |row| row)
        };
        assert_eq!(window(3, 8), (10, vec![8, 9]));
        assert_eq!(window(0, 0), (10, vec![]));
        assert_eq!(window(5, usize::MAX), (10, vec![]));
    }
}
