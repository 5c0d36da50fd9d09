//! Systems other than Linux: what every Unix reports the same way. Memory and threads are not among
//! it.

use std::fs;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::{Usage, f64_of};

/// Lists the open descriptors of the process that reads it.
const DESCRIPTORS: &str = "/dev/fd";

/// Remembers when it was created, which is when the process starts.
#[derive(Debug)]
pub(super) struct System {
    start_time: f64,
}

impl System {
    pub(super) fn open() -> Self {
        Self {
            start_time: Timestamp::now().as_duration().as_secs_f64(),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            cpu: Some(cpu_seconds()),
            start_time: Some(self.start_time),
            open_descriptors: open_descriptors().map(f64_of),
            ..Usage::default()
        }
    }
}

fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    f64_of(used.tv_sec.unsigned_abs()) + f64_of(used.tv_nsec.unsigned_abs()) / 1e9
}

fn open_descriptors() -> Option<u64> {
    // Listing the directory opens one more descriptor.
    let listed = fs::read_dir(DESCRIPTORS).ok()?.count();
    Some((listed as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_every_unix_reports_is_there() {
        let usage = System::open().usage();
        let now = Timestamp::now().as_duration().as_secs_f64();
        let start = usage.start_time.unwrap();
        assert!(start <= now && start > now - 60.0, "{start} {now}");
        assert!(usage.cpu.unwrap() > 0.0);
        assert!(usage.resident_memory.is_none() && usage.threads.is_none());
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_seconds();
        while cpu_seconds() < before + 0.01 {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
    }

    #[test]
    fn open_files_are_counted() {
        // More than other tests of this process open and close meanwhile.
        const MORE: usize = 100;
        let before = open_descriptors().unwrap();
        let held: Vec<_> = (0..MORE)
            .map(|_| File::open("/dev/null").unwrap())
            .collect();
        let during = open_descriptors().unwrap();
        assert!(during >= before + 50, "{before} {during} {}", held.len());
    }
}
