//! Where a vendor's server may send a reading, for `fuzz/`, which is another crate. Each panics
//! where that is a place that is not trusted.

use reqwest::header::HeaderValue;
use url::Url;

use super::download_page::latest_link;
use super::fetch::redirect_target;

/// Looks for the file's link in a page.
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
