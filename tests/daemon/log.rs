//! A log that is not read.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep, timeout};

use crate::scrape::Scrape;
use crate::support::{Api, Config, GOOD, PATIENCE, get, program, world};

/// The shutdown waits at most 1 s for the log, plus some time for the tasks.
const END_LIMIT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_polls_nor_the_end() {
    let api = Api::start(world()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = Config::polling("interval: 100ms").text(&api.simulator.base_url());
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let arguments = [
        "--config.file=config.yaml",
        "--web.listen-address=127.0.0.1:0",
        "--log.level=trace",
    ];
    let mut daemon = program(folder.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let address = loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
        let line = line.unwrap().unwrap();
        if let Some((_, address)) = line.split_once("listening address=") {
            break address.trim().parse().unwrap();
        }
    };
    // Nothing reads the log from here on. A pipe holds 64 KiB, and the queue a few thousand lines.
    let scrape = async || Scrape::parse(&get(address, "/metrics").await.1);
    let dropped = "exporter_log_lines_dropped_total";
    let start = Instant::now();
    let full = loop {
        // At this level, every scrape adds lines to the log.
        let seen = scrape().await;
        if seen.sum(dropped, &[]) > 0.0 {
            break seen;
        }
        assert!(start.elapsed() < 3 * PATIENCE, "no line was dropped");
    };
    let enough = full.polls(GOOD) + 3.0;
    let start = Instant::now();
    while scrape().await.polls(GOOD) < enough {
        assert!(start.elapsed() < PATIENCE, "the polls have stopped");
        sleep(Duration::from_millis(50)).await;
    }
    let pid = daemon.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").arg(pid).status();
    assert!(sent.unwrap().success());
    let ended = timeout(END_LIMIT, daemon.wait()).await;
    assert_eq!(ended.expect("the program exits").unwrap().code(), Some(0));
}
