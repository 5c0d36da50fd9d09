//! OpenMetrics by content negotiation.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{Api, Config, Daemon, PATIENCE, world};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type and body of a scrape with this `Accept` header.
async fn scrape(daemon: &Daemon, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(daemon.address).await.unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let content_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap();
    (content_type.to_owned(), body.to_owned())
}

/// Each sample without its value, written as in the text format.
fn samples(body: &str) -> Vec<String> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap().0.replace(".0\"", "\""))
        .collect()
}

/// The names in metadata lines of this kind.
fn names<'a>(body: &'a str, kind: &str) -> Vec<&'a str> {
    body.lines()
        .filter_map(|line| line.strip_prefix(kind))
        .map(|rest| rest.split(' ').next().unwrap())
        .collect()
}

async fn daemon() -> (Api, Daemon) {
    let api = Api::start(world()).await;
    // No poll happens between two scrapes.
    let mut daemon = api.daemon(&Config::polling("interval: 1h")).await;
    daemon.until_read().await;
    daemon.until_ready().await;
    // The series about requests to the exporter exist from the first request on.
    scrape(&daemon, "*/*").await;
    (api, daemon)
}

#[tokio::test]
async fn it_has_the_samples_of_the_text_format() {
    let (_api, daemon) = daemon().await;
    let start = Instant::now();
    // The first scrapes may create series, so compare only scrapes with the same ones.
    let (text, openmetrics) = loop {
        let (content_type, text) = scrape(&daemon, "text/plain").await;
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        let (content_type, openmetrics) = scrape(&daemon, OPENMETRICS).await;
        assert_eq!(content_type, OPENMETRICS);
        if samples(&openmetrics) == samples(&text) {
            break (text, openmetrics);
        }
        assert!(start.elapsed() < PATIENCE, "{text}\n{openmetrics}");
    };
    assert!(openmetrics.ends_with("\n# EOF\n") && !text.contains("# EOF"));
    for kind in ["# HELP ", "# TYPE "] {
        let expected = names(&text, kind);
        let expected = expected
            .iter()
            .map(|name| name.strip_suffix("_total").unwrap_or(name));
        assert!(names(&openmetrics, kind).into_iter().eq(expected));
    }
    assert!(openmetrics.contains("_bucket{account=\"main\",operation=\"list_zones\",le=\"1.0\"}"));
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "needs EXPORTER_PYTHON, the interpreter that scripts/python-env prints"]
async fn the_reference_parser_reads_it() {
    let python = std::env::var("EXPORTER_PYTHON")
        .expect("EXPORTER_PYTHON is the interpreter that scripts/python-env prints");
    let (_api, daemon) = daemon().await;
    let (_, openmetrics) = scrape(&daemon, OPENMETRICS).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/openmetrics.py");
    let mut parser = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = parser.stdin.take().unwrap();
    input.write_all(openmetrics.as_bytes()).await.unwrap();
    drop(input);
    let output = parser.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read: usize = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    assert_eq!(read, samples(&openmetrics).len());
    daemon.stop().await;
}
