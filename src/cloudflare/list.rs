//! Reads complete lists from the API.

use std::hash::Hash;

use serde_json::value::RawValue;
use url::Url;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, Interner, List, RejectedRows};
use super::pagination::{Progress, Walk, WalkError};
use super::{ApiError, CallBudget, Operation, Reason};

/// A call that lists rows.
pub(super) trait ListCall {
    const OPERATION: Operation;
    /// Rows to request per page; `None` if the API documents no paging for the list.
    const PER_PAGE: Option<u64> = None;
    /// A list with more pages is rejected. The default is far more than any list without paging
    /// has.
    const MAX_PAGES: u64 = 100;

    type Row: Send;
    type Key: Eq + Hash + Send;

    /// Parses one row, or returns what is wrong with it. The same key on two pages means that the
    /// list changed in between.
    fn read(row: &RawValue, interner: &mut Interner) -> Result<(Self::Key, Self::Row), String>;
}

impl Client {
    /// Reads a complete list, and combines its rows with `collect`, which fails with a description
    /// if they contradict each other. Such a list, or one whose pages do, is read once more.
    pub(super) async fn list<L: ListCall, T>(
        &self,
        url: &Url,
        call: &CallBudget,
        collect: fn(Vec<L::Row>) -> Result<T, String>,
    ) -> Result<List<T>, ApiError> {
        match self.walk::<L, T>(url, call, collect).await {
            Err(error) if error.reason == Reason::InconsistentPages => {
                tracing::debug!(account = %self.account(), %error, "reading the list again");
                self.walk::<L, T>(url, call, collect).await
            }
            outcome => outcome,
        }
    }

    async fn walk<L: ListCall, T>(
        &self,
        url: &Url,
        call: &CallBudget,
        collect: fn(Vec<L::Row>) -> Result<T, String>,
    ) -> Result<List<T>, ApiError> {
        let mut walk = Walk::new(L::PER_PAGE, L::MAX_PAGES);
        let mut interner = Interner::default();
        let mut rows = Vec::new();
        let mut rejected = RejectedRows::default();
        loop {
            let mut page_url = url.clone();
            if let Some((page, per_page)) = walk.next_page() {
                page_url
                    .query_pairs_mut()
                    .append_pair("page", &page.to_string())
                    .append_pair("per_page", &per_page.to_string());
            }
            let request = Request::new(L::OPERATION, &page_url);
            let page = self.get(request, call, |body| {
                envelope::page(body, |row| L::read(row, &mut interner))
            });
            let (page, info) = page.await?;
            let count = page.count();
            let (keys, new): (Vec<_>, Vec<_>) = page.rows.into_iter().unzip();
            let progress = walk
                .accept(count, info, keys)
                .map_err(|error| self.list_error(request, error))?;
            rows.extend(new);
            rejected.append(page.rejected);
            if progress == Progress::Done {
                if rows.is_empty() && rejected.count > 0 {
                    let example = rejected.examples.first().map_or("", String::as_str);
                    let detail = format!("none of {} rows can be read ({example})", rejected.count);
                    return Err(self.list_error(request, (Reason::Malformed, detail)));
                }
                if rejected.count > 0 {
                    tracing::debug!(
                        account = %self.account(),
                        operation = L::OPERATION.as_str(),
                        count = rejected.count,
                        examples = ?rejected.examples,
                        "some rows of the list cannot be read"
                    );
                }
                let rows = collect(rows).map_err(|problem| {
                    self.list_error(request, (Reason::InconsistentPages, problem))
                })?;
                return Ok(List { rows, rejected });
            }
        }
    }

    fn list_error(&self, request: Request<'_>, (reason, detail): WalkError) -> ApiError {
        self.metrics().error(request.operation, reason);
        request.error(reason, detail)
    }
}
