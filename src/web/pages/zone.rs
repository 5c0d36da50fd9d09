//! The page of one zone: its findings, settings and mappings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use super::change_table;
use super::finding_table;
use super::layout::{self, Site};
use super::query::{Field, Paging, Parameters, Search};
use super::{origins, plan};
use crate::domain::Mapping;
use crate::history;
use crate::snapshot::rows::{Finding, FindingRow, ZoneRow};
use crate::snapshot::{ZoneSlot, ZoneState};
use crate::web::reply::Reply;

/// The most changes on the page; the changes page has the rest.
const CHANGES_SHOWN: usize = 20;

/// The page of the zone with this name or identifier.
pub(super) fn answer(zone: &str, query: &str, site: &Site<'_>) -> Reply {
    let (status, title, content) = match *site.directory.find(zone) {
        [slot] => return Reply::page(StatusCode::OK, page(slot, query, site)),
        [] => (StatusCode::NOT_FOUND, "No such zone", not_found()),
        ref zones => (
            StatusCode::MULTIPLE_CHOICES,
            "Several zones",
            ambiguous(zones),
        ),
    };
    Reply::page(status, layout::shell(title, site, &content))
}

fn not_found() -> Markup {
    html! {
        h1 { "No such zone" }
        p {
            "This process polls no zone of this name or identifier. It may have left its account, "
            "or another shard polls it. " a href="/" { "All zones" }
        }
    }
}

/// The zones that share a name, if none takes precedence.
fn ambiguous(zones: &[&Arc<ZoneSlot>]) -> Markup {
    let rows = zones.iter().map(|slot| {
        let state = slot.load();
        let id = state.zone.id.as_str();
        [
            ("Identifier", html! { a href={ "/zones/" (id) } { (id) } }),
            ("Zone", html! { (state.zone.name) }),
            ("Account", html! { (state.account) }),
            ("Status", html! { (or_unknown(&state.zone.status)) }),
        ]
    });
    html! {
        h1 { "Several zones have this name" }
        (layout::table(rows))
    }
}

/// The page for `?q=…&mappings=…&findings=…`: a search, and the pages of the two tables.
fn page(slot: &ZoneSlot, query: &str, site: &Site<'_>) -> Markup {
    let parameters = Parameters::parse(query, &["q", "mappings", "findings"]);
    let search = parameters.search("q");
    let now = site.now;
    let state = slot.load();
    let zone = ZoneRow::of(&state, slot.next_poll(), now);
    let found = found(&state, &search, now);
    let findings = Paging::new(found.len(), &parameters, "findings");
    let field = Field(
        "q",
        "Search in this zone",
        "Part of an address, vendor or region",
    );
    let path = format!("/zones/{}", zone.zone_id);
    let content = html! {
        p { a href="/" { "← All zones" } }
        h1 { (zone.zone) }
        (tiles(&zone))
        (warnings(&zone))
        (parameters.form(&path, field, None, "Everything"))
        h2 #findings { "Findings" }
        @if found.is_empty() {
            (none(&state))
        } @else {
            (finding_table::of_zone(findings.of(&found).iter(), now))
            (findings.links("Pages of findings"))
        }
        (plan::block(&state, &found, &(site.sources.api_url)(), now))
        h2 { "Changes" }
        (changes(&zone, site))
        h2 { "Zone" }
        (facts(&zone, now))
        (origins::hosts(&state, &search))
        h2 #mappings { "Mappings" }
        (mappings(&state, &search, &parameters, now))
        (origins::left_out(&state))
        p.quiet {
            "The same as JSON: "
            a href={ "/api/v1/zones?zone=" (zone.zone_id) } { "zone" } ", "
            a href={ "/api/v1/findings?zone=" (zone.zone_id) } { "findings" } ", "
            a href={ "/api/v1/plan?zone=" (zone.zone_id) } { "plan" } ", "
            a href={ "/api/v1/mappings?zone=" (zone.zone_id) } { "mappings" } ", "
            a href={ "/api/v1/origins?zone=" (zone.zone_id) } { "expected origins" } ", "
            a href={ "/api/v1/origins?left_out=true&zone=" (zone.zone_id) } { "left out" } ", "
            a href={ "/api/v1/changes?zone=" (zone.zone_id) } { "changes" }
        }
    };
    layout::shell(&zone.zone, site, &content)
}

fn warnings(zone: &ZoneRow) -> Markup {
    html! {
        @if let Some(error) = &zone.error {
            p.notice.bad role="status" {
                "The last poll failed: " (layout::error(Some(error)))
                @if zone.mappings.is_some() {
                    br;
                    "What is shown below is from the last good poll."
                }
            }
        }
        @if !zone.unsupported_declarations.is_empty() {
            p.notice.bad {
                "Warning: the configuration declares vendors or regions that Cloudflare does not "
                "support: " (zone.unsupported_declarations.join(", ")) ". Correct them under "
                code { "expect" } "; the mappings may be right."
            }
        }
    }
}

fn tiles(zone: &ZoneRow) -> Markup {
    html! {
        ul.tiles aria-label="In this zone" {
            li.tile { strong { (layout::state(zone.up)) } " " span { "last poll" } }
            @if let Some(number) = zone.mappings {
                (layout::tile("mappings", Some(number), false, "#mappings"))
            }
            @for (label, number) in [
                ("missing", zone.missing),
                ("wrong", zone.wrong),
                ("unused", zone.unused),
                ("rotating", zone.origin_hosts.get("rotating").copied().filter(|count| *count > 0)),
                ("stale", zone.stale),
            ] {
                @if number.is_some() { (layout::tile(label, number, true, "#findings")) }
            }
        }
    }
}

fn facts(zone: &ZoneRow, now: Timestamp) -> Markup {
    html! {
        dl {
            (fact("Identifier", &html! { code { (zone.zone_id) } }))
            (fact("Account", &html! { (zone.account) }))
            (fact("Status and plan", &html! { (or_unknown(&zone.status)) ", " (or_unknown(&zone.plan)) }))
            (fact("Tiered Cache", &on_off(zone.tiered_cache_enabled)))
            (fact("Smart Tiered Cache", &on_off(zone.smart_tiered_cache_enabled)))
            (fact("Last poll", &html! {
                (layout::when(zone.last_poll, now))
                @if let Some(took) = zone.poll_duration_seconds { ", took " (duration(took)) }
            }))
            (fact("Last good poll", &html! {
                (layout::when(zone.last_success, now))
                @if let Some(at) = zone.last_success { " (" (layout::to_seconds(at)) ")" }
            }))
            (fact("Next poll", &html! {
                (layout::ahead(zone.next_poll, now)) ", every " (duration(zone.poll_interval_seconds))
            }))
            (fact("Stale after", &html! {
                @match zone.stale_after_seconds {
                    Some(after) => (duration(after)),
                    None => "never",
                }
            }))
            @for (name, counts) in [
                ("Expected origins", &zone.expected_origins),
                ("Origin hosts", &zone.origin_hosts),
                ("Not judged by vendor ranges", &zone.unverified_mappings),
                ("Left out of the expected origins", &zone.left_out),
            ] {
                @if !counts.is_empty() { (fact(name, &html! { (in_words(counts)) })) }
            }
            @if zone.rejected_rows > 0 {
                (fact("Unreadable rows since the start", &html! { (zone.rejected_rows) }))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn on_off(on: Option<bool>) -> Markup {
    html! { @match on { Some(true) => "on", Some(false) => "off", None => "unknown" } }
}

/// `3 config, 1 dns`
fn in_words(counts: &BTreeMap<&'static str, usize>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(word, number)| format!("{number} {}", word.replace('_', " ")))
        .collect();
    words.join(", ")
}

/// A duration with millisecond precision; days are never converted to months.
fn duration(seconds: f64) -> String {
    const DAY: f64 = 86_400.0;
    let days = seconds / DAY;
    if days >= 2.0 && days.fract() == 0.0 {
        return format!("{days} days");
    }
    let milliseconds = Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0);
    humantime::format_duration(milliseconds.unwrap_or_default()).to_string()
}

/// The findings that match the search.
fn found(state: &ZoneState, search: &Search, now: Timestamp) -> Vec<FindingRow> {
    Finding::all(state, now)
        .map(|finding| FindingRow::of(state, finding))
        .filter(|row| {
            let words = [
                &row.vendor,
                &row.region,
                &row.expected_vendor,
                &row.expected_region,
                &row.host,
            ];
            search.takes(row.origin_ip.as_deref(), &words.map(Option::as_deref))
        })
        .collect()
}

fn none(state: &ZoneState) -> Markup {
    html! { p.quiet { @if state.data.is_some() { "None." } @else { "None are known." } } }
}

fn mappings(state: &ZoneState, search: &Search, parameters: &Parameters, now: Timestamp) -> Markup {
    let is_wanted = |mapping: &&Mapping| {
        let words = [Some(mapping.vendor.as_str()), Some(mapping.region.as_str())];
        search.takes(Some(&mapping.origin_ip.to_string()), &words)
    };
    let found: Vec<_> = state.mappings().iter().filter(is_wanted).collect();
    let paging = Paging::new(found.len(), parameters, "mappings");
    if found.is_empty() {
        return none(state);
    }
    let row = |row: &&Mapping| {
        let modified = html! {
            @if row.modified_on.is_some() {
                (layout::when(row.modified_on, now))
            } @else {
                span.quiet { "unknown" }
            }
        };
        [
            ("Origin", html! { (row.origin_ip) }),
            ("Vendor", html! { (row.vendor) }),
            ("Region", html! { (row.region) }),
            ("Last modified", modified),
        ]
    };
    html! {
        (layout::table(paging.of(&found).iter().map(row)))
        (paging.links("Pages of mappings"))
    }
}

/// The latest changes of the zone.
fn changes(zone: &ZoneRow, site: &Site<'_>) -> Markup {
    let query = history::Query {
        zone: Some(zone.zone_id.clone()),
        limit: CHANGES_SHOWN,
        ..history::Query::default()
    };
    let found = site.sources.history.query(&query, site.now);
    html! {
        @if found.changes.is_empty() {
            p.quiet { "None are known." }
        } @else {
            (change_table::table(found.changes.iter().map(|change| &**change), site.now))
            @if found.total > CHANGES_SHOWN {
                p { a href={ "/changes?zone=" (zone.zone_id) } { "All " (found.total) " changes" } }
            }
        }
    }
}
