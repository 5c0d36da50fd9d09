//! What the server parses, as plain functions of bytes: for `fuzz/`, which is another crate. Each
//! panics where a promise of its parser is broken.

use std::path::Path;

use hyper::HeaderMap;
use hyper::header::{ACCEPT_ENCODING, HeaderValue};

use super::api::Resource;
use super::api_query::Filter;
use super::encoding::negotiate;
use super::landing::Query;
use super::web_config::WebConfig;
use super::zone_page;
use crate::document::{Format, Place};

/// Reads a file of `--web.config.file`, but none of the files that it names.
pub fn web_config(text: &str) {
    let parsed = Format::Yaml.parse(text, &Place::file("web.yml"));
    if let Ok(document) = parsed {
        match WebConfig::parse(&document, Path::new("")) {
            Ok(config) => drop(format!("{config:?}")),
            Err(errors) => drop(errors.to_string()),
        }
    }
}

/// Reads the query of a request.
pub fn query(text: &str) {
    Query::parse(text);
    zone_page::Query::parse(text);
    for resource in [Resource::Zones, Resource::Mappings, Resource::Findings] {
        if let Err(problem) = Filter::parse(text, resource) {
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
