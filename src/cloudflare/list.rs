//! Reads complete lists from the API.

use std::hash::Hash;

use serde_json::value::RawValue;
use url::Url;

use super::attempt::Request;
use super::client::Client;
use super::envelope::{self, Interner, RejectedRows};
use super::pagination::{Progress, Walk, WalkError};
use super::{ApiError, CallBudget, Operation, Reason};

/// A call that lists rows.
pub(super) trait ListCall {
    const OPERATION: Operation;
    /// Rows to request per page; `None` if the API documents no paging for the list.
    const PER_PAGE: Option<u64>;
    /// A list with more pages is rejected.
    const MAX_PAGES: u64;
    type Row: Send;
    type Key: Eq + Hash + Send;
    type Output;

    /// Parses one row, or returns what is wrong with it.
    fn read(row: &RawValue, interner: &mut Interner) -> Result<Self::Row, String>;
    /// Identifies a row. The same key on two pages means that the list changed in between.
    fn key(row: &Self::Row) -> Self::Key;
    /// Combines all rows. Fails with a description if they contradict each other.
    fn collect(rows: Vec<Self::Row>) -> Result<Self::Output, String>;
}

impl Client {
    /// Reads a complete list; reads it once more if its pages contradict each other.
    pub(super) async fn list<L: ListCall>(
        &self,
        url: &Url,
        call: &CallBudget,
    ) -> Result<(L::Output, RejectedRows), ApiError> {
        let mut reread = false;
        loop {
            match self.walk::<L>(url, call).await {
                Err(error) if error.reason == Reason::InconsistentPages && !reread => {
                    tracing::debug!(account = %self.account(), %error, "reading the list again");
                    reread = true;
                }
                outcome => return outcome,
            }
        }
    }

    async fn walk<L: ListCall>(
        &self,
        url: &Url,
        call: &CallBudget,
    ) -> Result<(L::Output, RejectedRows), ApiError> {
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
            let request = Request {
                operation: L::OPERATION,
                url: &page_url,
                expected: |_| false,
            };
            let page = self
                .get(request, call, |body| {
                    envelope::page(body, |row| L::read(row, &mut interner))
                })
                .await?;
            let progress = walk
                .accept(page.row_count, page.info, page.rows.iter().map(L::key))
                .map_err(|error| self.walk_error(request, error))?;
            rows.extend(page.rows);
            rejected.append(page.rejected);
            if progress == Progress::Done {
                if rows.is_empty() && rejected.count > 0 {
                    let example = rejected.examples.first().map_or("", String::as_str);
                    let detail = format!("none of {} rows can be read ({example})", rejected.count);
                    return Err(self.list_error(request, Reason::Malformed, detail));
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
                let output = L::collect(rows).map_err(|problem| {
                    self.walk_error(request, WalkError::Inconsistent(problem))
                })?;
                return Ok((output, rejected));
            }
        }
    }

    fn walk_error(&self, request: Request<'_>, error: WalkError) -> ApiError {
        match error {
            WalkError::Inconsistent(detail) => {
                self.list_error(request, Reason::InconsistentPages, detail)
            }
            WalkError::TooLarge(detail) => self.list_error(request, Reason::TooLarge, detail),
        }
    }

    fn list_error(&self, request: Request<'_>, reason: Reason, detail: String) -> ApiError {
        self.metrics().error(request.operation, reason);
        request.error(reason, detail)
    }
}
