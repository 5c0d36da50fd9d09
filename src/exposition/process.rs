//! CPU, memory and file descriptors of this process, under the names that every Prometheus client
//! library uses.

use std::collections::HashMap;

use procfs::process::{LimitValue, Process};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

use super::families::{self, Family, Kind};

/// Every family of the collector.
const FAMILIES: [&Family; 7] = [
    &families::PROCESS_CPU,
    &families::PROCESS_OPEN_FDS,
    &families::PROCESS_MAX_FDS,
    &families::PROCESS_VIRTUAL_MEMORY,
    &families::PROCESS_RESIDENT_MEMORY,
    &families::PROCESS_START_TIME,
    &families::PROCESS_THREADS,
];

/// Reads `/proc/self` at each scrape. Unlike the `prometheus` crate's own collector it tells CPU
/// time to the kernel's tick, 10 ms as a rule, where that one counts whole seconds.
#[derive(Debug)]
pub struct ProcessCollector {
    descs: Vec<Desc>,
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
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    /// What can be read; a family that cannot be is left out.
    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(process) = Process::myself() else {
            return Vec::new();
        };
        let mut collected = Vec::new();
        if let Ok(stat) = process.stat() {
            let ticks = f64_of(procfs::ticks_per_second());
            let memory = f64_of(stat.rss) * f64_of(procfs::page_size());
            collected.extend([
                sample(
                    &families::PROCESS_CPU,
                    f64_of(stat.utime + stat.stime) / ticks,
                ),
                sample(&families::PROCESS_VIRTUAL_MEMORY, f64_of(stat.vsize)),
                sample(&families::PROCESS_RESIDENT_MEMORY, memory),
                sample(
                    &families::PROCESS_THREADS,
                    f64_of(stat.num_threads.unsigned_abs()),
                ),
            ]);
            if let Ok(boot) = procfs::boot_time_secs() {
                let start = f64_of(boot) + f64_of(stat.starttime) / ticks;
                collected.push(sample(&families::PROCESS_START_TIME, start));
            }
        }
        if let Ok(count) = process.fd_count() {
            collected.push(sample(&families::PROCESS_OPEN_FDS, f64_of(count as u64)));
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(max) = limits.max_open_files.soft_limit
        {
            collected.push(sample(&families::PROCESS_MAX_FDS, f64_of(max)));
        }
        collected
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
            // A test may have used no whole tick of CPU yet.
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
            .find(|family| family.name() == families::PROCESS_START_TIME.name)
            .map(|family| family.get_metric()[0].get_gauge().get_value())
            .unwrap();
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        assert!(start <= now + 1.0 && start > now - 3600.0, "{start} {now}");
    }

    #[test]
    fn cpu_time_is_told_finer_than_a_second() {
        let cpu = || {
            let collected = ProcessCollector::new().unwrap().collect();
            collected[0].get_metric()[0].get_counter().get_value()
        };
        let before = cpu();
        while cpu() <= before {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        assert!(cpu() - before < 0.5);
    }
}
