//! What a request of the JSON API asks for.

use url::form_urlencoded;

use super::api::Resource;
use crate::domain::{Mapping, OriginIp, Region, Vendor};
use crate::snapshot::ZoneState;
use crate::snapshot::rows::Finding;

/// Rows in an answer where the request does not say.
const DEFAULT_LIMIT: usize = 1000;
/// Most rows in an answer: some megabytes.
const MAX_LIMIT: usize = 10_000;
/// Longest part of a request that an error repeats.
const MAX_SHOWN_CHARS: usize = 100;

/// Which rows fit. What is `None` is not filtered by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Filter {
    zone: Option<String>,
    vendor: Option<Vendor>,
    region: Option<Region>,
    origin_ip: Option<OriginIp>,
    finding: Option<&'static str>,
}

/// Which of the rows that fit are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// A query that is not understood. It is refused rather than ignored, since a mistyped filter
/// would answer with everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuery {
    #[error("unknown parameter {0:?}; there are {1}")]
    Unknown(String, &'static str),
    #[error("{0} is given twice")]
    Twice(&'static str),
    #[error("{name} is {value:?}; expected {expected}")]
    Value {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
}

impl Filter {
    /// Reads a query string.
    pub(super) fn parse(query: &str, resource: Resource) -> Result<(Self, Window), BadQuery> {
        let mut filter = Self::default();
        let (mut limit, mut offset) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "zone" => set(
                    "zone",
                    &mut filter.zone,
                    &value,
                    "a name or an id",
                    |text| (!text.is_empty()).then(|| text.to_owned()),
                ),
                "vendor" => set("vendor", &mut filter.vendor, &value, "a vendor", |text| {
                    Vendor::parse(text).ok()
                }),
                "region" => set("region", &mut filter.region, &value, "a region", |text| {
                    Region::parse(text).ok()
                }),
                "origin_ip" => set(
                    "origin_ip",
                    &mut filter.origin_ip,
                    &value,
                    "an IPv4 or IPv6 address",
                    |text| OriginIp::parse(text).ok(),
                ),
                "finding" if resource == Resource::Findings => set(
                    "finding",
                    &mut filter.finding,
                    &value,
                    "missing, wrong or stale",
                    |text| Finding::KINDS.into_iter().find(|kind| *kind == text),
                ),
                "limit" => set("limit", &mut limit, &value, "0 to 10000", |text| {
                    text.parse().ok().filter(|limit| *limit <= MAX_LIMIT)
                }),
                "offset" => set("offset", &mut offset, &value, "a number from 0", |text| {
                    text.parse().ok()
                }),
                unknown => Err(BadQuery::Unknown(shortened(unknown), resource.parameters())),
            }?;
        }
        let window = Window {
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            offset: offset.unwrap_or(0),
        };
        Ok((filter, window))
    }

    pub(super) fn takes_zone(&self, state: &ZoneState) -> bool {
        let wanted = self.zone.as_deref();
        wanted.is_none_or(|wanted| state.zone.answers_to(wanted))
    }

    /// Whether nothing is asked of mappings.
    pub(super) fn takes_any_mapping(&self) -> bool {
        (&self.vendor, &self.region, self.origin_ip) == (&None, &None, None)
    }

    pub(super) fn takes_mapping(&self, mapping: &Mapping) -> bool {
        self.takes(mapping.origin_ip, Some((&mapping.vendor, &mapping.region)))
    }

    pub(super) fn takes_finding(&self, finding: Finding<'_>) -> bool {
        self.finding.is_none_or(|kind| kind == finding.kind())
            && self.takes(finding.origin_ip(), finding.mapped_to())
    }

    fn takes(&self, origin_ip: OriginIp, place: Option<(&Vendor, &Region)>) -> bool {
        let (vendor, region) = place.unzip();
        self.origin_ip.is_none_or(|wanted| wanted == origin_ip)
            && self
                .vendor
                .as_ref()
                .is_none_or(|wanted| Some(wanted) == vendor)
            && self
                .region
                .as_ref()
                .is_none_or(|wanted| Some(wanted) == region)
    }
}

impl Window {
    /// Counts the rows that fit, and makes those that are shown.
    pub(super) fn cut<T, R>(
        self,
        fitting: impl Iterator<Item = T>,
        make: impl Fn(T) -> R,
    ) -> (usize, Vec<R>) {
        let end = self.offset.saturating_add(self.limit);
        let mut shown = Vec::new();
        let mut total = 0;
        for row in fitting {
            if (self.offset..end).contains(&total) {
                shown.push(make(row));
            }
            total += 1;
        }
        (total, shown)
    }
}

impl Resource {
    fn parameters(self) -> &'static str {
        match self {
            Self::Zones | Self::Mappings => "zone, vendor, region, origin_ip, limit and offset",
            Self::Findings => "zone, vendor, region, origin_ip, finding, limit and offset",
        }
    }
}

fn set<T>(
    name: &'static str,
    slot: &mut Option<T>,
    value: &str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<(), BadQuery> {
    let parsed = parse(value).ok_or_else(|| BadQuery::Value {
        name,
        value: shortened(value),
        expected,
    })?;
    match slot.replace(parsed) {
        None => Ok(()),
        Some(_) => Err(BadQuery::Twice(name)),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<(Filter, Window), BadQuery> {
        Filter::parse(query, Resource::Findings)
    }

    #[test]
    fn nothing_asked_is_everything_up_to_the_default() {
        let (filter, window) = parse("").unwrap();
        assert_eq!(filter, Filter::default());
        assert_eq!((window.limit, window.offset), (1000, 0));
    }

    #[test]
    fn an_address_is_taken_in_any_spelling() {
        for spelling in ["2001:DB8::0:1", "2001%3adb8%3a%3a1", "+2001:db8::1"] {
            let (filter, _) = parse(&format!("origin_ip={spelling}")).unwrap();
            assert_eq!(filter.origin_ip, OriginIp::parse("2001:db8::1").ok());
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (query, said) in [
            (
                "zones=a",
                "unknown parameter \"zones\"; there are zone, vendor",
            ),
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
            ("finding=bad", "expected missing, wrong or stale"),
        ] {
            let error = parse(query).unwrap_err().to_string();
            assert!(error.contains(said), "{query}: {error}");
        }
        assert!(Filter::parse("finding=stale", Resource::Zones).is_err());
        let long = parse(&"x".repeat(10_000)).unwrap_err().to_string();
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn a_window_counts_all_and_makes_what_it_shows() {
        let cut = |limit, offset| Window { limit, offset }.cut(0..10, |row| row);
        assert_eq!(cut(3, 8), (10, vec![8, 9]));
        assert_eq!(cut(0, 0), (10, vec![]));
        assert_eq!(cut(5, usize::MAX), (10, vec![]));
    }
}
