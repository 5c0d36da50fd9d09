//! The page of changes in all zones, newest first.

use jiff::Timestamp;
use maud::{Markup, html};

use super::change_table;
use super::layout::{self, MAX_SEARCH_CHARS, PAGE_SIZE, Paging, Parameters, Site};
use crate::history::{self, ChangeKind, History};

/// The filters of the request.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Parameters,
    /// A zone's full name or identifier; empty for all zones.
    zone: String,
    kind: Option<ChangeKind>,
}

impl Query {
    /// Parses `?zone=…&kind=…&page=…`. Invalid values count as absent.
    pub(super) fn parse(query: &str) -> Self {
        let parameters = Parameters::parse(query, &["zone", "kind", "page"]);
        Self {
            zone: parameters.search_text("zone"),
            kind: ChangeKind::parse(parameters.get("kind")),
            parameters,
        }
    }

    fn wanted(&self, offset: usize) -> history::Query {
        history::Query {
            zone: (!self.zone.is_empty()).then(|| self.zone.clone()),
            kind: self.kind,
            limit: PAGE_SIZE,
            offset,
            ..history::Query::default()
        }
    }
}

/// The page as of `now`.
pub(super) fn page(history: &History, query: &Query, site: &Site<'_>, now: Timestamp) -> Markup {
    let page = query.parameters.page("page");
    let offset = page.saturating_sub(1).saturating_mul(PAGE_SIZE);
    let mut found = history.query(&query.wanted(offset), now);
    let paging = Paging::new(found.total, &query.parameters, "page");
    if paging.range().start != offset {
        found = history.query(&query.wanted(paging.range().start), now);
    }
    let content = html! {
        h1 { "Changes" }
        p { "What changed between two polls of a zone: mappings, and findings. The newest is first." }
        (filters(query))
        @if found.changes.is_empty() {
            p.quiet { "No change." }
        } @else {
            p.quiet { (found.total) " in all." }
            (change_table::table(found.changes.iter().map(|change| &**change), now))
            (paging.links("Pages of changes"))
        }
        p.quiet { "The same as JSON: " a href="/api/v1/changes" { "changes" } }
    };
    layout::shell("Changes", site, &content)
}

fn filters(query: &Query) -> Markup {
    html! {
        form method="get" action="/changes" role="search" {
            input type="search" name="zone" value=(query.zone) maxlength=(MAX_SEARCH_CHARS)
                placeholder="A zone’s name or id" aria-label="Zone";
            select name="kind" aria-label="Kind of change" {
                option value="" selected[query.kind.is_none()] { "all changes" }
                @for kind in ChangeKind::ALL {
                    option value=(kind.as_str()) selected[query.kind == Some(kind)] {
                        (kind.as_str().replace('_', " "))
                    }
                }
            }
            button { "Show" }
            @if query.kind.is_some() || !query.zone.is_empty() {
                a href="/changes" { "All changes" }
            }
        }
    }
}
