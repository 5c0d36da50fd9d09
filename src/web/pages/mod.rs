//! The HTML pages.

mod change_table;
mod changes;
mod docs;
mod finding_table;
mod findings;
mod landing;
mod layout;
mod markdown;
mod origins;
mod plan;
mod query;
mod zone;

use hyper::StatusCode;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use self::layout::Site;
use super::reply::Reply;
use super::sources::Sources;

/// Pages that are built or sent at once; further requests get 503. A page has up to 120 kB.
pub(super) const MAX_PAGES: usize = 64;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// Zones and accounts.
    Landing,
    /// The findings in all zones.
    Findings,
    /// The changes, newest first.
    Changes,
    /// The zone with this name or identifier.
    Zone(String),
    /// The documentation page with this name; a list of all pages if it is empty.
    Docs(String),
}

impl Page {
    /// The page at this path.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Landing),
            "/findings" => Some(Self::Findings),
            "/changes" => Some(Self::Changes),
            _ => {
                if let Some(zone) = path.strip_prefix("/zones/") {
                    let zone = percent_decode_str(zone).decode_utf8_lossy();
                    return Some(Self::Zone(zone.into_owned()));
                }
                let name = path.strip_prefix("/docs/")?;
                Some(Self::Docs(name.to_owned()))
            }
        }
    }
}

/// Renders a page. Every page links to the metrics at `telemetry_path`.
pub(super) fn render(page: &Page, query: &str, sources: &Sources, telemetry_path: &str) -> Reply {
    let site = &Site {
        sources,
        directory: &sources.snapshot.directory(),
        metrics: telemetry_path,
        now: Timestamp::now(),
    };
    let page = match page {
        Page::Landing => landing::page(query, site),
        Page::Findings => findings::page(query, site),
        Page::Changes => changes::page(query, site),
        Page::Zone(zone) => return zone::answer(zone, query, site),
        Page::Docs(name) => return docs::answer(name, site),
    };
    Reply::page(StatusCode::OK, page)
}

/// Parses a query as the pages do, for `fuzzing`.
pub(super) fn parse_query(text: &str) {
    let parameters = query::Parameters::parse(text, &["q", "page"]);
    parameters.search_text("q");
    parameters.page("page");
}
