//! Responses with a finished body.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use maud::Markup;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::exposition::{Encoding, Form, Format};

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// Pages load nothing but their own inline style, run nothing and are framed by nobody.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                           base-uri 'none'; frame-ancestors 'none'";
/// How to log in (RFC 7617).
const CHALLENGE: &str = "Basic realm=\"cloudflare-origin-region-exporter\", charset=\"UTF-8\"";

/// A whole response, and what it holds until it has been sent.
#[derive(Debug)]
pub(super) struct Reply {
    response: Response<Bytes>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// A sentence for people and logs.
    pub(super) fn text(status: StatusCode, sentence: &str) -> Self {
        Self::new(status, PLAIN_TEXT, Bytes::from(format!("{sentence}\n")))
    }

    /// An exposition; the permit is free again when its last byte has been sent.
    pub(super) fn metrics(body: Bytes, form: Form, permit: OwnedSemaphorePermit) -> Self {
        let mut reply = Self::new(StatusCode::OK, form.format.content_type(), body)
            .with(VARY, "Accept, Accept-Encoding");
        if form.encoding == Encoding::Gzip {
            reply = reply.with(CONTENT_ENCODING, "gzip");
        }
        reply.permit = Some(permit);
        reply
    }

    /// A text as it is.
    pub(super) fn document(text: String) -> Self {
        Self::new(StatusCode::OK, PLAIN_TEXT, Bytes::from(text))
    }

    /// The metrics of a probe.
    pub(super) fn probe(text: String) -> Self {
        Self::new(
            StatusCode::OK,
            Format::Text.content_type(),
            Bytes::from(text),
        )
    }

    /// A JSON document; the permit is free again when its last byte has been sent.
    pub(super) fn json(
        status: StatusCode,
        value: &impl Serialize,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        // Rows of texts and numbers with fixed names always serialise.
        let mut body = serde_json::to_vec(value).unwrap_or_default();
        body.push(b'\n');
        let mut reply = Self::new(status, "application/json", Bytes::from(body))
            .with(CACHE_CONTROL, "no-store");
        reply.permit = permit;
        reply
    }

    /// A page.
    pub(super) fn page(status: StatusCode, page: Markup) -> Self {
        let body = Bytes::from(page.into_string());
        Self::new(status, "text/html; charset=utf-8", body)
            .with(CONTENT_SECURITY_POLICY, PAGE_POLICY)
            .with(REFERRER_POLICY, "no-referrer")
            .with(CACHE_CONTROL, "no-store")
    }

    /// The refusal of a method other than those in `allow`.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let sentence = format!("This path answers to {allow} only.");
        Self::text(StatusCode::METHOD_NOT_ALLOWED, &sentence).with(ALLOW, allow)
    }

    /// The refusal of a request without the name and password of a user.
    pub(super) fn unauthorized() -> Self {
        Self::text(
            StatusCode::UNAUTHORIZED,
            "This needs a user name and a password.",
        )
        .with(WWW_AUTHENTICATE, CHALLENGE)
    }

    fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Self {
            response,
            permit: None,
        }
        .with(CONTENT_TYPE, content_type)
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        let value = HeaderValue::from_static(value);
        self.response.headers_mut().insert(name, value);
        self
    }

    /// Adds headers, which take the place of those with the same name.
    pub(super) fn with_headers(mut self, headers: &[(HeaderName, HeaderValue)]) -> Self {
        for (name, value) in headers {
            self.response
                .headers_mut()
                .insert(name.clone(), value.clone());
        }
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The response to a request of this method; HEAD gets the headers of GET. `guard` is dropped
    /// when the last byte has been sent.
    pub(super) fn into_response(
        self,
        method: &Method,
        guard: impl Send + 'static,
    ) -> Response<Bytes> {
        let (mut head, body) = self.response.into_parts();
        head.headers.insert(CONTENT_LENGTH, body.len().into());
        let body = if method == Method::HEAD {
            Bytes::new()
        } else {
            Bytes::from_owner(InFlight {
                body,
                _permit: self.permit,
                _guard: guard,
            })
        };
        Response::from_parts(head, body)
    }
}

/// A body with what is released when it has been sent. The HTTP library drops the body's source as
/// soon as the bytes are queued, and the bytes themselves only when the socket has taken them. So
/// the guards travel with the bytes.
struct InFlight<G> {
    body: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
    _guard: G,
}

impl<G> AsRef<[u8]> for InFlight<G> {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}
