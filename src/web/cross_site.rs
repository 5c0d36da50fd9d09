//! Detects requests that a page of another site makes a browser send.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;

/// Whether a browser reports that a page of another origin sent the request: through
/// `Sec-Fetch-Site` (W3C Fetch Metadata), or an `Origin` (RFC 6454) that differs from the requested
/// host. Other clients send neither.
pub(super) fn is_cross_site(request: &Parts) -> bool {
    let header = |name: &str| value(&request.headers, name);
    match header("sec-fetch-site") {
        // Set by the browser; pages cannot change it.
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => request.headers.contains_key(ORIGIN) && !is_own(request),
    }
}

fn is_own(request: &Parts) -> bool {
    let origin = value(&request.headers, ORIGIN.as_str());
    let origin = origin.and_then(|origin| Some(origin.split_once("://")?.1));
    let asked = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => value(&request.headers, HOST.as_str()),
    };
    match (origin, asked) {
        (Some(origin), Some(asked)) => origin.eq_ignore_ascii_case(asked),
        _ => false,
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn refused(headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post("/-/reload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_cross_site(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_browsers_on_pages_of_other_origins_are_refused() {
        let host = ("host", "exporter.example:10955");
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://exporter.example:10955")],
            &[("origin", "https://EXPORTER.example:10955")],
            // A reverse proxy may use another host name.
            &[
                ("origin", "https://proxy.example"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert!(!refused(&[own, &[host]].concat()), "{own:?}");
        }
        for other in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("origin", "https://other.example")],
            &[("origin", "http://exporter.example")],
            &[("origin", "null")],
        ] {
            assert!(refused(&[other, &[host]].concat()), "{other:?}");
        }
        assert!(refused(&[("origin", "http://exporter.example:10955")]));
    }

    #[test]
    fn the_address_of_http2_is_in_the_uri() {
        let request = |origin: &str| {
            let request = Request::get("https://exporter.example/probe").header("origin", origin);
            is_cross_site(&request.body(()).unwrap().into_parts().0)
        };
        assert!(!request("https://exporter.example"));
        assert!(request("https://other.example"));
    }
}
