//! The range files of the vendors: not loaded, replaced, and broken.

use std::fmt::Write as _;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloudflare_origin_region_exporter::simulator::{Simulator, StaticFile, demo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{Exporter, Exposition, PATIENCE, simulate, world};

/// The response of the source for AWS.
#[derive(Clone)]
enum Answer {
    Status(&'static str, Vec<u8>),
    /// A body that never ends, at moderate speed.
    Endless,
    Hang,
}

fn json(text: &str) -> Answer {
    Answer::Status("200 OK", text.as_bytes().to_vec())
}

/// A source with changing responses.
#[derive(Clone)]
struct Source {
    url: String,
    state: Arc<Mutex<(Answer, usize)>>,
}

impl Source {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/aws.json", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((answer, 0)));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = {
                    let mut state = shared.lock().unwrap();
                    state.1 += 1;
                    state.0.clone()
                };
                open.spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    match answer {
                        Answer::Hang => std::future::pending::<()>().await,
                        Answer::Status(status, body) => {
                            let head = format!(
                                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                                body.len()
                            );
                            let _ = stream.write_all(head.as_bytes()).await;
                            let _ = stream.write_all(&body).await;
                        }
                        Answer::Endless => {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await;
                            while stream.write_all(&[b' '; 1 << 13]).await.is_ok() {}
                        }
                    }
                });
            }
        });
        Self { url, state }
    }

    fn answer(&self, answer: Answer) {
        *self.state.lock().unwrap() = (answer, 0);
    }

    /// Waits for this many requests since the last change.
    async fn asked(&self, times: usize) {
        let requests = async {
            while self.state.lock().unwrap().1 < times {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, requests).await.expect("requests in time");
    }
}

/// The simulation serves the files of the other three vendors.
fn configuration(api: &Simulator, aws: &str) -> String {
    let mut more = "expect: { from_dns: true }\n\
                    verify:\n\
                    \x20 vendor_ranges:\n\
                    \x20   enabled: true\n\
                    \x20   refresh: 200ms\n\
                    \x20   sources:\n"
        .to_owned();
    for file in demo::range_files() {
        let url = match file.vendor {
            "aws" => aws.to_owned(),
            _ => api.file_url(file.path),
        };
        writeln!(more, "      {}: {url}", file.vendor).unwrap();
    }
    more
}

fn serve_files(api: &Simulator) {
    for file in demo::range_files() {
        let served = StaticFile {
            content_type: "application/json".to_owned(),
            body: Bytes::from_static(file.json.as_bytes()),
            etag: Some(format!("\"{}\"", file.vendor)),
        };
        api.update(|world| world.files.insert(file.path.to_owned(), served));
    }
}

/// The log line if the file of a vendor is rejected.
const NOT_TAKEN: [&str; 3] = ["level=warn", "cannot refresh", "vendor=aws "];
const KEPT: &str = "the last good ones stay in use";

fn up(seen: &Exposition) -> Option<f64> {
    seen.value("vendor_ranges_up", &[("vendor", "aws")])
}

/// How often the log reported that the last good table stays in use.
fn not_taken(exporter: &Exporter) -> usize {
    let words = [&NOT_TAKEN[..], &[KEPT, "error="]].concat();
    exporter.log_lines(&words).len()
}

fn missing(seen: &Exposition) -> Option<f64> {
    seen.of("a.test", "missing_mappings")
}

async fn zone_with_a_record() -> (Simulator, tokio_util::sync::DropGuard) {
    let mut world = world().zone("a.test", [("34.68.100.1", "gcp", "europe-west1")]);
    let zone = world.zone_mut("a.test");
    zone.record("A", "www.a.test", "3.80.2.1", true);
    let (api, guard) = simulate(world).await;
    serve_files(&api);
    (api, guard)
}

/// An AWS file with this many prefixes, including 3.80.2.0/24.
fn aws(prefixes: usize, region: &str) -> Answer {
    let mut rows = vec![format!(
        r#"{{"ip_prefix":"3.80.2.0/24","region":"{region}","service":"AMAZON"}}"#
    )];
    rows.extend((1..prefixes).map(|number| {
        let (high, low) = (number / 256, number % 256);
        format!(r#"{{"ip_prefix":"100.{high}.{low}.0/24","region":"{region}","service":"AMAZON"}}"#)
    }));
    json(&format!(
        r#"{{"syncToken":"1788220800","createDate":"2026-09-01-00-00-00","prefixes":[{}],"ipv6_prefixes":[]}}"#,
        rows.join(",")
    ))
}

#[tokio::test]
async fn while_a_vendors_ranges_were_never_loaded_dns_is_not_judged() {
    let (api, _guard) = zone_with_a_record().await;
    let source = Source::start(Answer::Hang).await;
    let exporter = Exporter::start(&api, &configuration(&api, &source.url)).await;
    let seen = exporter
        .until("the ranges of another vendor", |seen| {
            seen.value("vendor_ranges_up", &[("vendor", "gcp")]) == Some(1.0)
                && seen.of("a.test", "zone_up") == Some(1.0)
        })
        .await;
    assert_eq!(exporter.get("/-/ready").await.0, 200);
    assert_eq!(up(&seen), Some(0.0));
    assert_eq!(
        seen.value("vendor_ranges_prefixes", &[("vendor", "aws")]),
        None
    );
    exporter.polls(3).await;
    let seen = exporter.scrape().await;
    assert_eq!(missing(&seen), None);
    assert_eq!(seen.rows("expected_origins", &["source"]), [""; 0]);
    // Mappings are still checked with the loaded files.
    let wrong = ["origin_ip", "expected_region", "check"];
    assert_eq!(
        seen.rows("wrong_mapping", &wrong),
        ["34.68.100.1 us-central1 vendor_ranges"]
    );
    drop(exporter);

    // A bad response is retried. After a good one, origins from DNS are checked.
    source.answer(Answer::Status("500 Oops", Vec::new()));
    let exporter = Exporter::start(&api, &configuration(&api, &source.url)).await;
    source.asked(2).await;
    assert_eq!(missing(&exporter.scrape().await), None);
    exporter
        .logs(&[&NOT_TAKEN[..], &["there are none yet", "error=\"", "500"]].concat())
        .await;
    source.answer(aws(10, "us-east-1"));
    let seen = exporter
        .until("the missing origin", |seen| missing(seen) == Some(1.0))
        .await;
    assert_eq!(
        seen.rows("missing_mapping", &["expected_vendor", "expected_region"]),
        ["aws us-east-1"]
    );
}

#[tokio::test]
async fn the_last_good_table_stays_whatever_the_source_answers_later() {
    let (api, _guard) = zone_with_a_record().await;
    let source = Source::start(aws(400, "us-east-1")).await;
    let exporter = Exporter::start(&api, &configuration(&api, &source.url)).await;
    let good = exporter
        .until("the missing origin", |seen| missing(seen) == Some(1.0))
        .await;
    let published = [("vendor", "aws")];
    let published = good.value("vendor_ranges_published_timestamp_seconds", &published);
    assert_eq!(published, Some(1_788_220_800.0));
    let azure = [("vendor", "azure")];
    let azure = good.value("vendor_ranges_published_timestamp_seconds", &azure);
    assert_eq!(azure, None);
    let mut failures = 0;
    let html = b"<!DOCTYPE html><html><body>Please sign in</body></html>".to_vec();
    let bad = [
        ("HTML", Answer::Status("200 OK", html)),
        ("an error", Answer::Status("503 Busy", b"busy".to_vec())),
        ("nothing", json("")),
        ("no prefixes", json(r#"{"prefixes":[],"ipv6_prefixes":[]}"#)),
        ("fewer", aws(3, "eu-west-1")),
        ("too much", Answer::Endless),
    ];
    for (what, answer) in bad {
        source.answer(answer);
        let seen = exporter.until(what, |seen| up(seen) == Some(0.0)).await;
        let labels = [("vendor", "aws")];
        assert_eq!(
            seen.value("vendor_ranges_prefixes", &labels),
            Some(400.0),
            "{what}"
        );
        let age = "vendor_ranges_last_success_timestamp_seconds";
        let last = seen.value(age, &labels).unwrap();
        sleep(Duration::from_millis(300)).await;
        let seen = exporter.scrape().await;
        assert_eq!(
            seen.value(age, &labels),
            Some(last),
            "{what}: the age shows"
        );
        let logged = not_taken(&exporter);
        assert!(logged > failures, "{what}");
        failures = logged;
        assert_eq!(missing(&seen), Some(1.0), "{what}");
        assert_eq!(
            seen.rows("missing_mapping", &["expected_region"]),
            ["us-east-1"]
        );
        source.answer(aws(400, "us-east-1"));
        exporter
            .until("a successful refresh", |seen| up(seen) == Some(1.0))
            .await;
    }
    // A newer file replaces the old one, and the findings change accordingly.
    source.answer(aws(500, "eu-west-1"));
    exporter
        .until("the new region", |seen| {
            seen.rows("missing_mapping", &["expected_region"]) == ["eu-west-1"]
        })
        .await;
    // A source that hangs changes nothing either.
    source.answer(Answer::Hang);
    source.asked(1).await;
    exporter.polls(2).await;
    let seen = exporter.scrape().await;
    assert_eq!(missing(&seen), Some(1.0));
    assert_eq!(
        seen.value("vendor_ranges_prefixes", &[("vendor", "aws")]),
        Some(500.0)
    );
}

#[tokio::test]
async fn the_last_good_table_stays_when_a_local_file_goes_or_breaks() {
    let (api, _guard) = zone_with_a_record().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aws.json");
    let Answer::Status(_, good) = aws(400, "us-east-1") else {
        panic!("a file");
    };
    fs::write(&file, &good).unwrap();
    let exporter = Exporter::start(&api, &configuration(&api, file.to_str().unwrap())).await;
    exporter
        .until("the missing origin", |seen| missing(seen) == Some(1.0))
        .await;
    let breaks: [(&str, &dyn Fn()); 4] = [
        ("it is gone", &|| ()),
        ("garbage", &|| fs::write(&file, [0xff; 100]).unwrap()),
        ("half of it", &|| {
            fs::write(&file, &good[..good.len() / 2]).unwrap();
        }),
        ("a folder", &|| fs::create_dir(&file).unwrap()),
    ];
    for (what, break_it) in breaks {
        let before = not_taken(&exporter);
        fs::remove_file(&file).unwrap();
        break_it();
        let seen = exporter.until(what, |seen| up(seen) == Some(0.0)).await;
        assert_eq!(missing(&seen), Some(1.0), "{what}");
        let prefixes = seen.value("vendor_ranges_prefixes", &[("vendor", "aws")]);
        assert_eq!(prefixes, Some(400.0), "{what}");
        exporter.polls(1).await;
        assert!(not_taken(&exporter) > before, "{what}");
        if file.is_dir() {
            fs::remove_dir(&file).unwrap();
        }
        fs::write(&file, &good).unwrap();
        exporter
            .until("a successful refresh", |seen| up(seen) == Some(1.0))
            .await;
    }
}
