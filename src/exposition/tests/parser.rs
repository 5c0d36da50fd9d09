//! A parser of the text format, written from the format's specification, not from the renderer.

use std::collections::HashSet;

#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sample {
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: String,
}

impl Family {
    /// The samples as `label=value label=value → number`, without the zone's own labels.
    pub(super) fn shown(&self) -> Vec<String> {
        let shown = self.samples.iter().map(|sample| {
            let labels = sample
                .labels
                .iter()
                .filter(|(name, _)| !name.starts_with("zone"));
            let labels: Vec<_> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} → {}", labels.join(" "), sample.value)
                .trim()
                .to_owned()
        });
        shown.collect()
    }
}

/// Parses families without suffixes (no histograms). Panics if the text is invalid: a sample
/// outside its family, a duplicate family or series, or a value that is not a number.
pub(super) fn parse(text: &str) -> Vec<Family> {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line ends"
    );
    let mut families: Vec<Family> = Vec::new();
    let mut seen = HashSet::new();
    for line in text.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} comes twice");
            families.push(Family {
                name: name.to_owned(),
                help: unescape(help).0,
                kind: String::new(),
                samples: Vec::new(),
            });
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let family = families.last_mut().unwrap();
            assert_eq!((name, family.samples.len()), (family.name.as_str(), 0));
            kind.clone_into(&mut family.kind);
        } else {
            let family = families.last_mut().unwrap();
            let rest = line.strip_prefix(family.name.as_str()).expect(line);
            let (labels, rest) = match rest.strip_prefix('{') {
                Some(rest) => labels(rest),
                None => (Vec::new(), rest),
            };
            let value = rest.strip_prefix(' ').expect(line).to_owned();
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
            let series = format!("{} {labels:?}", family.name);
            assert!(seen.insert(series), "{line} comes twice");
            family.samples.push(Sample { labels, value });
        }
    }
    families
}

/// Parses labels up to and including the closing brace.
fn labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut labels = Vec::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        let (value, after) = unescape(quoted);
        labels.push((name.to_owned(), value));
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None => return (labels, after.strip_prefix('}').unwrap()),
        };
    }
}

/// Parses to the closing quote, or to the end if there is none.
fn unescape(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.push(match chars.next().unwrap() {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                c => panic!("\\{c} is no escape"),
            }),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}
