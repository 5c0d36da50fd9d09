//! The page of findings in all zones, most important first.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};

use super::finding_table;
use super::layout::{self, MAX_SEARCH_CHARS, Paging, Parameters, Site};
use crate::domain::OriginIp;
use crate::findings::FindingKind;
use crate::snapshot::rows::{Finding, FindingRow};
use crate::snapshot::{Directory, ZoneState, is_judged};

/// The order of the kinds on the page, most costly first. An origin with a missing or wrong mapping
/// is being served through the wrong upper tier; the others only may be.
const ORDER: [FindingKind; 6] = [
    FindingKind::Missing,
    FindingKind::Wrong,
    FindingKind::Rotating,
    FindingKind::Idle,
    FindingKind::Unused,
    FindingKind::Stale,
];

/// The number of findings of each kind; kinds without any are left out.
type Counts = BTreeMap<FindingKind, usize>;

/// The filters of the request.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Parameters,
    kind: Option<FindingKind>,
    /// Part of a zone's name, an address, a host, a vendor or a region, in lower case.
    search: String,
}

impl Query {
    /// Parses `?finding=…&q=…&page=…`. Invalid values count as absent.
    pub(super) fn parse(query: &str) -> Self {
        let parameters = Parameters::parse(query, &["finding", "q", "page"]);
        let kind = parameters.get("finding");
        Self {
            kind: ORDER.into_iter().find(|known| known.as_str() == kind),
            search: parameters.search_text("q"),
            parameters,
        }
    }
}

/// A search text and the values it is compared with.
struct Search<'a> {
    text: &'a str,
    address: Option<OriginIp>,
}

impl Search<'_> {
    fn takes(&self, state: &ZoneState, finding: Finding<'_>) -> bool {
        let contains = |text: &str| text.to_lowercase().contains(self.text);
        self.text.is_empty()
            || layout::names(state.zone.name.as_str(), self.text)
            || state.zone.id.as_str().eq_ignore_ascii_case(self.text)
            || finding.origin_ip().is_some_and(|origin_ip| {
                self.address == Some(origin_ip) || contains(&origin_ip.to_string())
            })
            || finding.host().is_some_and(|host| contains(host.as_str()))
            || finding.mapped_to().is_some_and(|(vendor, region)| {
                contains(vendor.as_str()) || contains(region.as_str())
            })
    }
}

/// The page as of `now`. Paging limits its size.
pub(super) fn page(
    directory: &Directory,
    query: &Query,
    site: &Site<'_>,
    now: Timestamp,
) -> Markup {
    let zones: Vec<_> = directory.zones.iter().map(|slot| slot.load()).collect();
    let search = Search {
        text: &query.search,
        address: OriginIp::parse(&query.search).ok(),
    };
    let counts = count(&zones, &search, now);
    let kinds = ORDER
        .iter()
        .filter(|kind| query.kind.is_none_or(|wanted| wanted == **kind));
    let counted: Vec<_> = kinds
        .filter_map(|kind| counts.get_key_value(kind))
        .collect();
    let total = counted.iter().map(|(_, count)| **count).sum();
    let paging = Paging::new(total, &query.parameters, "page");
    let rows = rows(&zones, &search, &counted, paging.range(), now);
    let content = html! {
        h1 { "Findings" }
        p { "What is wrong with the mappings of all zones. What matters most comes first." }
        (filters(query, tile_numbers(&zones, &counts)))
        @if rows.is_empty() {
            p.quiet { (none(directory, query)) }
        } @else {
            p.quiet { (total) " in all." }
            (finding_table::of_zones(rows.iter(), now))
            (paging.links("Pages of findings"))
        }
        p.quiet {
            "The same as JSON: " a href="/api/v1/findings" { "findings" } ". "
            a href="/docs/runbooks" { "What to do about each alert" } "."
        }
    };
    layout::shell("Findings", site, &content)
}

/// How many findings of each kind match the search.
fn count(zones: &[Arc<ZoneState>], search: &Search<'_>, now: Timestamp) -> Counts {
    let mut counts = Counts::new();
    for state in zones {
        for finding in Finding::all(state, now).filter(|finding| search.takes(state, *finding)) {
            *counts.entry(finding.kind()).or_default() += 1;
        }
    }
    counts
}

/// The rows of the window, by kind, then zone, then address. Only these are built. `counted` are the
/// kinds in their order, with the number of findings.
fn rows(
    zones: &[Arc<ZoneState>],
    search: &Search<'_>,
    counted: &[(&FindingKind, &usize)],
    window: std::ops::Range<usize>,
    now: Timestamp,
) -> Vec<FindingRow> {
    let mut rows = Vec::new();
    let mut begin = 0;
    for &(&kind, &count) in counted {
        let skipped = window.start.saturating_sub(begin);
        if begin < window.end && skipped < count {
            let found = zones.iter().flat_map(|state| {
                Finding::all(state, now)
                    .filter(|finding| finding.kind() == kind && search.takes(state, *finding))
                    .map(move |finding| (state, finding))
            });
            let room = window.len() - rows.len();
            let shown = found.skip(skipped).take(room);
            rows.extend(shown.map(|(state, finding)| FindingRow::of(state, finding)));
        }
        begin += count;
    }
    rows
}

/// The counts of the kinds that are evaluated for at least one zone.
fn tile_numbers(
    zones: &[Arc<ZoneState>],
    counts: &Counts,
) -> [(FindingKind, Option<usize>); ORDER.len()] {
    ORDER.map(|kind| {
        let count = counts.get(&kind).copied();
        let is_judged = || zones.iter().any(|state| is_judged(state, kind));
        (kind, count.or_else(|| is_judged().then_some(0)))
    })
}

fn filters(query: &Query, numbers: [(FindingKind, Option<usize>); ORDER.len()]) -> Markup {
    html! {
        form method="get" action="/findings" role="search" {
            input type="search" name="q" value=(query.search) maxlength=(MAX_SEARCH_CHARS)
                placeholder="Part of a zone, address, host or region"
                aria-label="Search in the findings";
            select name="finding" aria-label="Kind of finding" {
                option value="" selected[query.kind.is_none()] { "all kinds" }
                @for kind in ORDER {
                    option value=(kind.as_str()) selected[query.kind == Some(kind)] { (kind.as_str()) }
                }
            }
            button { "Show" }
            @if query.kind.is_some() || !query.search.is_empty() {
                a href="/findings" { "All findings" }
            }
        }
        ul.tiles aria-label="By kind" {
            @for (kind, number) in numbers {
                (layout::tile(kind.as_str(), number, true, &layout::link(
                    "/findings",
                    [("finding", kind.as_str()), ("q", &query.search)],
                )))
            }
        }
    }
}

fn none(directory: &Directory, query: &Query) -> &'static str {
    let is_read = |slot: &Arc<crate::snapshot::ZoneSlot>| slot.load().data.is_some();
    if query.kind.is_some() || !query.search.is_empty() {
        "Nothing matches."
    } else if directory.zones.iter().any(is_read) {
        "Nothing is wrong with the zones that could be read."
    } else {
        "No zone has been read yet, so nothing is known."
    }
}
