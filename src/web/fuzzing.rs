//! What the server parses, as plain functions of bytes: for `fuzz/`, which is another crate. Each
//! panics where a promise of its parser is broken.

use std::path::Path;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue};

use super::api::{self, Resource};
use super::negotiation::negotiate;
use super::probe::{LONGEST_TIMEOUT, Probes, TIMEOUT_HEADER, time_limit};
use super::web_config::WebConfig;
use super::{pages, protection, server};
use crate::config_tree::Place;
use crate::snapshot::Snapshot;

/// Reads a file of `--web.config.file`, but none of the files that it names.
pub fn web_config(text: &str) {
    match WebConfig::parse(text, &Place::file("web.yml"), Path::new("")) {
        Ok(config) => drop(format!("{config:?}")),
        Err(errors) => drop(errors.to_string()),
    }
}

/// Reads the query of a request.
pub fn query(text: &str) {
    pages::parse_query(text);
    for resource in Resource::ALL {
        if let Err(problem) = api::parse_query(resource, text) {
            let _ = problem.to_string();
        }
    }
}

/// Chooses a form of the body for the lines of an `Accept-Encoding`.
pub fn accept_encoding(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(ACCEPT_ENCODING, value);
        }
    }
    negotiate(&headers);
}

/// Reads the query of a probe and the time that its caller waits.
pub fn probe(query: &str, timeout: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(timeout) {
        headers.insert(TIMEOUT_HEADER, value);
    }
    let Ok(limit) = time_limit(&headers) else {
        return;
    };
    assert!(limit < LONGEST_TIMEOUT);
    let probes = Probes::new(
        Arc::new(|_| Box::pin(async { Ok(None) })),
        Snapshot::default(),
    );
    let problem = probes.wanted(query, limit).expect_err("there are no zones");
    let told = problem.to_string();
    assert!(
        told.len() < 4096 && !told.contains(char::is_control),
        "{told:?}"
    );
}

/// Reads the value of an `Authorization`.
pub fn authorization(value: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(name) = protection::named(&headers) {
        assert!(
            !name.contains(':'),
            "{name:?} has taken some of the password"
        );
    }
}

/// Reads the certificate that a client shows.
pub fn client_certificate(der: &[u8]) {
    protection::names_of(der);
}

/// Whether an address that the command line accepts is one that can be listened on.
pub fn can_be_listened_on(address: &str) -> bool {
    server::parse(address).is_some()
}
