//! The documentation of this very version, for whoever is paged and has nothing else at hand.

use hyper::StatusCode;
use maud::html;

use super::page::{self, Site};
use super::reply::Reply;

/// Name, subject and text.
const PAGES: [(&str, &str, &str); 5] = [
    (
        "alerts.md",
        "Alerts, and what to do about each",
        include_str!("../../docs/alerts.md"),
    ),
    (
        "metrics.md",
        "Metrics",
        include_str!("../../docs/metrics.md"),
    ),
    (
        "configuration.md",
        "Configuration",
        include_str!("../../docs/configuration.md"),
    ),
    ("api.md", "JSON API", include_str!("../../docs/api.md")),
    (
        "probe.md",
        "Probing one origin",
        include_str!("../../docs/probe.md"),
    ),
];

/// The text of this name, or the list of all where the name is empty.
pub(super) fn answer(name: &str, site: &Site<'_>) -> Reply {
    if name.is_empty() {
        return Reply::page(StatusCode::OK, list(site));
    }
    let found = PAGES.iter().find(|(known, ..)| *known == name);
    found.map_or_else(
        || {
            Reply::text(
                StatusCode::NOT_FOUND,
                "There is no such text; /docs/ lists them.",
            )
        },
        |(_, _, text)| Reply::document(text),
    )
}

fn list(site: &Site<'_>) -> maud::Markup {
    page::shell(
        "Documentation",
        site,
        &html! {
            h1 { "Documentation" }
            p { "The texts that belong to this version, as plain text." }
            ul {
                @for (name, subject, _) in PAGES {
                    li { a href=(name) { (subject) } }
                }
            }
        },
    )
}
