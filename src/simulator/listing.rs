//! Query parameters and pages.

use std::borrow::Cow;

use hyper::StatusCode;
use url::form_urlencoded;

use super::answer::{Failure, ResultInfo, page};
use serde::Serialize;

/// The decoded parameters of a request.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The first value with this name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_ref())
            .filter(|value| !value.is_empty())
    }

    /// Sets a parameter.
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        self.0.retain(|(key, _)| key != name);
        self.0.push((Cow::Borrowed(name), Cow::Owned(value)));
    }

    /// The requested page; 1 by default. `None` if it is not a number.
    pub(super) fn page(&self) -> Option<usize> {
        self.get("page").map_or(Some(1), whole_number)
    }
}

/// Parses a whole number. Some clients write it with a fraction (`50.0`).
fn whole_number(text: &str) -> Option<usize> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// The bounds of `per_page` for one kind of listing.
pub(super) struct PageBounds {
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) default: usize,
}

/// A valid request for a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageRequest {
    number: usize,
    size: usize,
}

impl PageRequest {
    pub(super) fn parse(query: &Query<'_>, bounds: &PageBounds) -> Result<Self, Failure> {
        let size = query
            .get("per_page")
            .map_or(Some(bounds.default), whole_number);
        let size = size.filter(|size| (bounds.least..=bounds.most).contains(size));
        let Some(size) = size else {
            let PageBounds { least, most, .. } = bounds;
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                1146,
                format!("invalid per_page parameter, must be between {least} and {most}"),
            ));
        };
        let Some(number) = query.page().filter(|&number| number >= 1) else {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                1146,
                "invalid page parameter, must be at least 1",
            ));
        };
        Ok(Self { number, size })
    }

    /// Renders this page of a listing of `total` items, with one row for each item.
    pub(super) fn render<T, R: Serialize>(
        self,
        items: impl Iterator<Item = T>,
        total: usize,
        row: impl FnMut(T) -> R,
    ) -> Vec<u8> {
        let skipped = self.size.saturating_mul(self.number - 1);
        let rows: Vec<R> = items.skip(skipped).take(self.size).map(row).collect();
        let info = ResultInfo {
            count: rows.len(),
            page: self.number,
            per_page: self.size,
            total_count: total,
            total_pages: total.div_ceil(self.size),
        };
        page(rows, info)
    }
}
