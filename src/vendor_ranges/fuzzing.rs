//! The entry points of the fuzzer, which is another crate. Each panics if the result cannot be
//! right.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use url::Url;

use super::download_page::latest_link;
use super::fetch::redirect_target;
use super::{RangeSource, StoredRanges};

/// Searches a page for the file's link.
pub fn download_page(page: &Url, html: &[u8]) {
    if let Some(link) = latest_link(page, html) {
        let trusted = [
            "download.microsoft.com",
            page.host_str().unwrap_or_default(),
        ];
        assert!(trusted.contains(&link.host_str().unwrap_or_default()));
        assert!(matches!(link.scheme(), "http" | "https"));
    }
}

/// Follows the `Location` of a redirect from an address.
pub fn redirect(source: &Url, location: &[u8]) {
    let location = HeaderValue::from_bytes(location).ok();
    if let Ok(target) = redirect_target(source, source, location.as_ref()) {
        assert!(target.scheme() == "https" || target.scheme() == source.scheme());
        assert!(target.has_host());
    }
}

/// Reads a table as an earlier process may have stored it.
pub fn stored(json: &[u8]) {
    let Ok(stored) = serde_json::from_slice::<StoredRanges>(json) else {
        return;
    };
    let source = RangeSource::File("ranges.json".into());
    if let Some(table) = stored.table(&source) {
        let again = StoredRanges::new(&source, stored.version.as_ref(), Arc::clone(table));
        assert!(again.is_some_and(|again| again.table(&source).is_some()));
    }
}
