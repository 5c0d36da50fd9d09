//! The page of findings in all zones, most important first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};

use super::finding_table;
use super::layout::{self, Site};
use super::query::{self, Field, Paging, Parameters, Search};
use crate::domain::{HostName, Region, Vendor};
use crate::findings::FindingKind;
use crate::snapshot::rows::{Finding, FindingRow};
use crate::snapshot::{ZoneState, is_judged};

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

/// Whether a search matches a finding or its zone.
fn takes(search: &Search, state: &ZoneState, finding: Finding<'_>) -> bool {
    let zone = &state.zone;
    if search.text.is_empty() || query::names(zone.name.as_str(), zone.id.as_str(), &search.text) {
        return true;
    }
    let origin_ip = finding.origin_ip().map(|ip| ip.to_string());
    let (vendor, region) = finding.mapped_to().unzip();
    let host = finding.host().map(HostName::as_str);
    let words = [host, vendor.map(Vendor::as_str), region.map(Region::as_str)];
    search.takes(Some(&origin_ip.unwrap_or_default()), &words)
}

/// The page for `?finding=…&q=…&page=…`. Paging limits its size.
pub(super) fn page(query: &str, site: &Site<'_>) -> Markup {
    let mut parameters = Parameters::parse(query, &["finding", "q", "page"]);
    let wanted = parameters.kind("finding", FindingKind::parse);
    let search = parameters.search("q");
    let now = site.now;
    let slots = site.directory.zones.iter();
    let zones: Vec<_> = slots.map(|slot| slot.load()).collect();
    let counts = count(&zones, &search, now);
    let is_shown = |kind: &&FindingKind| {
        counts.contains_key(*kind) && wanted.is_none_or(|wanted| wanted == **kind)
    };
    let kinds: Vec<_> = ORDER.iter().filter(is_shown).collect();
    let total = kinds.iter().filter_map(|kind| counts.get(*kind)).sum();
    let paging = Paging::new(total, &parameters, "page");
    let rows = rows(&zones, &search, &kinds, paging.range(), now);
    let text = Field(
        "q",
        "Search in the findings",
        "Part of a zone, address, host or region",
    );
    let field = Field("finding", "Kind of finding", "all kinds");
    let kinds = ORDER.map(|kind| (kind.as_str(), kind.to_string()));
    let content = html! {
        h1 { "Findings" }
        p { "What is wrong with the mappings of all zones. What matters most comes first." }
        (parameters.form("/findings", text, Some((field, &kinds)), "All findings"))
        (tiles(&zones, &counts, &search.text))
        @if rows.is_empty() {
            p.quiet { (none(&zones, wanted.is_none() && search.text.is_empty())) }
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
fn count(zones: &[Arc<ZoneState>], search: &Search, now: Timestamp) -> Counts {
    let mut counts = Counts::new();
    for state in zones {
        for finding in Finding::all(state, now).filter(|finding| takes(search, state, *finding)) {
            *counts.entry(finding.kind()).or_default() += 1;
        }
    }
    counts
}

/// The rows of the window, by kind, then zone, then address. Only these are built.
fn rows(
    zones: &[Arc<ZoneState>],
    search: &Search,
    kinds: &[&FindingKind],
    window: Range<usize>,
    now: Timestamp,
) -> Vec<FindingRow> {
    let found = kinds.iter().flat_map(|kind| {
        zones.iter().flat_map(move |state| {
            let findings = Finding::all(state, now).filter(|finding| finding.kind() == **kind);
            let found = findings.filter(|finding| takes(search, state, *finding));
            found.map(move |finding| (state, finding))
        })
    });
    let shown = found.skip(window.start).take(window.len());
    shown
        .map(|(state, finding)| FindingRow::of(state, finding))
        .collect()
}

/// The counts of the kinds; a dash for those that are evaluated for no zone.
fn tiles(zones: &[Arc<ZoneState>], counts: &Counts, search: &str) -> Markup {
    html! {
        ul.tiles aria-label="By kind" {
            @for kind in ORDER {
                @let is_judged = || zones.iter().any(|state| is_judged(state, kind));
                @let number = counts.get(&kind).copied().or_else(|| is_judged().then_some(0));
                (layout::tile(kind.as_str(), number, true, &query::link(
                    "/findings",
                    [("finding", kind.as_str()), ("q", search)],
                )))
            }
        }
    }
}

fn none(zones: &[Arc<ZoneState>], is_everything: bool) -> &'static str {
    if !is_everything {
        "Nothing matches."
    } else if zones.iter().any(|state| state.data.is_some()) {
        "Nothing is wrong with the zones that could be read."
    } else {
        "No zone has been read yet, so nothing is known."
    }
}
