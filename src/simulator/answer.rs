//! The envelope of every response.

use std::borrow::Cow;

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

/// The response to a call: the envelope's bytes if it succeeds.
pub(super) type Outcome = Result<Vec<u8>, Failure>;

/// The response to a failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) errors: Vec<ErrorEntry>,
    pub(super) allow: Option<String>,
    pub(super) retry_after: Option<String>,
}

/// One entry of `errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ErrorEntry {
    pub(super) code: u32,
    pub(super) message: Cow<'static, str>,
}

/// The position of a page in its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct ResultInfo {
    pub(super) count: usize,
    pub(super) page: usize,
    pub(super) per_page: usize,
    pub(super) total_count: usize,
    pub(super) total_pages: usize,
}

#[derive(Serialize)]
struct Envelope<'a, R, I> {
    errors: &'a [ErrorEntry],
    messages: [(); 0],
    result: R,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<I>,
    success: bool,
}

/// The envelope of a successful call.
pub(super) fn success(result: impl Serialize) -> Vec<u8> {
    render(&[], result, None::<()>)
}

/// The envelope of a result with `result_info`.
pub(super) fn with_info(result: impl Serialize, info: impl Serialize) -> Vec<u8> {
    render(&[], result, Some(info))
}

/// The envelope of one page of a listing.
pub(super) fn page(result: impl Serialize, info: ResultInfo) -> Vec<u8> {
    render(&[], result, Some(info))
}

fn render(errors: &[ErrorEntry], result: impl Serialize, info: Option<impl Serialize>) -> Vec<u8> {
    let envelope = Envelope {
        errors,
        messages: [],
        result,
        result_info: info,
        success: errors.is_empty(),
    };
    serde_json::to_vec(&envelope).expect("the simulation's own types are JSON")
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        code: u32,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            errors: vec![ErrorEntry {
                code,
                message: message.into(),
            }],
            allow: None,
            retry_after: None,
        }
    }

    /// The path does not belong to the API.
    pub(super) fn no_route(path: &str) -> Self {
        let mut failure = Self::new(
            StatusCode::BAD_REQUEST,
            7003,
            format!("Could not route to {path}, perhaps your object identifier is invalid?"),
        );
        failure.errors.push(ErrorEntry {
            code: 7000,
            message: Cow::Borrowed("No route for that URI"),
        });
        failure
    }

    /// The path belongs to the API, but the method is not allowed.
    pub(super) fn method_not_allowed<'a>(allowed: impl Iterator<Item = &'a Method>) -> Self {
        let mut failure = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            10405,
            "Method not allowed for this endpoint",
        );
        let allowed: Vec<&str> = allowed.map(Method::as_str).collect();
        failure.allow = Some(allowed.join(", "));
        failure
    }

    /// Parses a request body.
    pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Self> {
        serde_json::from_slice(body)
            .map_err(|error| Self::bad_body(format!("Invalid request body: {error}")))
    }

    /// The request body is not valid for the call.
    pub(super) fn bad_body(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 6007, message)
    }

    /// The envelope's bytes.
    pub(super) fn render(&self) -> Vec<u8> {
        render(&self.errors, (), None::<()>)
    }
}
