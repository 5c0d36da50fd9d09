//! Serves the documentation of this version, so that people on call have it at hand.

use hyper::StatusCode;
use maud::{Markup, html};
use url::Url;

use super::layout::{self, Site};
use super::markdown;
use crate::web::reply::Reply;

/// Represents the root of the repository when links are resolved.
const ROOT: &str = "repository:///";

/// A document of the repository.
struct Text {
    path: &'static str,
    subject: &'static str,
    content: &'static str,
}

macro_rules! texts {
    ($($path:literal: $subject:literal,)*) => {
        [$(Text {
            path: $path,
            subject: $subject,
            content: include_str!(concat!("../../../", $path)),
        }),*]
    };
}

const TEXTS: [Text; 21] = texts! {
    "docs/first-alert.md": "From zero to the first alert",
    "docs/alerts.md": "Alerts, and what each means",
    "deploy/runbooks.md": "Runbooks: what to do about each alert",
    "docs/dashboards.md": "Dashboards",
    "docs/metrics.md": "Metrics",
    "docs/configuration.md": "Configuration",
    "docs/web-configuration.md": "TLS, users and limits of the web server",
    "docs/origins.md": "How origins are known",
    "docs/storage.md": "Storage and history",
    "docs/api.md": "JSON API",
    "docs/probe.md": "Probing one origin",
    "docs/installation.md": "Installation",
    "docs/reliability.md": "Reliability: every fault and what happens",
    "docs/security.md": "Security",
    "docs/performance.md": "Performance",
    "docs/scaling.md": "Scaling",
    "docs/architecture.md": "Architecture",
    "docs/releasing.md": "Releasing",
    "README.md": "Overview",
    "CONTRIBUTING.md": "Contributing",
    "CHANGELOG.md": "Changelog",
};

/// The document with this name, or a list of all documents if the name is empty.
pub(super) fn answer(name: &str, site: &Site<'_>) -> Reply {
    let file = name.strip_suffix(".md").unwrap_or(name);
    let text = TEXTS.iter().find(|text| text.name() == file);
    let (status, title, content) = match text {
        Some(text) => (StatusCode::OK, text.subject, text.article()),
        None if name.is_empty() => (StatusCode::OK, "Documentation", list()),
        None => (StatusCode::NOT_FOUND, "No such page", not_found()),
    };
    Reply::page(status, layout::shell(title, site, &content))
}

fn list() -> Markup {
    html! {
        h1 { "Documentation" }
        p { "The documentation of this version." }
        ul {
            @for text in &TEXTS {
                li { a href={ "/docs/" (text.name()) } { (text.subject) } }
            }
        }
    }
}

fn not_found() -> Markup {
    html! {
        h1 { "No such page" }
        p { "There is no documentation of this name. " a href="/docs/" { "All documentation" } }
    }
}

impl Text {
    /// Its name below `/docs/`: that of its file, in lower case and without the ending.
    fn name(&self) -> String {
        let file = self.path.rsplit('/').next().unwrap_or(self.path);
        file.trim_end_matches(".md").to_ascii_lowercase()
    }

    fn article(&self) -> Markup {
        html! {
            p { a href="/docs/" { "← All documentation" } }
            article { (markdown::render(self.content, |target| self.link(target))) }
        }
    }

    /// The address of a link: another document, or a page on another site. `None` if it leads to a
    /// file of the repository that is not served.
    fn link(&self, target: &str) -> Option<String> {
        let here = Url::parse(ROOT).ok()?.join(self.path).ok()?;
        let target = here.join(target).ok()?;
        let Some(path) = target.as_str().strip_prefix(ROOT) else {
            return matches!(target.scheme(), "https" | "http").then(|| target.to_string());
        };
        let (path, fragment) = path.split_at(path.find('#').unwrap_or(path.len()));
        let text = TEXTS.iter().find(|text| text.path == path)?;
        Some(format!("/docs/{}{fragment}", text.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_text_of_the_repository_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_served = TEXTS.iter().any(|text| path.ends_with(text.path));
            let is_text = path.extension().is_some_and(|extension| extension == "md");
            assert!(!is_text || is_served, "{}", path.display());
        }
    }

    #[test]
    fn the_texts_have_names_of_their_own() {
        let names: HashSet<_> = TEXTS.iter().map(Text::name).collect();
        assert_eq!(names.len(), TEXTS.len());
        assert!(
            names.contains("runbooks") && names.contains("readme"),
            "{names:?}"
        );
    }

    #[test]
    fn every_link_of_a_text_leads_to_a_section_or_a_file_of_the_repository() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let seen = std::cell::Cell::new(0);
        for text in &TEXTS {
            markdown::render(text.content, |target| {
                seen.set(seen.get() + 1);
                let link = text.link(target);
                match link.as_deref().and_then(|link| link.strip_prefix("/docs/")) {
                    Some(link) => {
                        let (name, section) = link.split_once('#').unwrap_or((link, ""));
                        let found = TEXTS.iter().find(|text| text.name() == name).unwrap();
                        let anchors = markdown::anchors(found.content);
                        assert!(
                            section.is_empty() || anchors.iter().any(|anchor| anchor == section),
                            "{}: {target}",
                            text.path
                        );
                    }
                    None if link.is_none() => {
                        let folder = root.join(text.path);
                        let path = target.split('#').next().unwrap();
                        let file = folder.parent().unwrap().join(path);
                        assert!(file.exists(), "{}: {target}", text.path);
                    }
                    None => {}
                }
                None
            });
        }
        assert!(seen.get() > 30, "{}", seen.get());
    }

    #[test]
    fn a_link_is_resolved_from_its_text() {
        let [_, alerts, runbooks, ..] = &TEXTS;
        for (text, target, link) in [
            (alerts, "../deploy/runbooks.md#a", Some("/docs/runbooks#a")),
            (runbooks, "../docs/alerts.md", Some("/docs/alerts")),
            (runbooks, "#a", Some("/docs/runbooks#a")),
            (
                alerts,
                "https://example.com/x",
                Some("https://example.com/x"),
            ),
            (alerts, "javascript:x", None),
            (runbooks, "prometheus/rules.yaml", None),
        ] {
            assert_eq!(text.link(target).as_deref(), link, "{target}");
        }
    }
}
