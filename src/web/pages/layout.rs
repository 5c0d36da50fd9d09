//! Shared parts of the pages: frame, tables, formatting of values.
//!
//! Values may come from outside, so the template engine escapes them. Pages load no resources and
//! run no scripts.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::build_info;
use crate::snapshot::Directory;
use crate::truncate::truncated;
use crate::web::api::Resource;
use crate::web::sources::Sources;

const STYLE: &str = include_str!("page.css");
/// The most characters of an error on a page; the log has the full text.
const MAX_ERROR_CHARS: usize = 300;

/// What the pages show and link to.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) sources: &'a Sources,
    pub(super) directory: &'a Directory,
    /// The path of the metrics.
    pub(super) metrics: &'a str,
    pub(super) now: Timestamp,
}

impl Site<'_> {
    /// Whether the first round of polls has finished.
    pub(super) fn is_ready(&self) -> bool {
        *self.sources.ready.borrow()
    }
}

/// A complete page with this content.
pub(super) fn shell(title: &str, site: &Site<'_>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Cloudflare origin region exporter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    a.home href="/" { "Cloudflare origin region exporter" }
                    nav aria-label="This exporter" {
                        a href="/" { "Zones" }
                        a href="/findings" { "Findings" }
                        a href="/changes" { "Changes" }
                        a href=(site.metrics) { "Metrics" }
                        a href="/docs/" { "Documentation" }
                        @for (number, resource) in Resource::ALL.iter().enumerate() {
                            a href={ "/api/v1/" (resource.as_str()) } {
                                @if number == 0 { "API: " }
                                (resource.as_str())
                            }
                        }
                        a href="/-/healthy" { "Health" }
                        a href="/-/ready" { "Readiness" }
                    }
                }
                main {
                    @if !site.is_ready() {
                        p.notice role="status" {
                            "The first round of polls has not ended yet. Some zones are still missing."
                        }
                    }
                    (content)
                }
                footer { "Version " (build_info::LINE) }
            }
        }
    }
}

/// A number with a link to what it counts. A number of bad things is red unless it is 0. An unknown
/// number is a dash, because 0 would be good news.
pub(super) fn tile(label: &str, number: Option<usize>, bad: bool, link: &str) -> Markup {
    let class = if bad && number.is_some_and(|number| number > 0) {
        "tile bad"
    } else {
        "tile"
    };
    html! {
        li class=(class) {
            a href=(link) {
                @match number {
                    Some(number) => strong { (number) },
                    None => strong.quiet title="not judged" { "–" },
                }
                " " span { (label) }
            }
        }
    }
}

/// The result of the last poll or listing as text, so that it does not depend on colour alone.
pub(super) fn state(good: Option<bool>) -> Markup {
    match good {
        Some(true) => html! { span.good { "good" } },
        Some(false) => html! { span.bad { "failing" } },
        None => html! { span.quiet { "not read yet" } },
    }
}

/// A table of at least one row. Each cell has the name of its column; the first is the header of its
/// row.
pub(super) fn table<const N: usize>(
    rows: impl Iterator<Item = [(&'static str, Markup); N]>,
) -> Markup {
    let mut rows = rows.peekable();
    let heads = rows.peek().map(|row| row.each_ref().map(|(head, _)| *head));
    html! {
        table.cards {
            thead { tr { @for head in heads.into_iter().flatten() { th scope="col" { (head) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (number, (head, cell)) in row.into_iter().enumerate() {
                            @if number == 0 {
                                th scope="row" { (cell) }
                            } @else {
                                td data-label=(head) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Vendor and region.
pub(super) fn place(vendor: Option<&str>, region: Option<&str>, neither: &str) -> Markup {
    html! {
        @if vendor.is_none() && region.is_none() {
            span.quiet { (neither) }
        } @else {
            span.place { (vendor.unwrap_or_default()) " " (region.unwrap_or_default()) }
        }
    }
}

/// A neutral number.
pub(super) fn count(number: Option<usize>) -> Markup {
    html! {
        @if let Some(number) = number { (number) } @else { span.quiet { "unknown" } }
    }
}

/// A number of findings; `None` if they are not evaluated.
pub(super) fn findings(number: Option<usize>) -> Markup {
    match number {
        Some(0) => html! { "0" },
        Some(number) => html! { span.bad { (number) } },
        None => html! { span.quiet { "–" } },
    }
}

/// How long ago a time was.
pub(super) fn when(time: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(time) = time { (instant(time, &ago(time, now))) }
        @else { span.quiet { "never" } }
    }
}

/// How far ahead a time is.
pub(super) fn ahead(time: Option<Timestamp>, now: Timestamp) -> Markup {
    html! {
        @if let Some(time) = time { (instant(time, &until(time, now))) }
        @else { span.quiet { "not planned" } }
    }
}

/// A relative time, with the exact one for machines and as a tooltip.
fn instant(time: Timestamp, words: &str) -> Markup {
    let exact = to_seconds(time);
    html! { time datetime=(exact) title=(exact) { (words) } }
}

/// The time truncated to whole seconds.
pub(super) fn to_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The time since then in its largest unit. A time in the future, as after a clock step, is "just
/// now".
fn ago(time: Timestamp, now: Timestamp) -> String {
    match now.duration_since(time).as_secs() {
        ..1 => "just now".to_owned(),
        seconds => format!("{} ago", span(seconds)),
    }
}

fn until(time: Timestamp, now: Timestamp) -> String {
    match time.duration_since(now).as_secs() {
        ..1 => "now".to_owned(),
        seconds => format!("in {}", span(seconds)),
    }
}

/// A duration in its largest unit.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An error text, truncated if it is very long.
pub(super) fn error(text: Option<&str>) -> Markup {
    html! { (truncated(text.unwrap_or_default(), MAX_ERROR_CHARS)) }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    #[test]
    fn times_have_their_largest_unit() {
        for (seconds, before, after) in [
            (-5, "just now", "now"),
            (0, "just now", "now"),
            (1, "1 s ago", "in 1 s"),
            (119, "119 s ago", "in 119 s"),
            (120, "2 min ago", "in 2 min"),
            (7_200, "2 h ago", "in 2 h"),
            (172_800, "2 days ago", "in 2 days"),
        ] {
            let distance = SignedDuration::from_secs(seconds);
            assert_eq!(ago(NOW - distance, NOW), before);
            assert_eq!(until(NOW + distance, NOW), after);
        }
    }
}
