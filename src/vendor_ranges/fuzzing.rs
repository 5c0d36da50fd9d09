//! The search for a link in Azure's download page, for `fuzz/`, which is another crate.

use url::Url;

use super::download_page::latest_link;

/// Looks for the file's link in a page. Panics where the link leads to a host that is not trusted.
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
