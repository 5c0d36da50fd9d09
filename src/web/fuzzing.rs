//! The server's parsers as plain functions of bytes, for the separate crate in `fuzz/`. Each
//! function panics if its parser breaks a promise.

use std::path::Path;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::api::Resource;
use super::negotiation::negotiate;
use super::probe::{LONGEST_TIMEOUT, TIMEOUT_HEADER, time_limit, wanted};
use super::web_config::WebConfig;
use super::{pages, protection};
use crate::config_tree::Place;
use crate::snapshot::Snapshot;

/// Parses a file of `--web.config.file`, without the files that it names.
pub fn web_config(text: &str) {
    match WebConfig::parse(text, &Place::file("web.yml"), Path::new("")) {
        Ok(config) => drop(format!("{config:?}")),
        Err(errors) => drop(errors.to_string()),
    }
}

/// Parses the query of a request.
pub fn query(text: &str) {
    pages::parse_query(text);
    for resource in Resource::ALL {
        resource.query(text).ok();
    }
}

/// Negotiates the form of the body from the lines of an `Accept-Encoding`.
pub fn accept_encoding(lines: &[u8]) {
    negotiate(&headers("accept-encoding", lines));
}

/// Parses the query of a probe and its caller's time-out.
pub fn probe(query: &str, timeout: &[u8]) {
    let Ok(limit) = time_limit(&headers(TIMEOUT_HEADER, timeout)) else {
        return;
    };
    assert!(limit < LONGEST_TIMEOUT);
    let problem = wanted(query, limit, &Snapshot::default()).expect_err("there are no zones");
    assert!(
        problem.len() < 4096 && !problem.contains(char::is_control),
        "{problem:?}"
    );
}

/// Parses the value of an `Authorization` header.
pub fn authorization(value: &[u8]) {
    if let Some(name) = protection::named(&headers("authorization", value)) {
        assert!(
            !name.contains(':'),
            "{name:?} has taken some of the password"
        );
    }
}

/// Parses a client certificate.
pub fn client_certificate(der: &[u8]) {
    protection::names_of(der);
}

/// A header with the lines that can be values.
fn headers(name: &str, lines: &[u8]) -> HeaderMap {
    let lines = lines.split(|&byte| byte == b'\n');
    let values = lines.flat_map(HeaderValue::from_bytes);
    let name = HeaderName::try_from(name).expect("a constant name");
    values.map(|value| (name.clone(), value)).collect()
}
