//! A single attempt: sends a request, reads the response and classifies failures.

use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::auth::AuthHeaders;
use super::envelope::{ApiErrors, BodyProblem, shown};
use super::{ApiError, Operation, Reason};
use crate::http_client::{self, BodyError, Connections};

/// The largest page of zones or mappings; real ones have well under 200 kB. With several requests
/// in flight, this limits the memory that hostile responses can use.
const BODY_LIMIT: usize = 2 << 20;
/// The limit for lists that come in one piece or in large pages; 5,000 DNS records have about 5 MB.
const LARGE_BODY_LIMIT: usize = 16 << 20;
/// The limit for error bodies, of which only the errors are read.
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// The codes of "could not route the request" (API reference, 7000 and 7003).
const NO_ROUTE: [u32; 2] = [7000, 7003];
/// The codes of rejected credentials, seen with status 400.
const BAD_CREDENTIALS: [u32; 2] = [9106, 10000];
/// "Invalid request headers"; its error chain names the problem.
const INVALID_HEADERS: u32 = 6003;
/// "Invalid format for Authorization header".
const MALFORMED_TOKEN: u32 = 6111;
/// The credentials cannot be used here, for the reason in the message: the token is invalid, is
/// used from a disallowed address, or lacks a permission.
const CANNOT_USE: u32 = 9109;
/// The codes with which a 403 may mean invalid credentials or a missing permission.
const DOUBTFUL_CREDENTIALS: [u32; 3] = [9106, CANNOT_USE, 10000];
/// The path of Cloudflare's API on its host.
const API_PATH: &str = "/client/v4/";

/// A request to the API.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) operation: Operation,
    pub(super) url: &'a Url,
    /// Whether the caller expects this failure, so that it does not count as an error.
    pub(super) expected: fn(&ApiError) -> bool,
}

impl<'a> Request<'a> {
    /// A request that is expected to succeed.
    pub(super) fn new(operation: Operation, url: &'a Url) -> Self {
        Self {
            operation,
            url,
            expected: |_| false,
        }
    }

    /// The request, for a caller that expects these failures.
    pub(super) fn expecting(self, expected: fn(&ApiError) -> bool) -> Self {
        Self { expected, ..self }
    }

    pub(super) fn error(&self, reason: Reason, detail: impl Into<String>) -> ApiError {
        ApiError::new(self.operation, reason, detail)
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

/// Sends the request and reads the response with `parse`. `on_head` is called with status and
/// headers as soon as they arrive, before the body. Leaves the status of an error to the caller.
pub(super) async fn attempt<T>(
    connections: &Connections,
    auth: &AuthHeaders,
    request: Request<'_>,
    limit: Duration,
    on_head: impl FnOnce(u16, &HeaderMap),
    parse: impl FnOnce(&[u8]) -> Result<T, BodyProblem>,
) -> Result<T, ApiError> {
    let deadline = Instant::now() + limit;
    let too_slow = || format!("no complete response within {:.1} s", limit.as_secs_f64());
    let sending = connections
        .client()
        .get(request.url.clone())
        .headers(auth.headers.clone())
        .send();
    let response = timeout_at(deadline, sending)
        .await
        .map_err(|_| request.error(Reason::Timeout, too_slow()))?
        .map_err(|error| ApiError {
            connection_ended: connections.ended_before_answer(&error),
            ..transport(request, error)
        })?;
    connections.answered(response.version());
    let status = response.status().as_u16();
    on_head(status, response.headers());
    if !response.status().is_success() {
        // The status determines the class, so an unreadable body does not matter. The body of a
        // redirect is useless, and a 429 should fail at once.
        let reading = http_client::read_body(response, ERROR_BODY_LIMIT);
        let body = match status {
            300..400 | 429 => Vec::new(),
            _ => timeout_at(deadline, reading)
                .await
                .ok()
                .and_then(Result::ok)
                .unwrap_or_default(),
        };
        return Err(refusal(request, status, &body, auth));
    }
    let reading = http_client::read_body(response, body_limit(request.operation));
    let body = timeout_at(deadline, reading)
        .await
        .map_err(|_| request.error(Reason::Timeout, too_slow()))?
        .map_err(|error| match error {
            BodyError::TooLarge { .. } => request.error(Reason::TooLarge, error.to_string()),
            BodyError::Transport(error) => transport(request, error),
        })?;
    let body = auth.secrets.redact_body(body);
    parse(&body).map_err(|problem| match problem {
        BodyProblem::Malformed(detail) => {
            let hint = base_url_hint(request.url, &body);
            request.error(Reason::Malformed, format!("{detail}{hint}"))
        }
        BodyProblem::TooLarge(detail) => request.error(Reason::TooLarge, detail),
        BodyProblem::Unsuccessful => {
            let errors = ApiErrors::read(&body);
            let detail = format!("the API answered success: false{}", quoted(&errors, auth));
            ApiError {
                codes: errors.codes,
                ..request.error(Reason::Unsuccessful, detail)
            }
        }
    })
}

/// Whether an error shows that the credentials are valid: the API itself, not a proxy, recognises
/// the client and reports that something is forbidden or not found.
pub(super) fn accepts_the_credentials(error: &ApiError) -> bool {
    matches!(error.reason, Reason::Forbidden | Reason::NotFound)
        && !error.codes.is_empty()
        && !error
            .codes
            .iter()
            .any(|code| DOUBTFUL_CREDENTIALS.contains(code))
}

/// The order of the checks matters: a slow body is also a decoding error, and a failed handshake or
/// name lookup is also a connection error.
fn transport(request: Request<'_>, error: reqwest::Error) -> ApiError {
    let reason = if error.is_timeout() {
        Reason::Timeout
    } else if http_client::is_tls_failure(&error) {
        Reason::Tls
    } else if error.is_connect() {
        Reason::Connect
    } else if error.is_decode() && !http_client::has_source::<hyper::Error>(&error) {
        // Its compression is corrupt.
        Reason::Malformed
    } else {
        Reason::Http
    };
    request.error(reason, shown(&http_client::describe(error)))
}

/// The likely problem if a response does not come from the API.
fn base_url_hint(url: &Url, body: &[u8]) -> &'static str {
    let is_html = body.trim_ascii_start().starts_with(b"<");
    if !url.path().contains(API_PATH) {
        "; base_url does not end in /client/v4"
    } else if is_html {
        "; it is a web page: check base_url, and any proxy in between"
    } else {
        ""
    }
}

/// The error for a response with a status other than success.
fn refusal(request: Request<'_>, status: u16, body: &[u8], auth: &AuthHeaders) -> ApiError {
    let errors = ApiErrors::read(body);
    let reason = reason_of(status, &errors);
    let hint = match reason {
        Reason::NotFound if errors.codes.is_empty() => base_url_hint(request.url, body),
        Reason::NoRoute if !request.url.path().contains(API_PATH) => {
            base_url_hint(request.url, body)
        }
        _ => "",
    };
    let detail = format!(
        "HTTP {status}{}{}{hint}",
        quoted(&errors, auth),
        advice(reason, request.operation, &errors)
    );
    ApiError {
        codes: errors.codes,
        ..request.error(reason, detail)
    }
}

fn reason_of(status: u16, errors: &ApiErrors) -> Reason {
    let has_any = |wanted: [u32; 2]| wanted.iter().any(|code| errors.codes.contains(code));
    match status {
        401 => Reason::Unauthorized,
        403 if says_token_is_invalid(errors) => Reason::Unauthorized,
        403 => Reason::Forbidden,
        429 => Reason::RateLimited,
        400..500 if has_any(NO_ROUTE) => Reason::NoRoute,
        400 if has_any(BAD_CREDENTIALS) || says_token_is_malformed(errors) => Reason::Unauthorized,
        404 => Reason::NotFound,
        400..500 => Reason::ClientError,
        500.. => Reason::ServerError,
        _ => Reason::Http,
    }
}

fn says_token_is_invalid(errors: &ApiErrors) -> bool {
    let text = errors.text.to_ascii_lowercase();
    errors.codes.contains(&CANNOT_USE) && text.contains("invalid") && text.contains("token")
}

fn says_token_is_malformed(errors: &ApiErrors) -> bool {
    let has = |code| errors.codes.contains(&code);
    has(INVALID_HEADERS) && has(MALFORMED_TOKEN)
}

fn says_address_is_filtered(errors: &ApiErrors) -> bool {
    errors.codes.contains(&CANNOT_USE) && errors.text.to_ascii_lowercase().contains("location")
}

/// The API's message without secrets, on one line.
fn quoted(errors: &ApiErrors, auth: &AuthHeaders) -> String {
    if errors.text.is_empty() {
        String::new()
    } else {
        format!(" ({})", shown(&auth.secrets.redact(&errors.text)))
    }
}

/// What the operator can do.
fn advice(reason: Reason, operation: Operation, errors: &ApiErrors) -> String {
    match reason {
        Reason::Unauthorized if says_token_is_malformed(errors) => {
            ": the token is malformed; check for quotes around it, spaces in it, and a ${VAR} that \
             nothing has replaced"
                .to_owned()
        }
        Reason::Unauthorized => {
            ": the credentials are not accepted; check that the token or key is the right one and \
             is active"
                .to_owned()
        }
        Reason::Forbidden if says_address_is_filtered(errors) => {
            ": the token's client IP address filter does not allow this host's address".to_owned()
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
            (400, vec![6003, 6111], Reason::Unauthorized),
            (400, vec![6003], Reason::ClientError),
            (403, vec![9109], Reason::Forbidden),
            (422, vec![9106], Reason::ClientError),
            (429, vec![10000], Reason::RateLimited),
            (500, vec![7003], Reason::ServerError),
            (503, vec![], Reason::ServerError),
            (301, vec![], Reason::Http),
            (399, vec![], Reason::Http),
            (999, vec![], Reason::ServerError),
        ] {
            let errors = ApiErrors {
                codes,
                text: String::new(),
            };
            assert_eq!(reason_of(status, &errors), reason, "{status} {errors:?}");
        }
    }

    fn cannot_use(message: &str) -> ApiErrors {
        ApiErrors {
            codes: vec![CANNOT_USE],
            text: format!("9109 {message}"),
        }
    }

    #[test]
    fn the_message_of_a_403_tells_an_invalid_token_from_a_filtered_address() {
        let invalid = cannot_use("Invalid access token");
        assert_eq!(reason_of(403, &invalid), Reason::Unauthorized);
        let filtered = cannot_use("Cannot use the access token from location: 192.0.2.1");
        assert_eq!(reason_of(403, &filtered), Reason::Forbidden);
        let text = advice(Reason::Forbidden, Operation::ListZones, &filtered);
        assert!(text.contains("address filter"), "{text}");
        let resource = cannot_use("Unauthorized to access requested resource");
        assert_eq!(reason_of(403, &resource), Reason::Forbidden);
        let text = advice(Reason::Forbidden, Operation::ListZones, &resource);
        assert!(text.contains("permission"), "{text}");
    }

    #[test]
    fn a_malformed_token_is_named() {
        let malformed = ApiErrors {
            codes: vec![INVALID_HEADERS, MALFORMED_TOKEN],
            text: String::new(),
        };
        let text = advice(Reason::Unauthorized, Operation::ListZones, &malformed);
        assert!(text.contains("quotes") && text.contains("${VAR}"), "{text}");
    }
}
