//! Linux: `/proc/self`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use procfs::FromRead as _;
use procfs::process::Stat;

use super::{Usage, f64_of};

/// The size of the buffer for `/proc/self/stat`, which is one line of 52 numbers and a short name.
const STAT_BYTES: usize = 4096;

/// Reads from files that stay open, so that a scrape opens no file descriptor. (Counting open
/// descriptors this way requires Linux 6.2.)
#[derive(Debug)]
pub(super) struct System {
    /// `None` if there is no `/proc`.
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    stat: File,
    descriptors: File,
    /// In Unix seconds.
    start_time: Option<f64>,
}

impl System {
    pub(super) fn open() -> Self {
        Self {
            files: Files::open().ok(),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let Some(files) = &self.files else {
            return Usage::default();
        };
        let stat = files.stat();
        let of_stat = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
        Usage {
            cpu: of_stat(|stat| f64_of(stat.utime + stat.stime) / ticks_per_second()),
            virtual_memory: of_stat(|stat| f64_of(stat.vsize)),
            resident_memory: of_stat(|stat| f64_of(stat.rss) * f64_of(procfs::page_size())),
            threads: of_stat(|stat| f64_of(stat.num_threads.unsigned_abs())),
            start_time: files.start_time,
            open_descriptors: files.open_descriptors().map(f64_of),
        }
    }
}

impl Files {
    fn open() -> io::Result<Self> {
        let mut files = Self {
            stat: File::open("/proc/self/stat")?,
            descriptors: File::open("/proc/self/fd")?,
            start_time: None,
        };
        if let (Some(stat), Ok(boot)) = (files.stat(), procfs::boot_time_secs()) {
            files.start_time = Some(f64_of(boot) + f64_of(stat.starttime) / ticks_per_second());
        }
        Ok(files)
    }

    fn stat(&self) -> Option<Stat> {
        let mut line = [0; STAT_BYTES];
        let length = self.stat.read_at(&mut line, 0).ok()?;
        Stat::from_read(line.get(..length)?).ok()
    }

    fn open_descriptors(&self) -> Option<u64> {
        // Since Linux 6.2 the size of the directory is the number of descriptors; before, it is 0.
        match self.descriptors.metadata().ok()?.len() {
            0 => {
                // Listing the directory opens one more descriptor.
                let listed = fs::read_dir("/proc/self/fd").ok()?.count();
                Some((listed as u64).saturating_sub(1))
            }
            size => Some(size),
        }
    }
}

fn ticks_per_second() -> f64 {
    f64_of(procfs::ticks_per_second())
}
