//! Azure's download page, which links to a file whose address changes every week.

use url::{Host, Url};

/// The host from which Microsoft serves the files.
const DOWNLOAD_HOST: Host<&str> = Host::Domain("download.microsoft.com");

/// The address of the newest `ServiceTags_Public_YYYYMMDD.json` that appears anywhere in the page,
/// in an attribute or a script. Only https addresses on Microsoft's download host are accepted, and
/// addresses on the page's own origin, which is as trustworthy as the page.
pub(super) fn latest_link(page: &Url, html: &[u8]) -> Option<Url> {
    String::from_utf8_lossy(html)
        .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '\\' | '='))
        .filter_map(|text| Some((published_on(text)?, Url::parse(text).ok()?)))
        .filter(|(_, url)| is_trusted(page, url))
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, url)| url)
}

/// The date in the file's name: eight digits.
fn published_on(address: &str) -> Option<String> {
    let (_, file) = address.rsplit_once('/')?;
    let date = file
        .strip_prefix("ServiceTags_Public_")?
        .strip_suffix(".json")?;
    let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    is_date.then(|| date.to_owned())
}

fn is_trusted(page: &Url, url: &Url) -> bool {
    let from_microsoft =
        url.scheme() == "https" && url.host() == Some(DOWNLOAD_HOST) && url.port().is_none();
    from_microsoft || url.origin() == page.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(html: &str) -> Option<String> {
        let page =
            Url::parse("https://www.microsoft.com/en-us/download/details.aspx?id=1").unwrap();
        latest_link(&page, html.as_bytes()).map(String::from)
    }

    #[test]
    fn the_newest_link_is_found_in_attributes_and_scripts() {
        let old =
            "https://download.microsoft.com/download/7/1/d/x/ServiceTags_Public_20251020.json";
        let new =
            "https://download.microsoft.com/download/7/1/d/x/ServiceTags_Public_20251027.json";
        for html in [
            format!("<a href=\"{new}\">x</a>"),
            format!("<a href='{new}'>x</a>"),
            format!("<script>{{\"url\":\"{new}\",\"old\":\"{old}\"}}</script>"),
            format!("<a href={new}>x</a><a href={old}>y</a>"),
        ] {
            assert_eq!(link(&html).as_deref(), Some(new), "{html}");
        }
    }

    #[test]
    fn a_link_to_elsewhere_or_to_another_file_does_not_count() {
        for address in [
            "http://download.microsoft.com/x/ServiceTags_Public_20251027.json",
            "https://download.microsoft.com.example.net/ServiceTags_Public_20251027.json",
            "https://example.net/download.microsoft.com/ServiceTags_Public_20251027.json",
            "https://download.microsoft.com@example.net/ServiceTags_Public_20251027.json",
            "https://download.microsoft.com:8443/ServiceTags_Public_20251027.json",
            "https://download.microsoft.com/x/ServiceTags_China_20251027.json",
            "https://download.microsoft.com/x/ServiceTags_Public_2025102.json",
            "https://download.microsoft.com/x/ServiceTags_Public_latest01.json",
            "https://download.microsoft.com/x/ServiceTags_Public_20251027.json.exe",
            "ServiceTags_Public_20251027.json",
        ] {
            assert_eq!(link(&format!("<a href=\"{address}\">")), None, "{address}");
        }
        assert_eq!(link(""), None);
        assert!(latest_link(&Url::parse("https://a.example/").unwrap(), &[0xff, 0xfe]).is_none());
    }

    #[test]
    fn a_mirror_of_the_page_may_link_to_itself() {
        let page = Url::parse("http://127.0.0.1:8080/page").unwrap();
        let file = "http://127.0.0.1:8080/files/ServiceTags_Public_20251027.json";
        let html = format!("<a href=\"{file}\">");
        assert_eq!(latest_link(&page, html.as_bytes()).unwrap().as_str(), file);
        let elsewhere = Url::parse("http://127.0.0.1:8081/page").unwrap();
        assert_eq!(latest_link(&elsewhere, html.as_bytes()), None);
    }
}
