//! Content negotiation for a scrape: format and encoding (RFC 9110, section 12.5).

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::exposition::{Encoding, Form, Format};

/// A quality value in thousandths; 0 means "not acceptable".
type Weight = u16;

/// The form of the body that the client prefers.
pub(super) fn negotiate(headers: &HeaderMap) -> Form {
    Form {
        format: format(headers),
        encoding: encoding(headers),
    }
}

/// OpenMetrics if the client gives it a higher weight than the text format, or the same weight and
/// names it first. Otherwise the text format, also for clients that accept neither.
fn format(headers: &HeaderMap) -> Format {
    let mut preferred = (Format::Text, 0);
    for element in elements(headers, &ACCEPT) {
        let format = match element.value.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if element.has_version("1.0.0") => Format::OpenMetrics,
            "text/plain" | "text/*" | "*/*" => Format::Text,
            _ => continue,
        };
        if element.weight > preferred.1 {
            preferred = (format, element.weight);
        }
    }
    preferred.0
}

/// The encoding that the client prefers. At equal weights it is gzip, which is a tenth of the size.
/// A client that sends no preference, or refuses both, gets the body uncompressed.
fn encoding(headers: &HeaderMap) -> Encoding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for element in elements(headers, &ACCEPT_ENCODING) {
        let slot = match element.value.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        // If an encoding has several weights, the highest counts.
        *slot = (*slot).max(Some(element.weight));
    }
    let identity_refused = identity.or(any) == Some(0);
    match gzip.or(any) {
        Some(0) => Encoding::Identity,
        Some(weight) if weight >= identity.or(any).unwrap_or(0) => Encoding::Gzip,
        None if identity_refused => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

/// An element of a list, such as `gzip;q=0.5` or `text/plain; version=0.0.4`.
struct Element<'a> {
    value: &'a str,
    parameters: &'a str,
    weight: Weight,
}

impl<'a> Element<'a> {
    /// `None` if its weight is invalid.
    fn parse(text: &'a str) -> Option<Self> {
        let (value, parameters) = text.split_once(';').unwrap_or((text, ""));
        let weight = match parameter(parameters, "q") {
            Some(weight) => parse_weight(weight)?,
            None => 1000,
        };
        Some(Self {
            value: value.trim(),
            parameters,
            weight,
        })
    }

    /// Whether it requests this version or any.
    fn has_version(&self, version: &str) -> bool {
        parameter(self.parameters, "version").is_none_or(|wanted| wanted == version)
    }
}

/// The value of a parameter, in `name=value; name="value"`.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Element<'a>> {
    let lines = headers.get_all(name).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(Element::parse)
}

/// `0` to `1` with at most three decimals (RFC 9110, section 12.4.2).
fn parse_weight(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: Weight = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::Encoding::{self, Gzip, Identity};
    use crate::exposition::Format::{OpenMetrics, Text};

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn encoding(lines: &[&str]) -> Encoding {
        negotiate(&headers(&ACCEPT_ENCODING, lines)).encoding
    }

    #[test]
    fn openmetrics_is_for_clients_that_prefer_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,\
                            application/openmetrics-text;version=0.0.1;q=0.75,\
                            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                            application/openmetrics-text;version=0.0.1;q=0.4,\
                            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (line, expected) in [
            ("", Text),
            ("*/*", Text),
            ("text/html, */*;q=0.8", Text),
            (prometheus_2, OpenMetrics),
            (prometheus_3, OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            (
                "application/openmetrics-text; version=\"1.0.0\"",
                OpenMetrics,
            ),
            ("Application/OpenMetrics-Text, text/plain", OpenMetrics),
            ("text/plain, application/openmetrics-text", Text),
            (
                "text/plain;q=0.4, application/openmetrics-text;q=0.6",
                OpenMetrics,
            ),
            ("text/plain;q=0.6, application/openmetrics-text;q=0.4", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;version=0.0.1", Text),
            (
                "application/openmetrics-text;version=2.0.0, text/plain;q=0.1",
                Text,
            ),
        ] {
            assert_eq!(
                negotiate(&headers(&ACCEPT, &[line])).format,
                expected,
                "{line:?}"
            );
        }
    }

    #[test]
    fn the_client_gets_what_it_prefers() {
        for (line, expected) in [
            ("", Identity),
            ("gzip", Gzip),
            ("GZip", Gzip),
            ("x-gzip", Gzip),
            ("gzip, deflate, br", Gzip),
            ("deflate, br;q=1.0, gzip;q=0.001", Gzip),
            ("br", Identity),
            ("identity", Identity),
            ("*", Gzip),
            ("*;q=0.5", Gzip),
            ("*;q=0", Identity),
            ("gzip;q=0", Identity),
            ("gzip;q=0.000, *", Identity),
            ("gzip;q=0, identity", Identity),
            ("gzip;q=0.5, identity;q=0.4", Gzip),
            ("gzip;q=0.5, identity;q=0.5", Gzip),
            ("gzip;q=0.5, identity", Identity),
            ("gzip;q=0.3, *;q=0.5", Identity),
            ("gzip, *;q=0", Gzip),
            ("identity;q=0", Gzip),
            ("br, identity;q=0", Gzip),
            ("identity;q=0, gzip;q=0", Identity),
            (" gzip ; Q = 0.8 ", Gzip),
            ("gzip;level=9;q=0", Identity),
            ("gzip;level=9", Gzip),
            ("gzip;q=0, gzip", Gzip),
        ] {
            assert_eq!(encoding(&[line]), expected, "{line:?}");
        }
    }

    #[test]
    fn an_element_whose_weight_cannot_be_read_says_nothing() {
        for weight in ["", "x", "1.1", "2", "-1", "0.1234", "1.", ".5", "0,5", "+1"] {
            let expected = if weight == "1." { Gzip } else { Identity };
            assert_eq!(
                encoding(&[&format!("gzip;q={weight}")]),
                expected,
                "{weight:?}"
            );
        }
        assert_eq!(encoding(&["gzip;q=x, *"]), Gzip);
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(encoding(&["br", "gzip"]), Gzip);
        assert_eq!(encoding(&["gzip;q=0.2", "identity;q=0.3"]), Identity);
        assert_eq!(encoding(&[]), Identity);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(line in "[ -~]{0,60}") {
            let _ = encoding(&[&line]);
            let _ = negotiate(&headers(&ACCEPT, &[&line]));
        }

        #[test]
        fn the_higher_weight_wins(gzip in 0u16..=1000, identity in 0u16..=1000) {
            let weight = |w: u16| format!("{}.{:03}", w / 1000, w % 1000);
            let line = format!("gzip;q={}, identity;q={}", weight(gzip), weight(identity));
            let expected = if gzip > 0 && gzip >= identity { Gzip } else { Identity };
            prop_assert_eq!(encoding(&[&line]), expected);
        }
    }
}
