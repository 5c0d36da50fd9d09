//! The page of changes in all zones, newest first.

use maud::{Markup, html};

use super::change_table;
use super::layout::{self, Site};
use super::query::{Field, PAGE_SIZE, Paging, Parameters};
use crate::history::{self, ChangeKind};

/// The page for `?zone=…&kind=…&page=…`. The zone is a full name or an identifier.
pub(super) fn page(query: &str, site: &Site<'_>) -> Markup {
    let mut parameters = Parameters::parse(query, &["zone", "kind", "page"]);
    let kind = parameters.kind("kind", ChangeKind::parse);
    let zone = Some(parameters.search_text("zone")).filter(|zone| !zone.is_empty());
    let find = |offset| {
        let (zone, limit) = (zone.clone(), PAGE_SIZE);
        let query = history::Query {
            zone,
            kind,
            limit,
            offset,
            ..history::Query::default()
        };
        site.sources.history.query(&query, site.now)
    };
    let offset = parameters
        .page("page")
        .saturating_sub(1)
        .saturating_mul(PAGE_SIZE);
    let mut found = find(offset);
    let paging = Paging::new(found.total, &parameters, "page");
    if paging.range().start != offset {
        found = find(paging.range().start);
    }
    let text = Field("zone", "Zone", "A zone’s name or id");
    let field = Field("kind", "Kind of change", "all changes");
    let kinds = ChangeKind::ALL.map(|kind| (kind.as_str(), kind.as_str().replace('_', " ")));
    let content = html! {
        h1 { "Changes" }
        p { "What changed between two polls of a zone: mappings, and findings. The newest is first." }
        (parameters.form("/changes", text, Some((field, &kinds)), "All changes"))
        @if found.changes.is_empty() {
            p.quiet { "No change." }
        } @else {
            p.quiet { (found.total) " in all." }
            (change_table::table(found.changes.iter().map(|change| &**change), site.now))
            (paging.links("Pages of changes"))
        }
        p.quiet { "The same as JSON: " a href="/api/v1/changes" { "changes" } }
    };
    layout::shell("Changes", site, &content)
}
