//! Renders the Markdown of this repository as HTML.

use std::collections::HashMap;

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Renders a text. `link` returns the address of each link, or `None` if it is not served; such a
/// link becomes plain text. Images become their descriptions and raw HTML is left out, because
/// pages load no resources.
pub(super) fn render(text: &str, link: impl Fn(&str) -> Option<String>) -> Markup {
    let mut anchors = anchors(text).into_iter();
    let mut open_links = Vec::new();
    let events = parser(text).filter_map(|event| match event {
        Event::Html(_) | Event::InlineHtml(_) => None,
        Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
            level,
            id: anchors.next().map(CowStr::from),
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::Start(Tag::Image { .. }) => Some(Event::Start(Tag::Emphasis)),
        Event::End(TagEnd::Image) => Some(Event::End(TagEnd::Emphasis)),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let target = link(&dest_url);
            open_links.push(target.is_some());
            target.map(|target| {
                Event::Start(Tag::Link {
                    link_type,
                    dest_url: target.into(),
                    title,
                    id,
                })
            })
        }
        Event::End(TagEnd::Link) => open_links.pop()?.then_some(event),
        other => Some(other),
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    PreEscaped(page)
}

/// The anchors of the headings in order, named as on GitHub.
pub(super) fn anchors(text: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut used = HashMap::<String, usize>::new();
    let mut heading = None::<String>;
    for event in parser(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = slug(&heading.take().unwrap_or_default());
                let count = used.entry(anchor.clone()).or_default();
                anchors.push(match *count {
                    0 => anchor,
                    before => format!("{anchor}-{before}"),
                });
                *count += 1;
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let words: String = heading.trim().chars().filter(kept).collect();
    words.to_lowercase().replace(' ', "-")
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_all(text: &str) -> String {
        let link = |target: &str| (target != "nowhere").then(|| format!("to-{target}"));
        render(text, link).into_string()
    }

    #[test]
    fn headings_have_the_anchors_that_links_use() {
        let html = render_all("# What `zone_up` means: it\n\n## Same\n\n## Same\n");
        for part in [
            "<h1 id=\"what-zone_up-means-it\">",
            "<h2 id=\"same\">",
            "<h2 id=\"same-1\">",
        ] {
            assert!(html.contains(part), "{html}");
        }
    }

    #[test]
    fn links_lead_on_or_are_text() {
        let html = render_all("[a](b#c) [d](nowhere) ![e](f.png)");
        assert_eq!(html, "<p><a href=\"to-b#c\">a</a> d <em>e</em></p>\n");
    }

    #[test]
    fn nothing_of_a_text_is_raw_html() {
        let html = render_all("a <b>c</b>\n\n<script>x</script>\n\n`<i>` <!-- d -->\n");
        assert!(
            !html.contains("<b>") && !html.contains("<script>") && !html.contains("<!--"),
            "{html}"
        );
        assert!(html.contains("<code>&lt;i&gt;</code>"), "{html}");
    }
}
