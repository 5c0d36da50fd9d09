//! The documentation of this very version, for whoever is paged and has nothing else at hand.

use hyper::StatusCode;
use maud::html;
use url::Url;

use super::layout::{self, Site};
use crate::web::reply::Reply;

/// Where the texts link to what is not served here.
const REPOSITORY: &str = "https://github.com/cloudflare-origin-region-exporter/\
                          cloudflare-origin-region-exporter/blob/main/";

/// A text of the repository.
struct Text {
    path: &'static str,
    subject: &'static str,
    content: &'static str,
}

macro_rules! text {
    ($path:literal, $subject:literal) => {
        Text {
            path: $path,
            subject: $subject,
            content: include_str!(concat!("../../../", $path)),
        }
    };
}

const TEXTS: [Text; 7] = [
    text!("docs/alerts.md", "Alerts, and what each means"),
    text!("deploy/runbooks.md", "What to do about each alert"),
    text!("docs/metrics.md", "Metrics"),
    text!("docs/configuration.md", "Configuration"),
    text!(
        "docs/web-configuration.md",
        "TLS, users and limits of the server"
    ),
    text!("docs/api.md", "JSON API"),
    text!("docs/probe.md", "Probing one origin"),
];

/// The text of this name, or the list of all where the name is empty.
pub(super) fn answer(name: &str, site: &Site<'_>) -> Reply {
    if name.is_empty() {
        return Reply::page(StatusCode::OK, list(site));
    }
    let found = TEXTS.iter().find(|text| text.name() == name);
    found.map_or_else(
        || {
            Reply::text(
                StatusCode::NOT_FOUND,
                "There is no such text; /docs/ lists them.",
            )
        },
        |text| Reply::document(text.served()),
    )
}

fn list(site: &Site<'_>) -> maud::Markup {
    layout::shell(
        "Documentation",
        site,
        &html! {
            h1 { "Documentation" }
            p { "The texts that belong to this version, as plain text." }
            ul {
                @for text in TEXTS {
                    li { a href=(text.name()) { (text.subject) } }
                }
            }
        },
    )
}

impl Text {
    /// Its name here, where all stand side by side.
    fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The text with links that lead on from here.
    fn served(&self) -> String {
        let mut parts = self.content.split("](");
        let mut served = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            served.push_str("](");
            match part.split_once(')') {
                Some((target, rest)) => {
                    served.push_str(&self.link(target));
                    served.push(')');
                    served.push_str(rest);
                }
                None => served.push_str(part),
            }
        }
        served
    }

    /// A link of the text as it is from here: to another of the texts, or to the repository.
    fn link(&self, target: &str) -> String {
        let place = Url::parse(REPOSITORY).and_then(|root| root.join(self.path));
        let Ok(target) = place.and_then(|place| place.join(target)) else {
            return target.to_owned();
        };
        let path = target.as_str().strip_prefix(REPOSITORY).unwrap_or_default();
        let (path, fragment) = path.split_at(path.find('#').unwrap_or(path.len()));
        match TEXTS.iter().find(|text| text.path == path) {
            Some(text) => format!("{}{fragment}", text.name()),
            None => target.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// As the heading of a section is named in a link to it.
    fn anchor(heading: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let words: String = heading.trim().chars().filter(kept).collect();
        words.to_lowercase().replace(' ', "-")
    }

    fn links(text: &str) -> Vec<&str> {
        let parts = text.split("](").skip(1);
        parts
            .filter_map(|part| Some(part.split_once(')')?.0))
            .collect()
    }

    #[test]
    fn every_link_of_a_text_leads_to_a_section_of_another_or_to_a_file_of_the_repository() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut seen = 0;
        for text in TEXTS {
            let served = text.served();
            for link in links(&served) {
                seen += 1;
                if let Some(path) = link.strip_prefix(REPOSITORY) {
                    assert!(root.join(path).exists(), "{}: {link}", text.path);
                } else if !link.starts_with("https://") {
                    let (name, section) = link.split_once('#').unwrap_or((link, ""));
                    let found = TEXTS.iter().find(|text| text.name() == name);
                    let found = found.unwrap_or_else(|| panic!("{}: {link}", text.path));
                    let headings = found.content.lines().filter(|line| line.starts_with('#'));
                    let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                    let is_there = section.is_empty() || anchors.any(|anchor| anchor == section);
                    assert!(is_there, "{}: {link}", text.path);
                }
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn a_link_is_followed_from_where_its_text_stands() {
        let [alerts, runbooks, ..] = TEXTS;
        assert_eq!(alerts.link("../deploy/runbooks.md#a"), "runbooks.md#a");
        assert_eq!(runbooks.link("../docs/alerts.md"), "alerts.md");
        assert_eq!(runbooks.link("#a"), "runbooks.md#a");
        assert_eq!(
            alerts.link("https://example.com/x"),
            "https://example.com/x"
        );
        assert_eq!(
            runbooks.link("prometheus/rules.yaml"),
            format!("{REPOSITORY}deploy/prometheus/rules.yaml")
        );
    }
}
