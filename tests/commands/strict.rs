//! A strict parser of the text format 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

/// The families of an exposition, with their types and numbers of series.
///
/// Panics if a line is invalid, if a family lacks its help or type or occurs twice, if a series
/// occurs twice, or if a value is not a number.
pub(crate) fn families(text: &str) -> BTreeMap<String, (String, usize)> {
    assert!(text.ends_with('\n'));
    let mut families = BTreeMap::<String, (String, usize)>::new();
    let mut series = BTreeSet::new();
    let mut current = String::new();
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && is_name(name), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "the type follows the help");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let before = families.insert(name.to_owned(), (kind.to_owned(), 0));
            assert!(before.is_none(), "duplicate family {name}");
            name.clone_into(&mut current);
        } else {
            let name = sample(line, &mut series);
            let family = families.get_mut(&current).unwrap();
            let own = match family.0.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .any(|end| name.strip_suffix(end) == Some(&current)),
                _ => name == current,
            };
            assert!(own, "{line} under {current}");
            family.1 += 1;
        }
    }
    families
}

/// Parses a sample and returns its name.
fn sample<'a>(line: &'a str, series: &mut BTreeSet<&'a str>) -> &'a str {
    let (series_name, value) = line.rsplit_once(' ').unwrap();
    let number = value.parse::<f64>();
    assert!(number.is_ok(), "{line}");
    assert!(series.insert(series_name), "duplicate series {series_name}");
    let Some((name, labels)) = series_name.split_once('{') else {
        assert!(is_name(series_name), "{line}");
        return series_name;
    };
    assert!(is_name(name), "{line}");
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut seen = BTreeSet::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").unwrap();
        assert!(is_name(label) && seen.insert(label), "{line}");
        let end = end_of_value(after).unwrap();
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    name
}

/// The position of the closing quote.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' | b'n' | b'"' if escaped => escaped = false,
            _ if escaped => return None,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(inside) && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[test]
fn what_is_not_the_format_is_refused() {
    let good = "# HELP up Up.\n# TYPE up gauge\nup{a=\"x\\\"y, z\",b=\"\"} 1\nup 2.5e3\n";
    assert_eq!(families(good)["up"], ("gauge".to_owned(), 2));
    for bad in [
        "# HELP up Up.\n# TYPE up gauge\nup 1",
        "# HELP up Up.\n# TYPE up gauge\nup 1\nup 2\n",
        "# HELP up Up.\n# TYPE up gauge\ndown 1\n",
        "# HELP up Up.\n# TYPE up gauge\nup one\n",
        "# TYPE up gauge\nup 1\n",
        "# HELP up Up.\n# TYPE up gauge\nup{a=\"\\x\"} 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| families(bad)).is_err(), "{bad}");
    }
}
