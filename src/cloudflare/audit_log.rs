//! The audit log of a Cloudflare account (Audit Logs v2).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::attempt::Request;
use super::audit_entry::{AuditEntry, read_entry};
use super::client::Client;
use super::envelope::{self, BodyProblem, Rows};
use super::{ApiError, CallBudget, Operation, Reason};

/// Entries to request per page; the API's maximum.
const PER_PAGE: &str = "1000";
/// The maximum number of pages of one read. The next read continues from there.
const MAX_PAGES: usize = 10;

/// The result of one read of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditLogReading {
    /// The valid entries, and the number of rejected rows.
    pub entries: Rows<AuditEntry>,
    /// Whether the log has more entries in the requested period.
    pub has_more: bool,
    /// The number of pages that were read.
    pub pages: u32,
}

impl Client {
    /// Reads the entries of the log of the Cloudflare account `owner` from `since` until just
    /// before `before`, in one to ten requests. Without `actors` the names of people and tokens are
    /// omitted.
    pub async fn audit_log(
        &self,
        owner: &str,
        since: Timestamp,
        before: Timestamp,
        actors: bool,
        call: &CallBudget,
    ) -> Result<AuditLogReading, ApiError> {
        let mut url = self.url(&["accounts", owner, "logs", "audit"]);
        url.query_pairs_mut()
            .append_pair("since", &format!("{since:.3}"))
            .append_pair("before", &format!("{before:.3}"))
            .append_pair("limit", PER_PAGE)
            .append_pair("direction", "asc");
        let mut reading = AuditLogReading::default();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut page_url = url.clone();
            if let Some(cursor) = &cursor {
                page_url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let request = Request::new(Operation::AuditLog, &page_url);
            let page = self.get(request, call, |body| read_page(body, actors));
            let (page, next) = page.await?;
            reading.entries.rows.extend(page.rows);
            // Without examples, because a row may contain names.
            reading.entries.rejected.count += page.rejected.count;
            reading.pages += 1;
            if next.is_some() && next == cursor {
                self.metrics()
                    .error(Operation::AuditLog, Reason::InconsistentPages);
                let detail = "the cursor of a page leads to the same page";
                return Err(request.error(Reason::InconsistentPages, detail));
            }
            cursor = next;
            if cursor.is_none() {
                return Ok(reading);
            }
        }
        reading.has_more = true;
        Ok(reading)
    }
}

/// Parses one page and the cursor of the next one.
pub(super) fn read_page(
    body: &[u8],
    actors: bool,
) -> Result<(Rows<AuditEntry>, Option<String>), BodyProblem> {
    let (entries, _) = envelope::page(body, |row| read_entry(row, actors))?;
    if entries.rows.is_empty() && !entries.is_complete() {
        let problem = format!("none of {} entries can be read", entries.count());
        return Err(BodyProblem::Malformed(problem));
    }
    Ok((entries, cursor(body)))
}

/// The cursor of the next page. The API's reference calls it `cursor`, Cloudflare's official Python
/// client `cursors.after`.
fn cursor(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        result_info: Value,
    }
    let info = serde_json::from_slice::<Body>(body).ok()?.result_info;
    let cursor = |pointer| {
        let cursor = info.pointer(pointer)?.as_str()?;
        (!cursor.is_empty()).then(|| cursor.to_owned())
    };
    cursor("/cursor").or_else(|| cursor("/cursors/after"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_objects_are_rejected_and_a_page_of_them_is_an_error() {
        let body = br#"{"success":true,"result":[{},7,"x"],"result_info":{"count":"3"}}"#;
        let (page, cursor) = read_page(body, true).unwrap();
        assert_eq!((page.rows.len(), page.rejected.count, cursor), (1, 2, None));
        assert!(read_page(br#"{"success":true,"result":[7]}"#, true).is_err());
    }

    #[test]
    fn the_cursor_has_two_shapes_and_an_empty_one_ends() {
        let of = |info: &str| cursor(format!(r#"{{"result_info":{info}}}"#).as_bytes());
        assert_eq!(of(r#"{"count":1,"cursor":"a"}"#).as_deref(), Some("a"));
        assert_eq!(
            of(r#"{"count":"1","cursors":{"after":"b"}}"#).as_deref(),
            Some("b")
        );
        for none in [
            "null",
            "{}",
            r#"{"cursor":""}"#,
            r#"{"cursor":7,"cursors":{"after":""}}"#,
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
