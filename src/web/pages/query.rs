//! The query of a page: its filters, and its position in a table.

use indexmap::IndexMap;
use maud::{Markup, html};
use url::form_urlencoded;

use crate::domain::{OriginIp, ZoneName};
use crate::truncate::prefix;

/// Table rows per page: a few screens, and about 70 kB.
pub(super) const PAGE_SIZE: usize = 100;
/// The longest search text; zone names are not longer.
const MAX_SEARCH_CHARS: usize = 255;

/// A position in a paged table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging<'a> {
    parameters: &'a Parameters,
    /// The parameter with the number of the page.
    name: &'static str,
    /// From 1.
    page: usize,
    pages: usize,
}

impl<'a> Paging<'a> {
    /// The requested page of a table with this many rows; the last page if there are fewer.
    pub(super) fn new(rows: usize, parameters: &'a Parameters, name: &'static str) -> Self {
        let pages = rows.div_ceil(PAGE_SIZE).max(1);
        Self {
            parameters,
            name,
            page: parameters.page(name).clamp(1, pages),
            pages,
        }
    }

    /// The indices of the page's rows.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        let start = (self.page - 1) * PAGE_SIZE;
        start..start + PAGE_SIZE
    }

    /// The rows of the page.
    pub(super) fn of<T>(self, rows: &[T]) -> &[T] {
        rows.chunks(PAGE_SIZE).nth(self.page - 1).unwrap_or(&[])
    }

    /// Links to the previous and next page; empty if there is only one page.
    pub(super) fn links(self, label: &str) -> Markup {
        let Self { page, pages, .. } = self;
        let link = |page| self.parameters.link(self.name, page);
        html! {
            @if pages > 1 {
                nav.pages aria-label=(label) {
                    @if page > 1 { a rel="prev" href=(link(page - 1)) { "Previous" } }
                    span { "Page " (page) " of " (pages) }
                    @if page < pages { a rel="next" href=(link(page + 1)) { "Next" } }
                }
            }
        }
    }
}

/// The known parameters of a page's query, truncated to [`MAX_SEARCH_CHARS`] and empty if they are
/// absent. Of several with one name the last counts; invalid values count as absent.
#[derive(Debug)]
pub(super) struct Parameters(IndexMap<&'static str, String>);

impl Parameters {
    pub(super) fn parse(query: &str, known: &[&'static str]) -> Self {
        let mut parameters: IndexMap<_, _> =
            known.iter().map(|&name| (name, String::new())).collect();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(parameter) = parameters.get_mut(&*key) {
                prefix(&value, MAX_SEARCH_CHARS).clone_into(parameter);
            }
        }
        Self(parameters)
    }

    /// A value; empty if it is absent.
    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The value of a parameter that names one of several kinds.
    pub(super) fn kind<K>(&mut self, name: &str, parse: impl Fn(&str) -> Option<K>) -> Option<K> {
        let value = self.0.get_mut(name)?;
        let kind = parse(value);
        if kind.is_none() {
            value.clear();
        }
        kind
    }

    /// A search text in lower case.
    pub(super) fn search_text(&self, name: &str) -> String {
        self.get(name).trim().to_lowercase()
    }

    /// The search for a text.
    pub(super) fn search(&self, name: &str) -> Search {
        let text = self.search_text(name);
        Search {
            address: OriginIp::parse(&text).ok().map(|ip| ip.to_string()),
            text,
        }
    }

    /// A link to another page of the same table.
    fn link(&self, name: &'static str, page: usize) -> String {
        let mut parameters = self.0.clone();
        parameters.insert(name, page.to_string());
        link("", parameters)
    }

    /// The number of a page, from 1.
    pub(super) fn page(&self, name: &str) -> usize {
        self.get(name).parse().unwrap_or(1)
    }

    /// A form that filters a table by a text, and by one of several kinds if there are any. `all` is
    /// the link to everything.
    pub(super) fn form(
        &self,
        path: &str,
        Field(name, label, hint): Field,
        kinds: Option<(Field, &[(&str, String)])>,
        all: &str,
    ) -> Markup {
        let search = self.search_text(name);
        let kind = kinds.map_or("", |(Field(name, ..), _)| self.get(name));
        html! {
            form method="get" action=(path) role="search" {
                input type="search" name=(name) value=(search) maxlength=(MAX_SEARCH_CHARS)
                    placeholder=(hint) aria-label=(label);
                @if let Some((Field(name, label, everything), kinds)) = kinds {
                    select name=(name) aria-label=(label) {
                        option value="" selected[kind.is_empty()] { (everything) }
                        @for (word, label) in kinds {
                            option value=(word) selected[*word == kind] { (label) }
                        }
                    }
                }
                button { @if kinds.is_some() { "Show" } @else { "Search" } }
                @if !search.is_empty() || !kind.is_empty() { a href=(path) { (all) } }
            }
        }
    }
}

/// A link with the parameters that have a value.
pub(super) fn link<V: AsRef<str>>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'static str, V)>,
) -> String {
    let parameters = parameters.into_iter();
    let given = parameters.filter(|(_, value)| !value.as_ref().is_empty());
    let mut query = form_urlencoded::Serializer::for_suffix(format!("{path}?"), path.len() + 1);
    query.extend_pairs(given).finish()
}

/// Whether a search text is part of a zone's name, the name in another spelling, or its identifier.
pub(super) fn names(zone: &str, id: &str, search: &str) -> bool {
    zone.to_lowercase().contains(search)
        || ZoneName::parse(zone).is_ok_and(|zone| zone.matches(search))
        || id.eq_ignore_ascii_case(search)
}

/// A search for addresses, hosts, vendors and regions.
pub(super) struct Search {
    /// In lower case; empty for everything.
    pub(super) text: String,
    /// The address that it spells.
    address: Option<String>,
}

impl Search {
    /// Whether the search matches an address, or part of it or of these words.
    pub(super) fn takes(&self, origin_ip: Option<&str>, words: &[Option<&str>]) -> bool {
        let mut words = words.iter().flatten();
        (self.address.is_some() && self.address.as_deref() == origin_ip)
            || origin_ip.is_none_or(|ip| ip.contains(&self.text))
            || words.any(|word| word.to_lowercase().contains(&self.text))
    }
}

/// A field of a form: its parameter; its name for those who cannot see it; and what may be entered
/// or, in a list, the entry that filters nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) &'static str,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_beyond_the_last_is_the_last() {
        let rows: Vec<_> = (0..250).collect();
        let shown = |asked: usize| {
            let parameters = Parameters::parse(&format!("page={asked}"), &["page"]);
            Paging::new(rows.len(), &parameters, "page").of(&rows).len()
        };
        assert_eq!(
            [0, 1, 2, 3, 4, usize::MAX].map(shown),
            [100, 100, 100, 50, 50, 50]
        );
        let parameters = Parameters::parse("page=7", &["page"]);
        let paging = Paging::new(0, &parameters, "page");
        assert_eq!(paging.of(&[(); 0]).len(), 0);
    }
}
