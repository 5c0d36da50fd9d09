//! Every metric family of the program: name, type, labels and HELP, written once.
//!
//! Metrics are registered and expositions are rendered from this table, and a test compares it with
//! `docs/metrics.md`.

mod table;

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

pub use self::table::*;
use crate::words::words;

words! {
    /// The type of a family, as in the `# TYPE` line of the text format.
    pub enum Kind {
        /// Only increases, except across restarts.
        Counter = "counter",
        /// Goes up and down.
        Gauge = "gauge",
        /// Observations in buckets.
        Histogram = "histogram",
    }
}

/// A metric family: one name, one type, one set of label names.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The full name.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The label names in the order of rendering, without the `le` of a histogram.
    pub labels: &'static [&'static str],
    /// The text of the `# HELP` line.
    pub help: &'static str,
}

/// A group of families in the documentation.
#[derive(Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The families, in the order of the documentation.
    pub families: &'static [Family],
}

/// Every family.
pub fn all() -> impl Iterator<Item = &'static Family> {
    SECTIONS.iter().flat_map(|section| section.families)
}

/// A metric type of the `prometheus` crate that can be created for a family.
pub trait FromFamily: Sized {
    /// Creates the metric, without registering it. Fails only for an invalid name or label, which
    /// is a defect of the table.
    fn from_family(family: &Family) -> prometheus::Result<Self>;
}

macro_rules! from_family {
    ($($single:ty),*; $($vector:ty),*) => {
        $(impl FromFamily for $single {
            fn from_family(family: &Family) -> prometheus::Result<Self> {
                Self::with_opts(family.opts())
            }
        })*
        $(impl FromFamily for $vector {
            fn from_family(family: &Family) -> prometheus::Result<Self> {
                Self::new(family.opts(), family.labels)
            }
        })*
    };
}

from_family!(Gauge, IntGauge, IntCounter; GaugeVec, IntGaugeVec, IntCounterVec);

impl Family {
    /// Creates the metric of this family and registers it. Fails if the registry already has a
    /// family of this name.
    pub fn register<M>(&self, registry: &Registry) -> prometheus::Result<M>
    where
        M: FromFamily + Collector + Clone + 'static,
    {
        let metric = M::from_family(self)?;
        registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// Like [`Family::register`], for a histogram.
    pub fn register_histogram(
        &self,
        registry: &Registry,
        buckets: &[f64],
    ) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(self.opts()).buckets(buckets.to_vec());
        let histogram = HistogramVec::new(opts, self.labels)?;
        registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    /// The options and the variable labels for the series of one account.
    pub fn of_account(&self, account: &str) -> (Opts, Vec<&'static str>) {
        let labels = self.labels.iter().copied();
        let labels = labels.filter(|label| *label != "account");
        (
            self.opts().const_label("account", account),
            labels.collect(),
        )
    }

    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_used_once_and_says_its_type() {
        let mut names = HashSet::new();
        for family in all() {
            assert!(names.insert(family.name), "{} is listed twice", family.name);
            assert_eq!(
                family.name.ends_with("_total"),
                family.kind == Kind::Counter,
                "{}",
                family.name
            );
            assert!(family.help.ends_with('.'), "{}", family.name);
            // So neither format needs an escape.
            assert!(!family.help.contains(['"', '\\', '\n']), "{}", family.name);
            let distinct: HashSet<_> = family.labels.iter().collect();
            assert_eq!(distinct.len(), family.labels.len(), "{}", family.name);
        }
    }

    #[test]
    fn what_names_a_zone_names_its_identifier_too() {
        for family in all().filter(|family| family.labels.contains(&"zone")) {
            assert_eq!(family.labels.get(..2), Some(&["zone", "zone_id"][..]));
        }
    }
}
