//! Which form of a body a client wants (RFC 9110, section 12.5.3).

use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

use crate::exposition::Encoding;

/// A quality value in thousandths; 0 means "not acceptable".
type Weight = u16;

/// The form that the client prefers; gzip where it likes both equally, since it is a tenth of
/// the size. A client that says nothing gets the body as it is. So does one that refuses both,
/// since a scrape that it did not want is of more use to it than none.
pub(super) fn negotiate(headers: &HeaderMap) -> Encoding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let elements = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    for (coding, weight) in elements.filter_map(element) {
        let slot = match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "identity" => &mut identity,
            "*" => &mut any,
            _ => continue,
        };
        // Of two weights for one coding the higher one counts.
        *slot = (*slot).max(Some(weight));
    }
    let identity_refused = identity.or(any) == Some(0);
    match gzip.or(any) {
        Some(0) => Encoding::Identity,
        Some(weight) if weight >= identity.or(any).unwrap_or(0) => Encoding::Gzip,
        None if identity_refused => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

/// One element, such as `gzip;q=0.5`; `None` where its weight cannot be read.
fn element(text: &str) -> Option<(&str, Weight)> {
    let mut parts = text.split(';').map(str::trim);
    let coding = parts.next()?;
    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    match weight {
        Some((_, value)) => Some((coding, parse_weight(value.trim())?)),
        None => Some((coding, 1000)),
    }
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

    fn negotiate(lines: &[&str]) -> Encoding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        super::negotiate(&headers)
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
            assert_eq!(negotiate(&[line]), expected, "{line:?}");
        }
    }

    #[test]
    fn an_element_whose_weight_cannot_be_read_says_nothing() {
        for weight in ["", "x", "1.1", "2", "-1", "0.1234", "1.", ".5", "0,5", "+1"] {
            let expected = if weight == "1." { Gzip } else { Identity };
            assert_eq!(
                negotiate(&[&format!("gzip;q={weight}")]),
                expected,
                "{weight:?}"
            );
        }
        assert_eq!(negotiate(&["gzip;q=x, *"]), Gzip);
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(negotiate(&["br", "gzip"]), Gzip);
        assert_eq!(negotiate(&["gzip;q=0.2", "identity;q=0.3"]), Identity);
        assert_eq!(negotiate(&[]), Identity);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(line in "[ -~]{0,60}") {
            let _ = negotiate(&[&line]);
        }

        #[test]
        fn the_higher_weight_wins(gzip in 0u16..=1000, identity in 0u16..=1000) {
            let weight = |w: u16| format!("{}.{:03}", w / 1000, w % 1000);
            let line = format!("gzip;q={}, identity;q={}", weight(gzip), weight(identity));
            let expected = if gzip > 0 && gzip >= identity { Gzip } else { Identity };
            prop_assert_eq!(negotiate(&[&line]), expected);
        }
    }
}
