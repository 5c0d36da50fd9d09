//! One attempt: send a request, read its answer, say what kind of failure it is.

use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::auth::AuthHeaders;
use super::envelope::{ApiErrors, BodyProblem, shown};
use super::{ApiError, Operation, Reason};
use crate::http_client::{self, BodyError, Failure};

/// An honest page of zones or mappings has well under 200 kB. Several requests are in flight, so
/// the bound is what a hostile answer can cost in memory, many times over.
const BODY_LIMIT: usize = 2 << 20;
/// The lists that come whole or in large pages; 5,000 DNS records have about 5 MB.
const LARGE_BODY_LIMIT: usize = 16 << 20;
/// The body of an error is read for its codes alone.
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// Codes of "could not route the request" (API reference, 7000 and 7003).
const NO_ROUTE: [u32; 2] = [7000, 7003];
/// Codes of credentials that are not accepted, seen with status 400.
const BAD_CREDENTIALS: [u32; 2] = [9106, 10000];

/// Codes that leave open, with a 403, whether the credentials or a permission are at fault.
const DOUBTFUL_CREDENTIALS: [u32; 3] = [9106, 9109, 10000];

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    pub(super) url: &'a Url,
    /// Whether this failure is an answer that the caller reckons with, not an error.
    pub(super) expected: fn(&ApiError) -> bool,
}

impl Request<'_> {
    pub(super) fn error(&self, reason: Reason, detail: impl Into<String>) -> ApiError {
        ApiError {
            operation: self.operation,
            reason,
            detail: detail.into(),
            status: None,
            codes: Vec::new(),
        }
    }
}

fn body_limit(operation: Operation) -> usize {
    match operation {
        Operation::DnsRecords
        | Operation::LoadBalancers
        | Operation::LoadBalancerPools
        | Operation::OriginRules
        | Operation::CloudConnector
        | Operation::PageRules
        | Operation::AuditLog => LARGE_BODY_LIMIT,
        _ => BODY_LIMIT,
    }
}

/// Sends the request and reads the answer with `parse`; gives its status too. `on_head` sees status
/// and headers as soon as they are there, before the body.
pub(super) async fn attempt<T>(
    http: &reqwest::Client,
    proof: &AuthHeaders,
    request: Request<'_>,
    limit: Duration,
    on_head: impl FnOnce(u16, &HeaderMap),
    parse: impl FnOnce(&[u8]) -> Result<T, BodyProblem>,
) -> Result<(u16, T), ApiError> {
    let deadline = Instant::now() + limit;
    let too_slow = || format!("no whole answer within {:.1} s", limit.as_secs_f64());
    let sending = http
        .get(request.url.clone())
        .headers(proof.headers())
        .send();
    let response = timeout_at(deadline, sending)
        .await
        .map_err(|_| request.error(Reason::Timeout, too_slow()))?
        .map_err(|error| transport(request, error))?;
    let status = response.status().as_u16();
    on_head(status, response.headers());
    let with_status = |error: ApiError| ApiError {
        status: Some(status),
        ..error
    };
    if !response.status().is_success() {
        // The status alone tells the class, so a body that cannot be read does not matter; a
        // redirect's says nothing, and a 429 is to fail at once.
        let reading = http_client::read_body(response, ERROR_BODY_LIMIT);
        let body = match status {
            300..400 | 429 => Vec::new(),
            _ => timeout_at(deadline, reading)
                .await
                .ok()
                .and_then(Result::ok)
                .unwrap_or_default(),
        };
        return Err(refusal(request, status, &body, proof));
    }
    let reading = http_client::read_body(response, body_limit(request.operation));
    let body = timeout_at(deadline, reading)
        .await
        .map_err(|_| with_status(request.error(Reason::Timeout, too_slow())))?
        .map_err(|error| {
            with_status(match error {
                BodyError::TooLarge { .. } => request.error(Reason::TooLarge, error.to_string()),
                BodyError::Transport(error) => transport(request, error),
            })
        })?;
    let body = proof.redact_body(body);
    let answer = parse(&body).map_err(|problem| {
        with_status(match problem {
            BodyProblem::Malformed(detail) => request.error(Reason::Malformed, detail),
            BodyProblem::TooLarge(detail) => request.error(Reason::TooLarge, detail),
            BodyProblem::Unsuccessful => {
                let complaint = ApiErrors::read(&body);
                let detail = format!(
                    "the API answered success: false{}",
                    quoted(&complaint, proof)
                );
                ApiError {
                    codes: complaint.codes,
                    ..request.error(Reason::Unsuccessful, detail)
                }
            }
        })
    })?;
    Ok((status, answer))
}

/// Whether an error shows that the credentials are accepted: the API, not something in between,
/// knows who asks and says that this is not allowed or not there.
pub(super) fn accepts_the_credentials(error: &ApiError) -> bool {
    matches!(error.reason, Reason::Forbidden | Reason::NotFound)
        && !error.codes.is_empty()
        && !error
            .codes
            .iter()
            .any(|code| DOUBTFUL_CREDENTIALS.contains(code))
}

fn transport(request: Request<'_>, error: reqwest::Error) -> ApiError {
    let reason = match http_client::classify(&error) {
        Failure::Timeout => Reason::Timeout,
        Failure::Connect => Reason::Connect,
        Failure::Tls => Reason::Tls,
        Failure::Decode => Reason::Malformed,
        Failure::Other => Reason::Http,
    };
    request.error(reason, shown(&http_client::describe(error)))
}

/// The error of an answer whose status is not a success.
fn refusal(request: Request<'_>, status: u16, body: &[u8], proof: &AuthHeaders) -> ApiError {
    let complaint = ApiErrors::read(body);
    let reason = reason_of(status, &complaint.codes);
    let detail = format!(
        "HTTP {status}{}{}",
        quoted(&complaint, proof),
        advice(reason, request.operation)
    );
    ApiError {
        status: Some(status),
        codes: complaint.codes,
        ..request.error(reason, detail)
    }
}

fn reason_of(status: u16, codes: &[u32]) -> Reason {
    let has_any = |wanted: [u32; 2]| codes.iter().any(|code| wanted.contains(code));
    match status {
        401 => Reason::Unauthorized,
        403 => Reason::Forbidden,
        429 => Reason::RateLimited,
        400..500 if has_any(NO_ROUTE) => Reason::NoRoute,
        400 if has_any(BAD_CREDENTIALS) => Reason::Unauthorized,
        404 => Reason::NotFound,
        400..500 => Reason::ClientError,
        500.. => Reason::ServerError,
        _ => Reason::Http,
    }
}

/// What the API says, without secrets and on one line.
fn quoted(complaint: &ApiErrors, proof: &AuthHeaders) -> String {
    if complaint.text.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown(&proof.redact(&complaint.text)))
    }
}

/// What the operator can do about it.
fn advice(reason: Reason, operation: Operation) -> String {
    match reason {
        Reason::Unauthorized => {
            ": the credentials are not accepted; check that the token or key is the right one, is \
             active, and may be used from this host's address"
                .to_owned()
        }
        Reason::Forbidden => match operation.permission() {
            Some(permission) if operation.is_about_mappings() => format!(
                ": the credentials lack a permission; Cloudflare does not document which, {permission} \
                 and Zone: Zone: Read are likely"
            ),
            Some(permission) => format!(": the credentials lack the permission {permission}"),
            None => ": the credentials may not do this".to_owned(),
        },
        Reason::NotFound => ": nothing is there, or the credentials may not see it".to_owned(),
        Reason::NoRoute => ": the API does not serve this path here; origin cloud regions may not \
                            be available for this zone yet"
            .to_owned(),
        Reason::RateLimited => {
            ": too many requests in all with these credentials; the account pauses".to_owned()
        }
        Reason::Http => ": a redirect is not followed; check base_url".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_and_the_codes_give_the_class() {
        for (status, codes, reason) in [
            (401, vec![], Reason::Unauthorized),
            (401, vec![7003], Reason::Unauthorized),
            (400, vec![9106], Reason::Unauthorized),
            (400, vec![1, 10000], Reason::Unauthorized),
            (400, vec![1146], Reason::ClientError),
            (400, vec![7003, 7000], Reason::NoRoute),
            (404, vec![7000], Reason::NoRoute),
            (404, vec![1142], Reason::NotFound),
            (404, vec![], Reason::NotFound),
            (403, vec![10000], Reason::Forbidden),
            (422, vec![9106], Reason::ClientError),
            (429, vec![10000], Reason::RateLimited),
            (500, vec![7003], Reason::ServerError),
            (503, vec![], Reason::ServerError),
            (301, vec![], Reason::Http),
            (399, vec![], Reason::Http),
            (999, vec![], Reason::ServerError),
        ] {
            assert_eq!(reason_of(status, &codes), reason, "{status} {codes:?}");
        }
    }
}
