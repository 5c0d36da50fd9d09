//! A strict parser of the exposition.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cloudflare_origin_region_exporter::metric_families::{self, Family, Kind};

/// The prefix of most families, which tests leave out.
const PREFIX: &str = "cloudflare_origin_region_";

/// One exposition, checked against the table of families.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) text: String,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    family: &'static Family,
    /// The name of the series, with the suffix of a histogram.
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Labels that select series.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Scrape {
    /// Parses the text format. Panics if it breaks a rule of the format, or if a family differs
    /// from the table of families.
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line is complete");
        let known: BTreeMap<_, _> = metric_families::all()
            .map(|family| (family.name, family))
            .collect();
        let mut samples = Vec::new();
        let mut seen = HashSet::new();
        let mut current: Option<&'static Family> = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "duplicate family {name}");
                let family = known.get(name).copied();
                let family = family.unwrap_or_else(|| panic!("{name} is not in the table"));
                assert_eq!(help, family.help, "the help of {name}");
                current = Some(family);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let family = current.unwrap();
                let expected = format!("{} {}", family.name, family.kind.as_str());
                assert_eq!(rest, expected);
            } else {
                let sample = Sample::parse(line, current.unwrap());
                let series = format!("{} {:?}", sample.name, sample.labels);
                assert!(seen.insert(series), "duplicate series {line}");
                samples.push(sample);
            }
        }
        Self {
            text: text.to_owned(),
            samples,
        }
    }

    fn find<'a>(&'a self, name: &'a str, labels: Labels<'a>) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.is(name) && labels.iter().all(|label| sample.has(label)))
    }

    /// The value of the only series with these labels; `None` if there is none.
    pub(crate) fn value(&self, name: &str, labels: Labels<'_>) -> Option<f64> {
        let mut found = self.find(name, labels);
        let value = found.next()?.value;
        assert!(found.next().is_none(), "several series {name} {labels:?}");
        Some(value)
    }

    /// The sum of the series with these labels; 0 if there is none.
    pub(crate) fn sum(&self, name: &str, labels: Labels<'_>) -> f64 {
        self.find(name, labels).map(|sample| sample.value).sum()
    }

    /// The number of series with these labels.
    pub(crate) fn count(&self, name: &str, labels: Labels<'_>) -> usize {
        self.find(name, labels).count()
    }

    /// The distinct values of a label in these series, sorted.
    pub(crate) fn values_of(&self, label: &str, name: &str, labels: Labels<'_>) -> Vec<String> {
        let mut values: Vec<String> = self
            .find(name, labels)
            .filter_map(|sample| sample.labels.iter().find(|(name, _)| name == label))
            .map(|(_, value)| value.clone())
            .collect();
        values.sort();
        values.dedup();
        values
    }

    /// Whether the last poll of a zone succeeded; `None` before the first one.
    pub(crate) fn up(&self, zone: &str) -> Option<bool> {
        self.value("zone_up", &[("zone", zone)]).map(is_one)
    }

    /// The number of completed polls of a zone.
    pub(crate) fn polls(&self, zone: &str) -> f64 {
        self.sum("zone_polls_total", &[("zone", zone)])
    }

    /// The number of failed polls of a zone.
    pub(crate) fn poll_errors(&self, zone: &str) -> f64 {
        self.sum("zone_poll_errors_total", &[("zone", zone)])
    }

    /// The number of mappings of a zone that have a series.
    pub(crate) fn mappings(&self, zone: &str) -> usize {
        self.count("mapping_info", &[("zone", zone)])
    }

    /// The families with series of this zone, without the common prefix.
    pub(crate) fn families_of(&self, zone: &str) -> Vec<&'static str> {
        let of_zone = self.samples.iter().filter(|s| s.has(&("zone", zone)));
        let mut names: Vec<_> = of_zone
            .map(|sample| sample.family.name.trim_start_matches(PREFIX))
            .collect();
        names.dedup();
        names
    }

    /// The series of a zone with their values, except for some families.
    pub(crate) fn lines_of(&self, zone: &str, but: &[&str]) -> Vec<String> {
        let of_zone = self.samples.iter().filter(|s| s.has(&("zone", zone)));
        of_zone
            .filter(|sample| !but.iter().any(|name| sample.is(name)))
            .map(|sample| format!("{} {:?} {}", sample.name, sample.labels, sample.value))
            .collect()
    }

    /// The names of all families with series.
    pub(crate) fn families(&self) -> HashSet<&'static str> {
        let samples = self.samples.iter();
        samples.map(|sample| sample.family.name).collect()
    }

    /// The counters of all zones, by zone and series.
    pub(crate) fn zone_counters(&self) -> BTreeMap<(&str, String), f64> {
        let counters = self.samples.iter().filter(|sample| sample.only_grows());
        counters
            .filter_map(|sample| {
                let (_, zone) = sample.labels.iter().find(|(name, _)| name == "zone")?;
                let series = format!("{} {:?}", sample.name, sample.labels);
                Some(((zone.as_str(), series), sample.value))
            })
            .collect()
    }

    /// The mappings of each zone that was read, as address and region.
    pub(crate) fn mappings_by_zone(&self) -> BTreeMap<String, BTreeSet<String>> {
        let label = |sample: &Sample, name: &str| {
            let found = sample.labels.iter().find(|(label, _)| label == name);
            found.unwrap().1.clone()
        };
        let mut zones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for sample in self.find("zone_mappings", &[]) {
            zones.entry(label(sample, "zone")).or_default();
        }
        for sample in self.find("mapping_info", &[]) {
            let mapping = format!("{} {}", label(sample, "origin_ip"), label(sample, "region"));
            let zone = zones.entry(label(sample, "zone")).or_default();
            zone.insert(mapping);
        }
        zones
    }

    /// Panics if a counter is smaller than in an earlier scrape.
    pub(crate) fn assert_follows(&self, earlier: &Self) {
        let key = |sample: &Sample| (sample.name.clone(), sample.labels.clone());
        let now: BTreeMap<_, _> = self.samples.iter().map(|s| (key(s), s.value)).collect();
        let counters = earlier.samples.iter().filter(|s| s.only_grows());
        let both = counters.filter_map(|sample| Some((sample, now.get(&key(sample))?)));
        let both: Vec<_> = both.collect();
        let is_first = earlier.samples.is_empty();
        assert!(
            is_first || !both.is_empty(),
            "the scrapes have no counter in common"
        );
        for (sample, value) in both {
            let (name, labels, before) = (&sample.name, &sample.labels, sample.value);
            assert!(
                *value >= before,
                "{name} {labels:?}: {before}, then {value}"
            );
        }
    }
}

fn is_one(value: f64) -> bool {
    assert!(value == 0.0 || value == 1.0, "{value} is not 0 or 1");
    value == 1.0
}

impl Sample {
    fn parse(line: &str, family: &'static Family) -> Self {
        let end = line.find(['{', ' ']).unwrap();
        let (name, rest) = line.split_at(end);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest),
            None => (Vec::new(), rest),
        };
        let value: f64 = rest.strip_prefix(' ').unwrap().parse().unwrap();
        assert!(value.is_finite(), "{line}");
        let sample = Self {
            family,
            name: name.to_owned(),
            labels: labels.clone(),
            value,
        };
        let suffix = name.strip_prefix(family.name);
        let suffix = suffix.unwrap_or_else(|| panic!("{line} belongs to {}", family.name));
        match suffix {
            "" => assert_ne!(family.kind, Kind::Histogram, "{line}"),
            "_bucket" => assert_eq!(labels.pop().unwrap().0, "le", "{line}"),
            _ => assert!(["_sum", "_count"].contains(&suffix), "{line}"),
        }
        assert!(suffix.is_empty() || family.kind == Kind::Histogram);
        let mut names: Vec<_> = labels.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = family.labels.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "the labels of {line}");
        sample
    }

    fn is(&self, name: &str) -> bool {
        self.name == name || self.name.strip_prefix(PREFIX) == Some(name)
    }

    fn has(&self, (name, value): &(&str, &str)) -> bool {
        self.labels.iter().any(|(n, v)| n == name && v == value)
    }

    fn only_grows(&self) -> bool {
        self.family.kind != Kind::Gauge
    }
}

/// Parses labels, including the closing brace.
fn parse_labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut labels = Vec::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next().unwrap() {
                '"' => break,
                '\\' => value.push(match chars.next().unwrap() {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                c => value.push(c),
            }
        }
        labels.push((name.to_owned(), value));
        rest = chars.as_str();
        rest = match rest.strip_prefix(',') {
            Some(next) => next,
            None => return (labels, rest.strip_prefix('}').unwrap()),
        };
    }
}
