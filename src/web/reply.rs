//! Responses.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, Response, StatusCode};
use maud::Markup;
use serde::Serialize;

use super::quota::Lease;
use super::scrape::Counted;
use super::server::{Held, InFlight, ResponseBody};
use crate::exposition::{Body, Encoding, Form, Format};

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// Pages load nothing but their inline style, run no scripts and cannot be framed.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                           base-uri 'none'; frame-ancestors 'none'";
/// The authentication challenge (RFC 7617).
const CHALLENGE: &str = "Basic realm=\"cloudflare-origin-region-exporter\", charset=\"UTF-8\"";

/// A complete response, and what it holds until it is sent.
#[derive(Debug)]
pub(super) struct Reply {
    response: Response<Body>,
    lease: Option<Lease>,
    counted: Option<Arc<Counted>>,
}

impl Reply {
    /// A sentence as plain text.
    pub(super) fn text(status: StatusCode, sentence: &str) -> Self {
        Self::new(status, PLAIN_TEXT, Bytes::from(format!("{sentence}\n")))
    }

    /// 503: the same request may succeed later.
    pub(super) fn unavailable(sentence: &str) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, sentence)
    }

    /// An exposition; the lease ends when its last byte is sent.
    pub(super) fn metrics(counted: Arc<Counted>, form: Form, lease: Lease) -> Self {
        let body = counted.body.clone();
        let mut reply = Self::new(StatusCode::OK, form.format.content_type(), body)
            .with(VARY, "Accept, Accept-Encoding")
            .with_lease(lease);
        reply.counted = Some(counted);
        match form.encoding {
            Encoding::Gzip => reply.with(CONTENT_ENCODING, "gzip"),
            Encoding::Identity => reply,
        }
    }

    /// The metrics of a probe.
    pub(super) fn probe(text: String) -> Self {
        Self::new(
            StatusCode::OK,
            Format::Text.content_type(),
            Bytes::from(text),
        )
    }

    /// A JSON document.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Serialisation cannot fail: the rows hold strings and numbers with fixed keys.
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        Self::new(status, "application/json", Bytes::from(body)).with(CACHE_CONTROL, "no-store")
    }

    /// An HTML page.
    pub(super) fn page(status: StatusCode, page: Markup) -> Self {
        let body = Bytes::from(page.into_string());
        Self::new(status, "text/html; charset=utf-8", body)
            .with(CONTENT_SECURITY_POLICY, PAGE_POLICY)
            .with(REFERRER_POLICY, "no-referrer")
            .with(CACHE_CONTROL, "no-store")
    }

    /// Holds the lease until the last byte is sent.
    pub(super) fn with_lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The response to a method that is not in `allow`.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let sentence = format!("This path answers to {allow} only.");
        Self::text(StatusCode::METHOD_NOT_ALLOWED, &sentence).with(ALLOW, allow)
    }

    /// The response to a request without valid credentials.
    pub(super) fn unauthorized() -> Self {
        Self::text(
            StatusCode::UNAUTHORIZED,
            "This needs a user name and a password.",
        )
        .with(WWW_AUTHENTICATE, CHALLENGE)
    }

    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        Self {
            response,
            lease: None,
            counted: None,
        }
        .with(CONTENT_TYPE, content_type)
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        let value = HeaderValue::from_static(value);
        self.response.headers_mut().insert(name, value);
        self
    }

    /// Adds headers, and replaces those with the same name.
    pub(super) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        self.response.headers_mut().extend(headers.clone());
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The length of the body.
    pub(super) fn body_len(&self) -> usize {
        self.response.body().len()
    }

    /// Converts it to the response for this method; HEAD gets the headers of GET.
    pub(super) fn into_response(
        self,
        method: &Method,
        in_flight: Arc<InFlight>,
    ) -> Response<ResponseBody> {
        if let Some(lease) = &self.lease {
            lease.sent_to(&in_flight);
        }
        let (mut head, mut body) = self.response.into_parts();
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        if method == Method::HEAD {
            body = Bytes::new().into();
        }
        let kept = Held {
            in_flight,
            _lease: self.lease,
            _counted: self.counted,
        };
        Response::from_parts(head, ResponseBody::new(body, kept))
    }
}
