//! CPU, memory and file descriptors of this process, under the names that every Prometheus client
//! library uses.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use procfs::FromRead as _;
use procfs::process::Stat;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};
use rustix::process::{Resource, getrlimit};

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

/// `/proc/self/stat` is one line of 52 numbers and a short name.
const STAT_BYTES: usize = 4096;

/// Reads `/proc/self` at each scrape, from files that stay open: a scrape that tells that no file
/// descriptor is left needs none itself (for the number of open ones, from Linux 6.2 on). Unlike
/// the `prometheus` crate's own collector it tells CPU time to the kernel's tick, 10 ms as a rule,
/// where that one counts whole seconds.
#[derive(Debug)]
pub struct ProcessCollector {
    descs: Vec<Desc>,
    /// `None` where there is no `/proc`.
    files: Option<Files>,
}

/// This process's files under `/proc`, and what never changes.
#[derive(Debug)]
struct Files {
    stat: File,
    descriptors: File,
    /// In Unix seconds.
    start: Option<f64>,
}

impl Files {
    fn open() -> io::Result<Self> {
        let mut files = Self {
            stat: File::open("/proc/self/stat")?,
            descriptors: File::open("/proc/self/fd")?,
            start: None,
        };
        if let (Some(stat), Ok(boot)) = (files.stat(), procfs::boot_time_secs()) {
            let ticks = f64_of(procfs::ticks_per_second());
            files.start = Some(f64_of(boot) + f64_of(stat.starttime) / ticks);
        }
        Ok(files)
    }

    fn stat(&self) -> Option<Stat> {
        let mut line = [0; STAT_BYTES];
        let length = self.stat.read_at(&mut line, 0).ok()?;
        Stat::from_read(line.get(..length)?).ok()
    }

    /// How many descriptors are open.
    fn open_descriptors(&self) -> Option<u64> {
        // The size of the folder is their number from Linux 6.2 on, and 0 before.
        match self.descriptors.metadata().ok()?.len() {
            0 => {
                // Listing them takes one more.
                let listed = fs::read_dir("/proc/self/fd").ok()?.count();
                Some((listed as u64).saturating_sub(1))
            }
            size => Some(size),
        }
    }
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
            files: Files::open().ok(),
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    /// What can be read; a family that cannot be is left out.
    fn collect(&self) -> Vec<MetricFamily> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let mut collected = Vec::new();
        if let Some(stat) = files.stat() {
            let ticks = f64_of(procfs::ticks_per_second());
            let memory = f64_of(stat.rss) * f64_of(procfs::page_size());
            collected.extend([
                sample(
                    &metric_families::PROCESS_CPU,
                    f64_of(stat.utime + stat.stime) / ticks,
                ),
                sample(&metric_families::PROCESS_VIRTUAL_MEMORY, f64_of(stat.vsize)),
                sample(&metric_families::PROCESS_RESIDENT_MEMORY, memory),
                sample(
                    &metric_families::PROCESS_THREADS,
                    f64_of(stat.num_threads.unsigned_abs()),
                ),
            ]);
        }
        if let Some(start) = files.start {
            collected.push(sample(&metric_families::PROCESS_START_TIME, start));
        }
        if let Some(open) = files.open_descriptors() {
            collected.push(sample(&metric_families::PROCESS_OPEN_FDS, f64_of(open)));
        }
        if let Some(max) = getrlimit(Resource::Nofile).current {
            collected.push(sample(&metric_families::PROCESS_MAX_FDS, f64_of(max)));
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
            .find(|family| family.name() == metric_families::PROCESS_START_TIME.name)
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
