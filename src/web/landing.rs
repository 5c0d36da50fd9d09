//! The page for people: what this is, how it fares, which zones it sees.
//!
//! Everything on it may come from outside and is escaped by the template engine. It is bounded by
//! paging, so that it opens quickly with any number of zones.

use std::sync::Arc;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use url::form_urlencoded;

use crate::findings::{WrongMapping, ZoneFindings};
use crate::snapshot::{AccountState, Directory, ZoneState};

const STYLE: &str = include_str!("landing.css");
/// Zones on one page; some screens full, and about 50 kB.
const PAGE_SIZE: usize = 100;
/// Longest error text that is shown; the log has the rest.
const MAX_ERROR_CHARS: usize = 300;
/// Longest search that is shown again; no zone's name is longer.
const MAX_SEARCH_CHARS: usize = 255;

/// Which zones are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Part of a zone's name or its whole identifier, in lower case; empty for every zone.
    search: String,
    /// From 1.
    page: usize,
}

impl Query {
    /// Reads `?q=…&page=…`. What cannot be read counts as not given, since a page is not worth an
    /// error.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self {
            search: String::new(),
            page: 1,
        };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "q" => {
                    parsed.search = value
                        .trim()
                        .to_lowercase()
                        .chars()
                        .take(MAX_SEARCH_CHARS)
                        .collect();
                }
                "page" => parsed.page = value.parse().unwrap_or(1).max(1),
                _ => {}
            }
        }
        parsed
    }

    fn matches(&self, zone: &ZoneState) -> bool {
        self.search.is_empty()
            || zone
                .zone
                .name
                .as_str()
                .to_lowercase()
                .contains(&self.search)
            || zone.zone.id.as_str().eq_ignore_ascii_case(&self.search)
    }

    fn link_to(&self, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        query.append_pair("page", &page.to_string()).finish()
    }
}

/// What the page links to.
#[derive(Debug)]
pub(super) struct Links<'a> {
    /// The path of the metrics.
    pub(super) metrics: &'a str,
    /// Whether the first round of polls has ended.
    pub(super) ready: bool,
}

/// The page as of `now`.
pub(super) fn page(
    directory: &Directory,
    query: &Query,
    links: &Links<'_>,
    now: Timestamp,
) -> Markup {
    let found: Vec<_> = directory
        .zones
        .iter()
        .map(|slot| slot.load())
        .filter(|zone| query.matches(zone))
        .collect();
    let pages = found.len().div_ceil(PAGE_SIZE).max(1);
    let query = Query {
        page: query.page.min(pages),
        ..query.clone()
    };
    let shown = found.chunks(PAGE_SIZE).nth(query.page - 1).unwrap_or(&[]);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Cloudflare origin region exporter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(links))
                main {
                    h2 { "Accounts" }
                    (accounts(&directory.accounts, now))
                    h2 { "Zones" }
                    (search(&query))
                    p { (summary(&query, directory.zones.len(), found.len())) }
                    (zones(shown, now))
                    @if pages > 1 { (page_links(&query, pages)) }
                }
            }
        }
    }
}

fn header(links: &Links<'_>) -> Markup {
    html! {
        header {
            h1 { "Cloudflare origin region exporter" }
            p {
                "Tells Prometheus which origins Cloudflare’s Tiered Cache believes to be in which "
                "cloud region, and where that is missing, stale or wrong."
            }
            p.quiet { "Version " (env!("CARGO_PKG_VERSION")) }
            nav {
                ul {
                    li { a href=(links.metrics) { "Metrics" } }
                    li { a href="/-/healthy" { "Health" } }
                    li {
                        a href="/-/ready" { "Readiness" }
                        @if !links.ready { " " span.quiet { "(first round not done)" } }
                    }
                }
            }
        }
    }
}

fn accounts(accounts: &[AccountState], now: Timestamp) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Account" }
                    th scope="col" { "Listing of zones" }
                    th.number scope="col" { "Polled" }
                    th.number scope="col" { "Filtered" }
                    th.number scope="col" { "Other shards" }
                    th.number scope="col" { "Duplicate" }
                    th scope="col" { "Last listed" }
                    th scope="col" { "Last error" }
                } }
                tbody {
                    @for account in accounts {
                        tr {
                            th scope="row" { (account.name) }
                            td { (state(account.up)) }
                            td.number { (account.zones.polled) }
                            td.number { (account.zones.filtered) }
                            td.number { (account.zones.other_shard) }
                            td.number { (account.zones.duplicate) }
                            td { (when(account.last_success, now)) }
                            td.error { (error(account.error.as_deref())) }
                        }
                    }
                    @if accounts.is_empty() {
                        tr { td.quiet colspan="8" { "No account has been asked yet." } }
                    }
                }
            }
        }
    }
}

fn search(query: &Query) -> Markup {
    html! {
        form method="get" action="/" role="search" {
            input type="search" name="q" value=(query.search) maxlength=(MAX_SEARCH_CHARS)
                placeholder="Part of a name" aria-label="Search for a zone by its name";
            button { "Search" }
            @if !query.search.is_empty() { a href="/" { "All zones" } }
        }
    }
}

fn summary(query: &Query, all: usize, found: usize) -> String {
    if query.search.is_empty() {
        format!("{all} in all.")
    } else {
        format!("{found} of {all} match “{}”.", query.search)
    }
}

fn zones(zones: &[Arc<ZoneState>], now: Timestamp) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Zone" }
                    th scope="col" { "State" }
                    th.number scope="col" { "Mappings" }
                    th.number scope="col" { "Missing" }
                    th.number scope="col" { "Wrong" }
                    th scope="col" { "Last poll" }
                    th scope="col" { "Last good poll" }
                    th scope="col" { "Last error" }
                } }
                tbody {
                    @for zone in zones { (zone_row(zone, now)) }
                    @if zones.is_empty() {
                        tr { td.quiet colspan="8" { "No zone." } }
                    }
                }
            }
        }
    }
}

fn zone_row(zone: &ZoneState, now: Timestamp) -> Markup {
    let poll = zone.last_poll.as_ref();
    let data = zone.data.as_ref();
    html! {
        tr {
            th scope="row" title=(zone.zone.id) { (zone.zone.name) }
            td { (state(poll.map(|poll| poll.error.is_none()))) }
            td.number { (count(data.map(|data| data.mappings.len()))) }
            td.number { (finding(data.map(|data| data.findings.missing.len()))) }
            td.number { (finding(data.map(|data| wrong_mappings(&data.findings)))) }
            td { (when(poll.map(|poll| poll.ended), now)) }
            td { (when(zone.last_success, now)) }
            td.error { (error(poll.and_then(|poll| poll.error.as_deref()))) }
        }
    }
}

/// How many mappings are wrong, each counted once however many checks it fails.
fn wrong_mappings(findings: &ZoneFindings) -> usize {
    let same_origin = |a: &WrongMapping, b: &WrongMapping| a.origin_ip == b.origin_ip;
    findings.wrong.chunk_by(same_origin).count()
}

fn page_links(query: &Query, pages: usize) -> Markup {
    html! {
        nav.pages aria-label="Pages" {
            @if query.page > 1 { a rel="prev" href=(query.link_to(query.page - 1)) { "Previous" } }
            span { "Page " (query.page) " of " (pages) }
            @if query.page < pages { a rel="next" href=(query.link_to(query.page + 1)) { "Next" } }
        }
    }
}

/// The state in words, so that its colour is not needed to understand it.
fn state(good: Option<bool>) -> Markup {
    match good {
        Some(true) => html! { span.good { "good" } },
        Some(false) => html! { span.bad { "failing" } },
        None => html! { span.quiet { "not read yet" } },
    }
}

fn count(number: Option<usize>) -> Markup {
    html! {
        @if let Some(number) = number { (number) } @else { span.quiet { "unknown" } }
    }
}

fn finding(number: Option<usize>) -> Markup {
    match number {
        Some(number) if number > 0 => html! { span.bad { (number) } },
        number => count(number),
    }
}

fn when(time: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(time) = time {
            time datetime=(time) title=(time) { (ago(time, now)) }
        } @else {
            span.quiet { "never" }
        }
    }
}

/// The time since then in its largest unit. A time that lies ahead, as after a step of the clock,
/// is "just now".
fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs();
    match seconds {
        ..1 => "just now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn error(text: Option<&str>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let mut shown: String = text.chars().take(MAX_ERROR_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::cloudflare::Reason;
    use crate::domain::{AccountName, Zone, ZoneId, ZoneMappings, ZoneName};
    use crate::findings::{Check, ExpectedPlace, TieredCache};
    use crate::snapshot::{LastPoll, StaleAfter, ZoneCounts, ZoneData, ZoneSlot};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn zone(id: &str, name: &str) -> ZoneState {
        let mut zone = Zone::unknown(ZoneId::parse(id).unwrap());
        zone.name = ZoneName::parse(name).unwrap();
        ZoneState {
            zone,
            account: AccountName::parse("default").unwrap(),
            interval: Duration::from_mins(5),
            stale_after: StaleAfter::Never,
            last_poll: None,
            last_success: None,
            data: None,
            tiered_cache: TieredCache::default(),
            changes: None,
            polls: 0,
            errors: BTreeMap::<Reason, u64>::new(),
            rejected_rows: 0,
        }
    }

    fn directory(zones: Vec<ZoneState>) -> Directory {
        let slot = |state: ZoneState| Arc::new(ZoneSlot::new(state.zone.id.clone(), state));
        Directory {
            zones: zones.into_iter().map(slot).collect(),
            ..Directory::default()
        }
    }

    fn render(directory: &Directory, query: &str) -> String {
        let links = Links {
            metrics: "/metrics",
            ready: true,
        };
        page(directory, &Query::parse(query), &links, NOW).into_string()
    }

    fn many(count: usize) -> Directory {
        directory(
            (0..count)
                .map(|n| zone(&format!("id{n}"), &format!("zone{n:05}.example")))
                .collect(),
        )
    }

    #[test]
    fn what_comes_from_outside_is_harmless() {
        let evil = "<script>alert(1)</script>";
        let mut bad = zone("abc", evil);
        bad.last_poll = Some(LastPoll {
            ended: NOW,
            duration: Duration::ZERO,
            error: Some(evil.to_owned()),
        });
        let mut directory = directory(vec![bad]);
        directory.accounts.push(AccountState {
            name: AccountName::parse(evil).unwrap(),
            up: Some(false),
            last_success: None,
            error: Some(evil.to_owned()),
            zones: ZoneCounts::default(),
        });
        let html = render(&directory, "q=%3Cscript%3E");
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;alert(1)").count(), 4, "{html}");
        let html = render(&directory, "q=%22%3E%3Cscript%3E");
        assert!(
            !html.contains("<script") && !html.contains("\"\">"),
            "{html}"
        );
    }

    #[test]
    fn the_page_names_nothing_outside_of_this_server() {
        let html = render(&many(3), "");
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("//"));
        assert!(!html.contains("<script"));
        for link in [
            "href=\"/metrics\"",
            "href=\"/-/healthy\"",
            "href=\"/-/ready\"",
        ] {
            assert!(html.contains(link), "{link}");
        }
    }

    #[test]
    fn many_zones_come_in_pages() {
        let directory = many(1000);
        let html = render(&directory, "");
        assert_eq!(html.matches("zone0").count(), PAGE_SIZE);
        assert!(html.contains("zone00099") && !html.contains("zone00100"));
        assert!(html.contains("Page 1 of 10") && html.contains("?page=2") && html.len() < 100_000);

        let html = render(&directory, "page=10");
        assert!(html.contains("zone00999") && !html.contains("rel=\"next\""));
        for beyond in ["page=11", "page=99999999999999999999", "page=0", "page=x"] {
            assert!(render(&directory, beyond).contains("zone00"), "{beyond}");
        }
    }

    #[test]
    fn a_search_finds_parts_of_names_and_whole_ids_and_keeps_over_pages() {
        let directory = many(1000);
        let html = render(&directory, "q=ZONE0000");
        assert!(html.contains("10 of 1000 match"));
        let html = render(&directory, "q=id7");
        assert!(html.contains("zone00007") && html.contains("1 of 1000 match"));
        let html = render(&directory, "q=example&page=3");
        assert!(html.contains("?q=example&amp;page=2") && html.contains("?q=example&amp;page=4"));
        assert!(render(&directory, "q=nothing").contains("No zone."));
    }

    #[test]
    fn a_zone_shows_its_state_and_what_is_wrong_with_it() {
        let mut good = zone("a", "good.example");
        good.last_poll = Some(LastPoll {
            ended: NOW - jiff::SignedDuration::from_secs(90),
            duration: Duration::ZERO,
            error: None,
        });
        let wrong = |check| WrongMapping {
            origin_ip: crate::domain::OriginIp::parse("192.0.2.1").unwrap(),
            vendor: crate::domain::Vendor::Aws,
            region: crate::domain::Region::parse("us-east-1").unwrap(),
            expected: ExpectedPlace::default(),
            check,
        };
        good.data = Some(ZoneData {
            mappings: Arc::new(ZoneMappings::default()),
            findings: Arc::new(ZoneFindings {
                wrong: vec![wrong(Check::Declared), wrong(Check::VendorRanges)],
                ..ZoneFindings::default()
            }),
        });
        let html = zone_row(&good, NOW).into_string();
        for part in [
            "<span class=\"good\">good</span>",
            "90 s ago",
            "<td class=\"number\">0</td>",
            "<span class=\"bad\">1</span>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let html = zone_row(&zone("b", "new.example"), NOW).into_string();
        assert!(
            html.contains("not read yet") && html.contains("unknown"),
            "{html}"
        );
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        for (seconds, text) in [
            (-5, "just now"),
            (0, "just now"),
            (1, "1 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            let time = NOW - jiff::SignedDuration::from_secs(seconds);
            assert_eq!(ago(time, NOW), text);
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let long = "é".repeat(MAX_ERROR_CHARS + 1);
        assert_eq!(error(Some(&long)).chars().count(), MAX_ERROR_CHARS + 1);
        assert!(error(Some(&long)).ends_with('…'));
        assert_eq!(error(Some("short")), "short");
    }
}
