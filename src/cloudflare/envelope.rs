//! The API's envelope and values, parsed leniently where nothing depends on them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::pagination::PageInfo;
use crate::domain::{InvalidName, Region};
use crate::truncate::truncated;

/// More rows than the largest requested page.
const MAX_ROWS_PER_PAGE: u64 = 10_000;
/// The most errors to read from a response; the API returns one or two.
const MAX_ERRORS: usize = 16;
/// The most errors of a response to show.
const SHOWN_ERRORS: usize = 3;
/// The most characters of external text in an error or log line.
const SHOWN_CHARACTERS: usize = 200;

/// Why the body of a 2xx response is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyProblem {
    /// It is not an envelope, or has no result.
    #[error("{0}")]
    Malformed(String),
    /// `success` is false.
    #[error("the answer says that it is no success")]
    Unsuccessful,
    /// It has more rows than any real response.
    #[error("{0}")]
    TooLarge(String),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    success: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    result_info: Option<PageInfo>,
}

impl<'a> Envelope<'a> {
    /// Parses a body with `success: true` and a result that is not null.
    fn open(body: &'a [u8]) -> Result<(&'a RawValue, PageInfo), BodyProblem> {
        let envelope: Self = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        if !envelope.success {
            return Err(BodyProblem::Unsuccessful);
        }
        let result = envelope
            .result
            .ok_or_else(|| BodyProblem::Malformed("the answer has no result".to_owned()))?;
        Ok((result, envelope.result_info.unwrap_or_default()))
    }
}

/// Parses the result of a response.
pub(super) fn result<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BodyProblem> {
    let (result, _) = Envelope::open(body)?;
    serde_json::from_str(result.get()).map_err(|error| malformed(&error))
}

/// Parses one row of a list. serde's message may quote the row, so the error is only that it is not
/// what was `expected`.
pub(super) fn row<'a, T: Deserialize<'a>>(raw: &'a RawValue, expected: &str) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|_| format!("not {expected}"))
}

/// Parses a page of a list, and its position in the list. Parses row by row, so that a bad row does
/// not affect others.
pub(super) fn page<T>(
    body: &[u8],
    read: impl FnMut(&RawValue) -> Result<T, String>,
) -> Result<(Rows<T>, PageInfo), BodyProblem> {
    let (result, info) = Envelope::open(body)?;
    let json = &mut serde_json::Deserializer::from_str(result.get());
    let rows = json.deserialize_seq(RowVisitor(read));
    let rows = rows.map_err(|error| malformed(&error))?;
    let count = rows.count();
    if count > MAX_ROWS_PER_PAGE {
        let problem = format!("the answer has {count} rows");
        return Err(BodyProblem::TooLarge(problem));
    }
    Ok((rows, info))
}

struct RowVisitor<F>(F);

impl<'de, T, F: FnMut(&RawValue) -> Result<T, String>> Visitor<'de> for RowVisitor<F> {
    type Value = Rows<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list as the result")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Rows<T>, A::Error> {
        let mut rows = Rows::default();
        while rows.count() < MAX_ROWS_PER_PAGE
            && let Some(row) = seq.next_element::<&RawValue>()?
        {
            rows.add(row, (self.0)(row));
        }
        // The page is too large, whatever else is in it.
        while seq.next_element::<IgnoredAny>()?.is_some() {
            rows.rejected.count += 1;
        }
        Ok(rows)
    }
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<R> {
    /// The readable rows.
    pub rows: R,
    /// The unreadable rows.
    pub rejected: RejectedRows,
}

/// The rows of a list, in its order.
pub type Rows<T> = List<Vec<T>>;

impl<R> List<R> {
    /// Whether every row was readable, so that a missing row does not exist.
    pub fn is_complete(&self) -> bool {
        self.rejected.count == 0
    }
}

impl<T> Rows<T> {
    /// The number of all rows, readable or not.
    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64 + self.rejected.count
    }

    /// Adds a row, or the reason why it is unreadable.
    pub(super) fn add(&mut self, raw: &RawValue, read: Result<T, String>) {
        match read {
            Ok(row) => self.rows.push(row),
            Err(problem) => self.rejected.add(&problem, raw.get()),
        }
    }
}

/// The unreadable rows of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RejectedRows {
    /// How many there are.
    pub count: u64,
    /// The problem and the row itself for the first of them, shortened and escaped; at most ten.
    pub examples: Vec<String>,
}

impl RejectedRows {
    /// Enough for an operator to see a pattern.
    pub(super) const MAX_EXAMPLES: usize = 10;

    fn add(&mut self, problem: &str, row: &str) {
        self.count += 1;
        if self.examples.len() < Self::MAX_EXAMPLES {
            self.examples
                .push(format!("{}: {}", shown(problem), shown(row)));
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.count += other.count;
        let room = Self::MAX_EXAMPLES - self.examples.len();
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// The errors that a response reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ApiErrors {
    /// The codes of its errors and their chains, at most [`MAX_ERRORS`] of each.
    pub(super) codes: Vec<u32>,
    /// Its first messages with their codes; empty if there are none. Not escaped yet.
    pub(super) text: String,
}

impl ApiErrors {
    /// Parses the errors in any body; a body that is not an envelope has none.
    pub(super) fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Errors {
            errors: Lenient<Vec<serde_json::Value>>,
        }
        let errors = serde_json::from_slice::<Errors>(body)
            .ok()
            .and_then(|body| body.errors.0)
            .unwrap_or_default();
        let mut read = Self::default();
        let mut shown = Vec::new();
        for error in errors.iter().take(MAX_ERRORS) {
            let code = error.get("code").and_then(code);
            read.codes.extend(code);
            let chain = error.get("error_chain").and_then(|chain| chain.as_array());
            let chain = chain.into_iter().flatten().take(MAX_ERRORS);
            read.codes
                .extend(chain.filter_map(|error| error.get("code").and_then(self::code)));
            let message = error.get("message").and_then(|message| message.as_str());
            let code = code.map(|code| code.to_string()).unwrap_or_default();
            let text = format!("{code} {}", message.unwrap_or_default());
            shown.push(text.trim().to_owned());
        }
        shown.retain(|text| !text.is_empty());
        shown.truncate(SHOWN_ERRORS);
        read.text = shown.join("; ");
        read
    }
}

fn code(value: &serde_json::Value) -> Option<u32> {
    match value {
        serde_json::Value::Number(number) => number.as_u64()?.try_into().ok(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// External text made safe to show: limited in length, on one line, control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in truncated(text, SHOWN_CHARACTERS).chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

fn malformed(error: &serde_json::Error) -> BodyProblem {
    // serde's message may quote the body; the position is enough to find the problem.
    BodyProblem::Malformed(format!(
        "the answer is not what the API documents ({} error at line {}, column {})",
        match error.classify() {
            serde_json::error::Category::Data => "content",
            serde_json::error::Category::Eof => "end of body",
            serde_json::error::Category::Io | serde_json::error::Category::Syntax => "syntax",
        },
        error.line(),
        error.column()
    ))
}

/// A field that is `None` if it is absent, null, or of the wrong type.
#[derive(Debug, Default)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An absent field is read as an option too.
        let raw = Option::<&RawValue>::deserialize(deserializer)?;
        Ok(Self(
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        ))
    }
}

/// Makes equal strings of a listing share one allocation.
#[derive(Debug, Default)]
pub(super) struct Interner {
    regions: HashSet<Region>,
    texts: HashSet<Arc<str>>,
}

impl Interner {
    pub(super) fn region(&mut self, name: &str) -> Result<Region, InvalidName> {
        if let Some(region) = self.regions.get(name) {
            return Ok(region.clone());
        }
        let region = Region::parse(name)?;
        self.regions.insert(region.clone());
        Ok(region)
    }

    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(text) = self.texts.get(text) {
            return Arc::clone(text);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_errors_are_read() {
        let body = include_bytes!("../../tests/data/cloudflare/list-bad-per-page.json");
        let read = ApiErrors::read(body);
        assert_eq!(read.codes, [1146]);
        assert_eq!(
            read.text,
            "1146 invalid per_page parameter, must be between 1 and 100"
        );
        let body = include_bytes!("../../tests/data/cloudflare/get-not-found.json");
        assert_eq!(ApiErrors::read(body).codes, [1142]);
    }

    #[test]
    fn errors_of_any_shape_are_read_as_far_as_they_go() {
        for (body, codes, text) in [
            ("", vec![], ""),
            ("<html>", vec![], ""),
            ("[]", vec![], ""),
            (r#"{"errors":7}"#, vec![], ""),
            (
                r#"{"errors":[7,{"code":"9106"},{"message":"m"}]}"#,
                vec![9106],
                "9106; m",
            ),
            (
                r#"{"errors":[{"code":6003,"message":"m","error_chain":[{"code":6111},7]}]}"#,
                vec![6003, 6111],
                "6003 m",
            ),
            (
                r#"{"errors":[{"code":1},{"code":2},{"code":3},{"code":7003}]}"#,
                vec![1, 2, 3, 7003],
                "1; 2; 3",
            ),
        ] {
            let read = ApiErrors::read(body.as_bytes());
            assert_eq!((read.codes, read.text.as_str()), (codes, text), "{body}");
        }
    }

    #[test]
    fn only_a_success_with_a_result_is_an_answer() {
        let read = |body: &str| result::<u8>(body.as_bytes());
        assert_eq!(read(r#"{"success":true,"result":7,"new":{"x":[]}}"#), Ok(7));
        assert_eq!(
            read(r#"{"success":false,"result":null}"#),
            Err(BodyProblem::Unsuccessful)
        );
        assert_eq!(
            read(r#"{"success":false,"result":{}}"#),
            Err(BodyProblem::Unsuccessful)
        );
        for bad in [
            "",
            "7",
            "<html>",
            r#"{"result":7}"#,
            r#"{"success":true}"#,
            r#"{"success":true,"result":null}"#,
            r#"{"success":true,"result":"secret"}"#,
            r#"{"success":true,"result":7"#,
        ] {
            let problem = read(bad).unwrap_err();
            let BodyProblem::Malformed(text) = problem else {
                panic!("{bad}: {problem:?}")
            };
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_page_with_too_many_rows_is_not_kept() {
        let rows = vec!["1"; 20_000].join(",");
        let body = format!(r#"{{"success":true,"result":[{rows}]}}"#);
        let outcome = page(body.as_bytes(), |_| Ok(()));
        assert!(
            matches!(outcome, Err(BodyProblem::TooLarge(_))),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_foreign_text_is_shown_on_one_short_line() {
        assert_eq!(shown("a\n\u{1b}[31mb"), "a\\n\\u{1b}[31mb");
        assert_eq!(
            shown(&"ä".repeat(300)).chars().count(),
            SHOWN_CHARACTERS + 1
        );
    }
}
