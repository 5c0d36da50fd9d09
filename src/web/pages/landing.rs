//! The page for people: what is wrong, how the accounts fare, which zones there are.

use jiff::Timestamp;
use maud::{Markup, html};
use url::form_urlencoded;

use super::layout::{self, MAX_SEARCH_CHARS, Paging, Site};
use crate::cloudflare::AccountStatus;
use crate::snapshot::rows::ZoneRow;
use crate::snapshot::{AccountState, Directory};

/// Which zones are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Part of a zone's name or its whole identifier, in lower case; empty for every zone.
    search: String,
    /// Only zones that cannot be read or with findings.
    problems: bool,
    /// From 1.
    page: usize,
}

impl Query {
    /// Reads `?q=…&show=problems&page=…`. What cannot be read counts as not given, since a page
    /// is not worth an error.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self {
            search: String::new(),
            problems: false,
            page: 1,
        };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" => parsed.search = layout::search_text(&value),
                "show" => parsed.problems = value == "problems",
                "page" => parsed.page = value.parse().unwrap_or(1),
                _ => {}
            }
        }
        parsed
    }

    fn takes(&self, zone: &ZoneRow) -> bool {
        let found = self.search.is_empty()
            || zone.zone.to_lowercase().contains(&self.search)
            || zone.zone_id.eq_ignore_ascii_case(&self.search);
        found && (!self.problems || zone.has_problem())
    }

    fn is_all(&self) -> bool {
        self.search.is_empty() && !self.problems
    }

    fn link_to(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        if self.problems {
            query.append_pair("show", "problems");
        }
        query.append_pair("page", &page.to_string()).finish()
    }
}

/// What the page shows.
#[derive(Debug)]
pub(super) struct Landing<'a> {
    pub(super) directory: &'a Directory,
    pub(super) accounts: &'a [AccountStatus],
    pub(super) now: Timestamp,
}

impl Landing<'_> {
    /// The page. It is bounded by paging, so that it opens quickly with any number of zones.
    pub(super) fn page(&self, query: &Query, site: &Site<'_>) -> Markup {
        let slots = self.directory.zones.iter();
        let mut zones: Vec<ZoneRow> = slots
            .map(|slot| ZoneRow::of(&slot.load(), slot.next_poll(), self.now))
            .collect();
        zones.sort_by_key(|zone| (zone.up != Some(false), !zone.has_problem()));
        let content = html! {
            h1 { "Zones and their origins" }
            p {
                "Which origins Cloudflare’s Tiered Cache believes to be in which cloud region, "
                "and where that is missing, stale or wrong."
            }
            (tiles(&zones))
            h2 { "Accounts" }
            (self.account_table())
            h2 { "Zones" }
            (self.zone_list(&zones, query))
        };
        layout::shell("Zones", site, &content)
    }

    fn zone_list(&self, zones: &[ZoneRow], query: &Query) -> Markup {
        let found: Vec<_> = zones.iter().filter(|zone| query.takes(zone)).collect();
        let paging = Paging::new(found.len(), query.page);
        html! {
            (search(query))
            p.quiet { (summary(query, zones.len(), found.len())) }
            (zone_table(paging.of(&found), self.now))
            (paging.links("Pages of zones", |page| query.link_to(page)))
        }
    }

    fn account_table(&self) -> Markup {
        let statuses = self.accounts;
        html! {
            table.cards {
                thead { tr {
                    th scope="col" { "Account" }
                    th scope="col" { "Zone listing" }
                    th scope="col" { "Token" }
                    th scope="col" { "Rate limit" }
                    th scope="col" { "Zones" }
                    th scope="col" { "Last error" }
                } }
                tbody {
                    @for account in &self.directory.accounts {
                        @let status = statuses.iter().find(|status| status.name == account.name);
                        (self.account_row(account, status))
                    }
                    @if self.directory.accounts.is_empty() {
                        tr { td.quiet colspan="6" { "No account has been asked yet." } }
                    }
                }
            }
        }
    }

    fn account_row(&self, account: &AccountState, status: Option<&AccountStatus>) -> Markup {
        let now = self.now;
        html! {
            tr {
                th scope="row" { (account.name) }
                td data-label="Zone listing" {
                    (layout::state(account.up)) ", last good "
                    (layout::when(account.last_success, now))
                }
                td data-label="Token" {
                    @if let Some(status) = status { (token(status, now)) }
                }
                td data-label="Rate limit" {
                    @if let Some(status) = status { (rate_limit(status, now)) }
                }
                td data-label="Zones" { (zone_counts(account)) }
                td.error data-label="Last error" { (layout::error(account.error.as_deref())) }
            }
        }
    }
}

/// What an operator wants to know first.
fn tiles(zones: &[ZoneRow]) -> Markup {
    let sum = |of: fn(&ZoneRow) -> Option<usize>| zones.iter().filter_map(of).sum();
    let failing = zones.iter().filter(|zone| zone.up == Some(false)).count();
    let unread = zones.iter().filter(|zone| zone.up.is_none()).count();
    html! {
        ul.tiles aria-label="In all zones" {
            (layout::tile("zones", zones.len(), false))
            @if unread > 0 { (layout::tile("not read yet", unread, false)) }
            (layout::tile("failing", failing, true))
            (layout::tile("mappings", sum(|zone| zone.mappings), false))
            (layout::tile("missing", sum(|zone| zone.missing), true))
            (layout::tile("wrong", sum(|zone| zone.wrong), true))
            (layout::tile("stale", sum(|zone| zone.stale), true))
        }
    }
}

fn token(status: &AccountStatus, now: Timestamp) -> Markup {
    html! {
        @if !status.has_token {
            "none: a global API key"
        } @else {
            @match status.token_valid {
                Some(true) => { span.good { "accepted" } }
                Some(false) => { span.bad { "not accepted" } }
                None => { span.quiet { "not known yet" } }
            }
            @if status.token_expires_on.is_some() {
                ", expires " (layout::ahead(status.token_expires_on, now))
            }
        }
    }
}

fn rate_limit(status: &AccountStatus, now: Timestamp) -> Markup {
    html! {
        @if status.paused_until.is_some() {
            span.bad { "paused" } ", goes on " (layout::ahead(status.paused_until, now)) "; "
        }
        (status.budget) " requests a window"
        @if let Some(remaining) = status.remaining { ", " (remaining) " left at Cloudflare" }
    }
}

fn zone_counts(account: &AccountState) -> String {
    let zones = account.zones;
    let counts = [
        (zones.polled, "polled"),
        (zones.filtered, "filtered"),
        (zones.other_shard, "in other shards"),
        (zones.duplicate, "in an earlier account"),
    ];
    let words = counts
        .iter()
        .filter(|(number, what)| *number > 0 || *what == "polled")
        .map(|(number, what)| format!("{number} {what}"));
    words.collect::<Vec<_>>().join(", ")
}

fn search(query: &Query) -> Markup {
    html! {
        form method="get" action="/" role="search" {
            input type="search" name="q" value=(query.search) maxlength=(MAX_SEARCH_CHARS)
                placeholder="Part of a name, or an id" aria-label="Search for a zone";
            label {
                input type="checkbox" name="show" value="problems" checked[query.problems];
                " only with problems"
            }
            button { "Show" }
            @if !query.is_all() { a href="/" { "All zones" } }
        }
    }
}

fn summary(query: &Query, all: usize, found: usize) -> String {
    if query.is_all() {
        format!("{all} in all, those with problems first.")
    } else {
        format!("{found} of {all} match.")
    }
}

fn zone_table(zones: &[&ZoneRow], now: Timestamp) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Zone" }
                th scope="col" { "State" }
                th.number scope="col" { "Mappings" }
                th.number scope="col" { "Missing" }
                th.number scope="col" { "Wrong" }
                th.number scope="col" { "Stale" }
                th scope="col" { "Last good poll" }
                th scope="col" { "Next poll" }
                th scope="col" { "Last error" }
            } }
            tbody {
                @for zone in zones { (zone_row(zone, now)) }
                @if zones.is_empty() {
                    tr { td.quiet colspan="9" { "No zone." } }
                }
            }
        }
    }
}

fn zone_row(zone: &ZoneRow, now: Timestamp) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/zones/" (zone.zone_id) } { (zone.zone) } }
            td data-label="State" { (layout::state(zone.up)) }
            td.number data-label="Mappings" { (layout::count(zone.mappings)) }
            td.number data-label="Missing" { (layout::findings(zone.missing)) }
            td.number data-label="Wrong" { (layout::findings(zone.wrong)) }
            td.number data-label="Stale" { (layout::findings(zone.stale)) }
            td data-label="Last good poll" { (layout::when(zone.last_success, now)) }
            td data-label="Next poll" { (layout::ahead(zone.next_poll, now)) }
            td.error data-label="Last error" { (layout::error(zone.error.as_deref())) }
        }
    }
}
