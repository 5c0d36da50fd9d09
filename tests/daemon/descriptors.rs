//! Clients use up all file descriptors of the process.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::net::TcpStream;

use crate::support::{Api, Config, GOOD, world};

/// The number of free descriptors, and the number of clients that each need one.
const SPARE: u32 = 8;
const CLIENTS: usize = 100;

#[tokio::test]
async fn a_lack_of_file_descriptors_ends_neither_scrapes_nor_polls() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let pid = daemon.pid();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let most = u32::try_from(open).unwrap() + SPARE;
    let limit = Rlimit {
        current: Some(most.into()),
        // The process inherited this limit.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let process = Pid::from_raw(i32::try_from(pid).unwrap());
    let before = prlimit(process, Resource::Nofile, limit).unwrap();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(TcpStream::connect(daemon.address).await.unwrap());
    }
    let refused = [
        "level=warn",
        "cannot accept a connection; closing two idle ones and retrying",
        "error=\"Too many open files",
    ];
    daemon.until_logged(&refused).await;
    // The clients stay connected, but scrapes are answered and zones are polled.
    let scrape = daemon.until_polled_again(5.0).await;
    assert_eq!(
        (scrape.up(GOOD), scrape.sum("zone_poll_errors_total", &[])),
        (Some(true), 0.0)
    );
    // Two connections are closed for each one that fails, and a poll may have just ended.
    let nearly_all = f64::from(most - 4);
    daemon
        .until("nearly all descriptors are in use", |scrape| {
            let in_use = scrape.value("process_open_fds", &[]);
            in_use.is_some_and(|in_use| in_use >= nearly_all)
        })
        .await;
    assert_eq!(
        daemon.last().value("process_max_fds", &[]),
        Some(f64::from(most))
    );
    drop(clients);
    prlimit(process, Resource::Nofile, before).unwrap();
    daemon.until_polled_again(1.0).await;
    daemon.stop().await;
}
