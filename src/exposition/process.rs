//! CPU, memory and file descriptors of this process, under the names that every Prometheus client
//! library uses.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod other;

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};
use rustix::process::{Resource, getrlimit};

#[cfg(target_os = "linux")]
use self::linux::System;
#[cfg(not(target_os = "linux"))]
use self::other::System;
use crate::metric_families::{self, Family, Kind};

/// Every family of the collector.
const FAMILIES: [&Family; 7] = [
    &metric_families::PROCESS_CPU,
    &metric_families::PROCESS_OPEN_FDS,
    &metric_families::PROCESS_MAX_FDS,
    &metric_families::PROCESS_VIRTUAL_MEMORY,
    &metric_families::PROCESS_RESIDENT_MEMORY,
    &metric_families::PROCESS_START_TIME,
    &metric_families::PROCESS_THREADS,
];

/// Resource usage of this process. Values that the system does not report are `None`.
#[derive(Debug, Default)]
struct Usage {
    /// User and system time, in seconds.
    cpu: Option<f64>,
    /// In bytes.
    virtual_memory: Option<f64>,
    /// In bytes.
    resident_memory: Option<f64>,
    threads: Option<f64>,
    /// In Unix seconds.
    start_time: Option<f64>,
    open_descriptors: Option<f64>,
}

/// Reads the usage of this process at each scrape. Unlike the `prometheus` crate's collector, it
/// reports CPU time with the precision of the kernel's tick, usually 10 ms, instead of whole
/// seconds.
#[derive(Debug)]
pub struct ProcessCollector {
    descs: Vec<Desc>,
    system: System,
}

impl ProcessCollector {
    /// A collector for this process.
    pub fn new() -> prometheus::Result<Self> {
        let desc = |family: &Family| {
            Desc::new(
                family.name.into(),
                family.help.into(),
                Vec::new(),
                HashMap::new(),
            )
        };
        Ok(Self {
            descs: FAMILIES.into_iter().map(desc).collect::<Result<_, _>>()?,
            system: System::open(),
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let usage = self.system.usage();
        let max_descriptors = getrlimit(Resource::Nofile).current.map(f64_of);
        let samples = [
            (&metric_families::PROCESS_CPU, usage.cpu),
            (
                &metric_families::PROCESS_VIRTUAL_MEMORY,
                usage.virtual_memory,
            ),
            (
                &metric_families::PROCESS_RESIDENT_MEMORY,
                usage.resident_memory,
            ),
            (&metric_families::PROCESS_THREADS, usage.threads),
            (&metric_families::PROCESS_START_TIME, usage.start_time),
            (&metric_families::PROCESS_OPEN_FDS, usage.open_descriptors),
            (&metric_families::PROCESS_MAX_FDS, max_descriptors),
        ];
        samples
            .into_iter()
            .filter_map(|(family, value)| Some(sample(family, value?)))
            .collect()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes, ticks and seconds stay far below 2^53"
)]
fn f64_of(value: u64) -> f64 {
    value as f64
}

fn sample(family: &Family, value: f64) -> MetricFamily {
    let mut metric = Metric::default();
    let kind = match family.kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
            MetricType::COUNTER
        }
        Kind::Gauge | Kind::Histogram => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
            MetricType::GAUGE
        }
    };
    let mut collected = MetricFamily::default();
    collected.set_name(family.name.into());
    collected.set_help(family.help.into());
    collected.set_field_type(kind);
    collected.set_metric(vec![metric]);
    collected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn every_family_is_collected_with_a_plausible_value() {
        let collected = ProcessCollector::new().unwrap().collect();
        for family in FAMILIES {
            let found = collected.iter().find(|found| found.name() == family.name);
            let metric = &found
                .unwrap_or_else(|| panic!("{}", family.name))
                .get_metric()[0];
            let value = match family.kind {
                Kind::Counter => metric.get_counter().get_value(),
                _ => metric.get_gauge().get_value(),
            };
            // A test may not have used a whole tick of CPU yet.
            assert!(
                value > 0.0 || family.kind == Kind::Counter,
                "{}",
                family.name
            );
        }
    }

    #[test]
    fn the_start_lies_between_the_boot_and_now() {
        let collected = ProcessCollector::new().unwrap().collect();
        let start = collected
            .iter()
            .find(|family| family.name() == metric_families::PROCESS_START_TIME.name)
            .map(|family| family.get_metric()[0].get_gauge().get_value())
            .unwrap();
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        assert!(start <= now + 1.0 && start > now - 3600.0, "{start} {now}");
    }

    #[test]
    fn cpu_time_is_finer_than_a_second() {
        let cpu = || {
            let collected = ProcessCollector::new().unwrap().collect();
            assert_eq!(collected[0].name(), metric_families::PROCESS_CPU.name);
            collected[0].get_metric()[0].get_counter().get_value()
        };
        let before = cpu();
        let started = std::time::Instant::now();
        while cpu() <= before {
            assert!(started.elapsed().as_secs() < 20, "it never grows");
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        assert!(cpu() - before < 0.5);
    }
}
