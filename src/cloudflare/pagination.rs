//! Reads a list page by page, and checks that its pages agree. Pure: no I/O.
//!
//! A list without documented paging is read the same way: its first page is the whole list, unless
//! `result_info` reports more.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Deserialize;

use super::Reason;

/// A response's position in the list. Every field is optional; unknown fields are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) struct PageInfo {
    pub(super) page: Option<u64>,
    pub(super) per_page: Option<u64>,
    pub(super) total_count: Option<u64>,
    pub(super) total_pages: Option<u64>,
}

/// Whether a list has been read completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is another page.
    More,
    /// That was the last page.
    Done,
}

/// Why a list is rejected: its pages contradict each other, because it may have changed during the
/// read, or it has more pages than any real list of its kind.
pub(super) type WalkError = (Reason, String);

/// The pages of a list that were read so far. `K` identifies a row.
#[derive(Debug)]
pub(super) struct Walk<K> {
    max_pages: u64,
    per_page: u64,
    /// Whether page and size of the first page are requested.
    is_paged: bool,
    page: u64,
    rows: u64,
    /// What the first page says of the whole list. Its own number is left out.
    first: PageInfo,
    page_of_key: HashMap<K, u64>,
}

impl<K: Hash + Eq> Walk<K> {
    /// Requests `per_page` rows per page and fails beyond `max_pages`. With `None`, the API
    /// documents no paging, and everything is requested at once.
    pub(super) fn new(per_page: Option<u64>, max_pages: u64) -> Self {
        Self {
            max_pages,
            per_page: per_page.unwrap_or(u64::MAX),
            is_paged: per_page.is_some(),
            page: 1,
            rows: 0,
            first: PageInfo::default(),
            page_of_key: HashMap::new(),
        }
    }

    /// The number (from 1) and size of the next page; `None` for the first request of a list
    /// without documented paging.
    pub(super) fn next_page(&self) -> Option<(u64, u64)> {
        let is_asked = self.is_paged || self.page > 1;
        is_asked.then_some((self.page, self.per_page))
    }

    /// Processes the requested page: its number of rows, readable or not, and the keys of the
    /// readable ones.
    pub(super) fn accept(
        &mut self,
        rows: u64,
        info: PageInfo,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Progress, WalkError> {
        // Some lists without paging report a single page, whatever `per_page` says.
        let is_whole = !self.is_paged && self.page == 1 && info.total_count == Some(rows);
        if !is_whole {
            self.check_info(info)?;
        }
        let repeats = self.check_keys(keys)?;
        self.rows += rows;
        let page = self.page;
        // Repeated rows would hide that rows on later pages are missing.
        if repeats && rows > self.per_page {
            return inconsistent(format!(
                "page {page} has {rows} rows instead of {}, some of them twice",
                self.per_page
            ));
        }
        let is_last = match (info.total_count, info.total_pages) {
            (Some(total), _) if self.rows > total => {
                return inconsistent(format!(
                    "page {page} makes it {} rows, but total_count is {total}",
                    self.rows
                ));
            }
            (Some(total), _) => self.rows == total,
            (None, Some(pages)) => page >= pages,
            (None, None) => rows < self.per_page,
        };
        if is_last {
            return Ok(Progress::Done);
        }
        if rows != self.per_page {
            return inconsistent(format!(
                "page {page} has {rows} rows instead of {}, but is not the last",
                self.per_page
            ));
        }
        if page >= self.max_pages {
            return Err(self.too_large());
        }
        self.page += 1;
        Ok(Progress::More)
    }

    fn check_info(&mut self, info: PageInfo) -> Result<(), WalkError> {
        let page = self.page;
        if let Some(answered) = info.page.filter(|&answered| answered != page) {
            return inconsistent(format!("page {answered} came instead of page {page}"));
        }
        let totals = PageInfo { page: None, ..info };
        if page == 1 {
            self.first = totals;
            if let Some(fewer) = info.per_page.filter(|&n| n >= 1 && n < self.per_page) {
                self.per_page = fewer;
            }
        } else if totals != self.first {
            return inconsistent(format!(
                "total_count, total_pages or per_page changed from page 1 to page {page}"
            ));
        }
        let pages = info
            .total_count
            .map(|total| total.div_ceil(self.per_page))
            .or(info.total_pages);
        if let (Some(pages), Some(claimed)) = (pages, info.total_pages)
            && claimed != pages
            // An empty list may be counted as no page or as one.
            && (pages, claimed) != (0, 1)
        {
            return inconsistent(format!(
                "total_pages is {claimed}, but total_count makes it {pages}"
            ));
        }
        if pages.is_some_and(|pages| pages > self.max_pages) {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// Whether a row is repeated on this page.
    fn check_keys(&mut self, keys: impl IntoIterator<Item = K>) -> Result<bool, WalkError> {
        let page = self.page;
        let (before, mut seen) = (self.page_of_key.len(), 0);
        for key in keys {
            seen += 1;
            let first_on = *self.page_of_key.entry(key).or_insert(page);
            if first_on != page {
                return inconsistent(format!(
                    "a row of page {first_on} comes again on page {page}"
                ));
            }
        }
        Ok(self.page_of_key.len() < before + seen)
    }

    fn too_large(&self) -> WalkError {
        let (pages, rows) = (self.max_pages, self.per_page);
        let problem = format!("the list has more than {pages} pages of {rows} rows");
        (Reason::TooLarge, problem)
    }
}

fn inconsistent<T>(problem: String) -> Result<T, WalkError> {
    Err((Reason::InconsistentPages, problem))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Walks pages of keys with their page info; returns the number of pages read.
    fn walk(per_page: u64, pages: &[(Vec<u64>, PageInfo)]) -> Result<u64, WalkError> {
        read(Walk::new(Some(per_page), 5), pages)
    }

    fn read(mut walk: Walk<u64>, pages: &[(Vec<u64>, PageInfo)]) -> Result<u64, WalkError> {
        loop {
            let at = usize::try_from(walk.page - 1).unwrap();
            let (keys, info) = pages.get(at).cloned().unwrap_or_default();
            if walk.accept(keys.len() as u64, info, keys)? == Progress::Done {
                return Ok(walk.page);
            }
        }
    }

    /// A consistent list of `total` rows.
    fn honest(per_page: u64, total: u64) -> Vec<(Vec<u64>, PageInfo)> {
        let total_pages = total.div_ceil(per_page);
        (0..total_pages.max(1))
            .map(|page| {
                let rows = page * per_page..((page + 1) * per_page).min(total);
                let info = PageInfo {
                    page: Some(page + 1),
                    per_page: Some(per_page),
                    total_count: Some(total),
                    total_pages: Some(total_pages),
                };
                (rows.collect(), info)
            })
            .collect()
    }

    fn without_info(mut pages: Vec<(Vec<u64>, PageInfo)>) -> Vec<(Vec<u64>, PageInfo)> {
        for page in &mut pages {
            page.1 = PageInfo::default();
        }
        pages
    }

    fn is_inconsistent(result: &Result<u64, WalkError>) -> bool {
        matches!(result, Err((Reason::InconsistentPages, _)))
    }

    #[test]
    fn an_empty_list_takes_one_request() {
        assert_eq!(walk(3, &honest(3, 0)), Ok(1));
        assert_eq!(walk(3, &without_info(honest(3, 0))), Ok(1));
        let mut one_page = honest(3, 0);
        one_page[0].1.total_pages = Some(1);
        assert_eq!(walk(3, &one_page), Ok(1));
    }

    #[test]
    fn without_result_info_a_short_page_is_the_last() {
        assert_eq!(walk(3, &without_info(honest(3, 8))), Ok(3));
        // A full page may not be the last.
        assert_eq!(walk(3, &without_info(honest(3, 6))), Ok(3));
    }

    #[test]
    fn with_total_pages_alone_that_many_are_read() {
        let mut pages = honest(3, 6);
        for page in &mut pages {
            page.1.total_count = None;
        }
        assert_eq!(walk(3, &pages), Ok(2));
    }

    #[test]
    fn a_server_that_gives_fewer_rows_a_page_is_followed() {
        assert_eq!(walk(100, &honest(2, 8)), Ok(4));
    }

    #[test]
    fn a_total_that_changes_is_inconsistent() {
        let mut pages = honest(3, 8);
        pages[1].1.total_count = Some(9);
        assert!(is_inconsistent(&walk(3, &pages)));
        pages[1].1 = PageInfo::default();
        assert!(is_inconsistent(&walk(3, &pages)));
    }

    #[test]
    fn rows_that_do_not_add_up_to_the_total_are_inconsistent() {
        let mut short = honest(3, 8);
        short[1].0.pop();
        assert!(is_inconsistent(&walk(3, &short)));
        let mut last_short = honest(3, 8);
        last_short[2].0.pop();
        assert!(is_inconsistent(&walk(3, &last_short)));
        let mut more = honest(3, 8);
        more[2].0.push(99);
        assert!(is_inconsistent(&walk(3, &more)));
    }

    #[test]
    fn a_row_on_two_pages_is_inconsistent_and_twice_on_one_page_is_not() {
        let mut pages = honest(3, 8);
        pages[1].0[0] = pages[0].0[2];
        assert!(is_inconsistent(&walk(3, &pages)));
        let mut pages = honest(3, 8);
        pages[1].0[0] = pages[1].0[1];
        assert_eq!(walk(3, &pages), Ok(3));
    }

    #[test]
    fn a_row_twice_does_not_make_up_for_a_page_that_is_not_read() {
        let mut pages = honest(3, 4);
        let again = pages[0].0[0];
        pages[0].0.push(again);
        assert!(is_inconsistent(&walk(3, &pages)));
    }

    #[test]
    fn another_page_than_the_one_asked_for_is_inconsistent() {
        let mut pages = honest(3, 8);
        pages[1].1.page = Some(1);
        assert!(is_inconsistent(&walk(3, &pages)));
    }

    #[test]
    fn total_pages_that_lie_are_inconsistent() {
        for claimed in [0, 2, 4] {
            let mut pages = honest(3, 8);
            for page in &mut pages {
                page.1.total_pages = Some(claimed);
            }
            assert!(is_inconsistent(&walk(3, &pages)), "{claimed}");
        }
    }

    #[test]
    fn a_list_beyond_the_bound_is_refused_on_its_first_page_or_when_it_does_not_end() {
        let mut walk_of_many = Walk::new(Some(3), 5);
        let (keys, info) = honest(3, 16).remove(0);
        assert!(matches!(
            walk_of_many.accept(3, info, keys),
            Err((Reason::TooLarge, _))
        ));
        assert!(matches!(
            walk(3, &without_info(honest(3, 16))),
            Err((Reason::TooLarge, _))
        ));
        assert_eq!(walk(3, &honest(3, 15)), Ok(5));
    }

    /// Reads a list without documented paging.
    fn read_whole(pages: &[(Vec<u64>, PageInfo)]) -> Result<u64, WalkError> {
        read(Walk::new(None, 5), pages)
    }

    #[test]
    fn a_list_without_paging_is_one_page_unless_it_says_that_there_is_more() {
        assert_eq!(Walk::<u64>::new(None, 5).next_page(), None);
        assert_eq!(read_whole(&without_info(honest(1000, 60))), Ok(1));
        assert_eq!(read_whole(&honest(1000, 60)), Ok(1));
        assert_eq!(read_whole(&honest(20, 60)), Ok(3));
        let mut everything_at_once = honest(1000, 60);
        everything_at_once[0].1.per_page = Some(20);
        assert_eq!(read_whole(&everything_at_once), Ok(1));
    }

    #[test]
    fn a_list_without_paging_is_never_taken_for_whole_where_it_says_that_there_is_more() {
        let mut same_page_again = honest(20, 40);
        same_page_again[1] = same_page_again[0].clone();
        assert!(is_inconsistent(&read_whole(&same_page_again)));
        for (total_count, total_pages) in [(Some(60), None), (None, Some(2))] {
            let mut without_size = honest(50, 60);
            without_size[0].1 = PageInfo {
                total_count,
                total_pages,
                ..PageInfo::default()
            };
            assert!(is_inconsistent(&read_whole(&without_size)));
        }
    }

    proptest! {
        #[test]
        fn an_honest_list_takes_the_fewest_requests(per_page in 1u64..50, total in 0u64..300) {
            let pages = honest(per_page, total);
            prop_assume!(pages.len() <= 5);
            prop_assert_eq!(walk(per_page, &pages), Ok(total.div_ceil(per_page).max(1)));
        }

        #[test]
        fn a_list_that_lacks_a_row_is_never_taken_for_whole(
            per_page in 1u64..10,
            total in 1u64..40,
            at: prop::sample::Index,
            announced: bool,
        ) {
            let mut pages = honest(per_page, total);
            let page = at.index(pages.len());
            let is_last = page + 1 == pages.len();
            pages[page].0.pop();
            if !announced {
                // Without a total, missing rows can be detected only on pages before the last.
                prop_assume!(!is_last);
                pages = without_info(pages);
                for (_, info) in &mut pages {
                    info.total_pages = Some(total.div_ceil(per_page));
                }
            }
            prop_assume!(pages.len() <= 5);
            prop_assert!(walk(per_page, &pages).is_err());
        }

        #[test]
        fn whatever_the_pages_say_a_walk_ends(
            pages in prop::collection::vec(
                (prop::collection::vec(0u64..20, 0..4), any::<[Option<u8>; 4]>()),
                0..6,
            ),
        ) {
            let pages: Vec<_> = pages
                .into_iter()
                .map(|(keys, [page, per_page, total_count, total_pages])| {
                    let info = PageInfo {
                        page: page.map(u64::from),
                        per_page: per_page.map(u64::from),
                        total_count: total_count.map(u64::from),
                        total_pages: total_pages.map(u64::from),
                    };
                    (keys, info)
                })
                .collect();
            if let Ok(read) = walk(3, &pages) {
                prop_assert!(read <= 5);
            }
        }
    }
}
