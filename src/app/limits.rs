//! Checks the limits that the operating system sets for the process.

use std::thread;

use rustix::process::{Resource, getrlimit};

/// The open files that the process needs: listeners, connections to the API and scrapers, and
/// files.
const MIN_OPEN_FILES: u64 = 64;
/// Threads besides the runtime's workers: the log, name lookups, file reads, rendering.
const OTHER_THREADS: usize = 4;

/// Fails if the limits on open files or threads are too low.
pub(super) fn check(workers: usize) -> Result<(), String> {
    if let Some(limit) = getrlimit(Resource::Nofile).current
        && limit < MIN_OPEN_FILES
    {
        return Err(format!(
            "the limit on open files is {limit}, at least {MIN_OPEN_FILES} are needed; raise it \
             (ulimit -n, LimitNOFILE=)"
        ));
    }
    check_threads(workers + OTHER_THREADS)
}

/// Starts this many threads at once, because the runtime panics if it cannot start one.
fn check_threads(count: usize) -> Result<(), String> {
    let started = (1..=count).map(|number| {
        let thread = thread::Builder::new().spawn(thread::park);
        thread.map_err(|error| {
            format!(
                "cannot start thread {number} of {count}: {error}; raise the limit on processes \
                 and threads (ulimit -u, LimitNPROC=, TasksMax=)"
            )
        })
    });
    for thread in started.collect::<Result<Vec<_>, _>>()? {
        thread.thread().unpark();
        // It only waited, so it cannot have panicked.
        drop(thread.join());
    }
    Ok(())
}
