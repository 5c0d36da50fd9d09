//! Probes with the real program and the simulated API of the demo.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The time limit of every wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// Starts the demo on a free port. Returns it with its address. It is killed on drop.
async fn demo() -> (Child, String) {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"))
        .args(["demo", "--web.listen-address", "127.0.0.1:0"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap();
        let line = line.expect("the demo prints its address");
        if let Some((_, address)) = line.split_once("page     http://") {
            return (demo, address.trim_end_matches('/').to_owned());
        }
    }
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[tokio::test]
async fn a_probe_asks_the_api_and_is_counted() {
    timeout(PATIENCE, async {
        let (_demo, address) = demo().await;
        while get(&address, "/-/ready").await.0 != 200 {
            sleep(Duration::from_millis(50)).await;
        }

        let mapped = "/probe?zone=Example.com&target=%3A%3Affff%3A3.80.2.10";
        let (status, body) = get(&address, mapped).await;
        assert_eq!(status, 200);
        let place = "probe_mapping_info{origin_ip=\"3.80.2.10\",region=\"us-east-1\",\
                     vendor=\"aws\"} 1\n";
        assert!(body.contains("\nprobe_success 1\n"), "{body}");
        assert!(body.contains("\nprobe_mapping_present 1\n"), "{body}");
        assert!(body.contains(place), "{body}");

        let (status, body) = get(&address, "/probe?zone=example.com&target=192.0.2.254").await;
        assert_eq!(status, 200);
        assert!(body.contains("\nprobe_success 1\n"), "{body}");
        assert!(body.contains("\nprobe_mapping_present 0\n"), "{body}");

        let (status, _) = get(&address, "/probe?zone=example.net&target=192.0.2.1").await;
        assert_eq!(status, 400);

        let (_, metrics) = get(&address, "/metrics").await;
        let requests = "cloudflare_origin_region_exporter_api_requests_total{account=\"demo\",\
                        code=\"200\",operation=\"get_mapping\"} 1\n";
        assert!(metrics.contains(requests), "{metrics}");
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn probes_that_fail_do_not_flood_the_log() {
    timeout(PATIENCE, async {
        let (mut demo, address) = demo().await;
        while get(&address, "/-/ready").await.0 != 200 {
            sleep(Duration::from_millis(50)).await;
        }
        let failed = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (address, failed) = (address.clone(), Arc::clone(&failed));
            clients.spawn(async move {
                // More failures than a tenth of the budget. Beyond that, probes wait until they
                // time out.
                while failed.load(Ordering::Relaxed) < 50 {
                    let mut stream = TcpStream::connect(&address).await.unwrap();
                    let request = "GET /probe?zone=example.com&target=192.0.2.254 HTTP/1.1\r\n\
                        Host: x\r\nConnection: close\r\n\
                        X-Prometheus-Scrape-Timeout-Seconds: 0.1\r\n\r\n";
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await.unwrap();
                    let is_failed = answer.contains("\nprobe_success 0\n");
                    failed.fetch_add(usize::from(is_failed), Ordering::Relaxed);
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        demo.start_kill().unwrap();
        let mut log = String::new();
        let mut stderr = demo.stderr.take().unwrap();
        stderr.read_to_string(&mut log).await.unwrap();
        let lines = log.matches("probe failed").count();
        assert!((1..=6).contains(&lines), "{lines} lines: {log}");
    })
    .await
    .unwrap();
}
