//! The landing page: problems, accounts, zones.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{self, Site};
use super::query::{self, Field, Paging, Parameters};
use crate::cloudflare::AccountStatus;
use crate::snapshot::rows::ZoneRow;
use crate::snapshot::{AccountState, ZoneCounts};

/// Which zones are shown: the word in the query, the label, and whether a zone is one of them.
struct Show(&'static str, &'static str, fn(&ZoneRow) -> bool);

const SHOWS: [Show; 3] = [
    Show("problems", "with problems", ZoneRow::has_problem),
    Show("failing", "failing", |zone| zone.up == Some(false)),
    Show("unread", "not read yet", |zone| zone.up.is_none()),
];

/// The page for `?q=…&show=…&page=…`. Paging limits its size, so that it opens quickly with any
/// number of zones.
pub(super) fn page(query: &str, site: &Site<'_>) -> Markup {
    let mut parameters = Parameters::parse(query, &["q", "show", "page"]);
    let show = parameters.kind("show", |word| SHOWS.iter().find(|show| show.0 == word));
    let search = parameters.search_text("q");
    let now = site.now;
    let (slots, accounts) = (&site.directory.zones, &site.directory.accounts);
    let mut zones: Vec<ZoneRow> = slots
        .iter()
        .map(|slot| ZoneRow::of(&slot.load(), slot.next_poll(), now))
        .collect();
    zones.sort_by_key(|zone| (zone.up != Some(false), !zone.has_problem()));
    let is_wanted = |zone: &&ZoneRow| {
        show.is_none_or(|Show(.., takes)| takes(zone))
            && (search.is_empty() || query::names(&zone.zone, &zone.zone_id, &search))
    };
    let found: Vec<_> = zones.iter().filter(is_wanted).collect();
    let paging = Paging::new(found.len(), &parameters, "page");
    let statuses = (site.sources.accounts)();
    let text = Field("q", "Search for a zone", "Part of a name, or an id");
    let field = Field("show", "Which zones", "all zones");
    let shows = SHOWS.map(|Show(word, label, _)| (word, label.to_owned()));
    let content = html! {
        h1 { "Zones and their origins" }
        (alarms(&statuses, site))
        p {
            "Where Cloudflare’s Tiered Cache believes your origins to be, and which of these "
            "mappings are missing, wrong, stale or without effect."
        }
        @if !zones.is_empty() { (tiles(&zones)) }
        h2 { "Accounts" }
        @if accounts.is_empty() {
            p.quiet { "No account has been read yet." }
        } @else {
            (layout::table(accounts.iter().map(|account| account_row(account, &statuses, now))))
        }
        h2 #zones { "Zones" }
        (parameters.form("/", text, Some((field, &shows)), "All zones"))
        p.quiet {
            @if show.is_none() && search.is_empty() {
                (zones.len()) " in all, those with problems first."
            } @else {
                (found.len()) " of " (zones.len()) " match."
            }
        }
        @if found.is_empty() {
            p.quiet { "No zone." }
        } @else {
            div.zones {
                (layout::table(paging.of(&found).iter().map(|zone| zone_row(zone, now))))
            }
        }
        (paging.links("Pages of zones"))
    };
    layout::shell("Zones", site, &content)
}

/// Problems that make the rest of the page incomplete.
fn alarms(statuses: &[AccountStatus], site: &Site<'_>) -> Markup {
    let alarm = |text: &Markup| html! { p.notice.bad role="alert" { (text) } };
    html! {
        @for status in statuses.iter().filter(|status| status.token_valid == Some(false)) {
            (alarm(&html! {
                "Cloudflare refuses the API token of account " strong { (status.name) }
                ". Its zones cannot be read until the token is replaced."
            }))
        }
        @for account in site.directory.accounts.iter().filter(|account| account.up == Some(false)) {
            (alarm(&html! {
                "The zones of account " strong { (account.name) } " cannot be listed: "
                (layout::error(account.error.as_deref()))
            }))
        }
        @if site.is_ready() && site.directory.zones.is_empty() {
            (alarm(&html! {
                strong { "No zone is watched." } " " (why_no_zone(&site.directory.accounts))
            }))
        }
    }
}

fn why_no_zone(accounts: &[AccountState]) -> &'static str {
    let any = |of: fn(&ZoneCounts) -> usize| accounts.iter().any(|account| of(&account.zones) > 0);
    if accounts
        .iter()
        .all(|account| account.last_success.is_none())
    {
        "No account could list its zones."
    } else if any(|zones| zones.other_shard) {
        "Other shards poll all zones."
    } else if any(|zones| zones.filtered) {
        "The filters of the configuration exclude every zone."
    } else {
        "The accounts list no zones: check which zones their tokens may read."
    }
}

fn account_row(
    account: &AccountState,
    statuses: &[AccountStatus],
    now: Timestamp,
) -> [(&'static str, Markup); 7] {
    let status = statuses.iter().find(|status| status.name == account.name);
    let listing = html! {
        (layout::state(account.up)) ", last good " (layout::when(account.last_success, now))
    };
    let token = html! { @if let Some(status) = status { (token(status, now)) } };
    let budget = html! { @if let Some(status) = status { (budget(status, now)) } };
    let remaining = html! {
        @match status.and_then(|status| status.remaining) {
            Some(remaining) => { (remaining) " requests" },
            None => span.quiet { "unknown" },
        }
    };
    [
        ("Account", html! { (account.name) }),
        ("Zone listing", listing),
        ("Token", token),
        ("Own budget", budget),
        ("Left at Cloudflare", remaining),
        ("Zones", html! { (zone_counts(account)) }),
        ("Last error", layout::error(account.error.as_deref())),
    ]
}

/// The most important numbers, each with a link to what it counts.
fn tiles(zones: &[ZoneRow]) -> Markup {
    // `None`, not 0, if the number is unknown for every zone.
    let sum = |of: fn(&ZoneRow) -> Option<usize>| zones.iter().filter_map(of).reduce(|a, b| a + b);
    let count = |of: fn(&ZoneRow) -> bool| zones.iter().filter(|zone| of(zone)).count();
    let unread = count(|zone| zone.up.is_none());
    let failing = count(|zone| zone.up == Some(false));
    let idle = count(|zone| zone.idle == Some(true));
    html! {
        ul.tiles aria-label="In all zones" {
            (layout::tile("zones", Some(zones.len()), false, "#zones"))
            @if unread > 0 {
                (layout::tile("not read yet", Some(unread), false, "/?show=unread#zones"))
            }
            (layout::tile("failing", Some(failing), true, "/?show=failing#zones"))
            (layout::tile("mappings", sum(|zone| zone.mappings), false, "/api/v1/mappings"))
            (layout::tile("missing", sum(|zone| zone.missing), true, "/findings?finding=missing"))
            (layout::tile("wrong", sum(|zone| zone.wrong), true, "/findings?finding=wrong"))
            @for (label, number) in [
                ("unused", sum(|zone| zone.unused)),
                ("rotating", sum(|zone| zone.origin_hosts.get("rotating").copied())),
            ] {
                @if number.is_some_and(|number| number > 0) {
                    (layout::tile(label, number, true, &format!("/findings?finding={label}")))
                }
            }
            (layout::tile("stale", sum(|zone| zone.stale), true, "/findings?finding=stale"))
            @if idle > 0 {
                (layout::tile("zones idle", Some(idle), true, "/findings?finding=idle"))
            }
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
                Some(false) => { span.bad { "refused" } }
                None => { span.quiet { "not known yet" } }
            }
            @if status.token_expires_on.is_some() {
                ", expires " (layout::ahead(status.token_expires_on, now))
            }
        }
    }
}

fn budget(status: &AccountStatus, now: Timestamp) -> Markup {
    html! {
        @if status.paused_until.is_some() {
            span.bad { "paused" } " by Cloudflare, resumes " (layout::ahead(status.paused_until, now)) "; "
        }
        (status.budget) " requests a window"
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

fn zone_row(zone: &ZoneRow, now: Timestamp) -> [(&'static str, Markup); 10] {
    let name = html! { a href={ "/zones/" (zone.zone_id) } { (zone.zone) } };
    let mappings = html! {
        (layout::count(zone.mappings))
        @if zone.idle == Some(true) { " " span.bad { "idle" } }
    };
    [
        ("Zone", name),
        ("Poll", layout::state(zone.up)),
        ("Mappings", mappings),
        ("Missing", layout::findings(zone.missing)),
        ("Wrong", layout::findings(zone.wrong)),
        ("Unused", layout::findings(zone.unused)),
        ("Stale", layout::findings(zone.stale)),
        ("Last good poll", layout::when(zone.last_success, now)),
        ("Next poll", layout::ahead(zone.next_poll, now)),
        ("Last error", layout::error(zone.error.as_deref())),
    ]
}
