//! Large expositions are rendered while they are sent.

use std::time::Duration;

use cloudflare_origin_region_exporter::findings::ZoneFindings;
use cloudflare_origin_region_exporter::snapshot::Directory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::support::*;
use crate::world;

/// More than the kernel buffers for a client with a small receive buffer that does not read.
const LARGE: usize = 12 << 20;

/// This many zones, with 400 kB of text each.
pub(crate) fn many_mappings(zones: usize, region: &str) -> Directory {
    let zones = (0..zones).map(|zone| {
        let ip = |n| format!("2001:db8:{zone:x}::{n:x}");
        let mappings = (0..2000).map(|n| world::mapping(&ip(n), "aws", region, ""));
        let id = format!("{zone:032x}");
        let name = format!("zone-{zone}-with-a-name-of-a-usual-length.example.com");
        let state = world::zone(&id, &name);
        world::read(state, mappings.collect(), ZoneFindings::default())
    });
    Directory {
        // Accounts contain the time of their last listing, which would differ between two
        // directories.
        accounts: Vec::new(),
        ..world::directory(zones.collect())
    }
}

fn in_pieces() -> Options {
    Options {
        whole_at_most: 1 << 20,
        ..Options::default()
    }
}

async fn start(options: Options) -> Server {
    let server = options.start().await;
    server.snapshot.publish(many_mappings(40, "us-east-1"));
    server
}

/// A connection with a small receive buffer.
async fn connect(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(server.addresses[0]).await.unwrap()
}

fn length(head: &str) -> usize {
    header(head, "content-length").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_long_text_is_as_long_as_announced_and_the_same_as_in_one_piece() {
    let server = start(in_pieces()).await;
    let mut stream = server.connect().await;
    let head = server
        .raw(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "a HEAD has no body");
    let whole = start(Options::default()).await;
    let (status, text) = whole.get("/metrics").await;
    assert_eq!(status, 200);
    // The connection is reused, so no bytes follow the announced length.
    for _ in 0..2 {
        stream.write_all(GET_METRICS).await.unwrap();
        let (get_head, body) = read_response(&mut stream).await;
        assert!(body.len() > LARGE, "{}", body.len());
        assert_eq!(length(&head), body.len());
        assert_eq!(header(&get_head, "transfer-encoding"), None);
        assert!(text.as_bytes() == body, "the texts differ");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_text_of_the_moment_at_which_it_asked() {
    let server = start(in_pieces()).await;
    let mut slow = connect(&server).await;
    slow.write_all(GET_METRICS).await.unwrap();
    let mut start = vec![0; 64 << 10];
    timeout(PATIENCE, slow.read_exact(&mut start))
        .await
        .unwrap()
        .unwrap();
    server.snapshot.publish(many_mappings(40, "eu-west-1"));
    // Scrapes within one second share a body.
    let asked = Instant::now();
    let is_new = |text: &str| text.contains("eu-west-1") && !text.contains("us-east-1");
    while !is_new(&server.get("/metrics").await.1) {
        assert!(asked.elapsed() < PATIENCE, "the change never shows");
        let mut more = vec![0; 16 << 10];
        slow.read_exact(&mut more).await.unwrap();
        start.extend(more);
    }
    while start.len() < LARGE {
        let mut more = vec![0; 1 << 20];
        slow.read_exact(&mut more).await.unwrap();
        start.extend(more);
        sleep(SHORT / 20).await;
    }
    let end = start.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&start[..end]).unwrap();
    let mut rest = vec![0; length(head) - (start.len() - end)];
    timeout(PATIENCE, slow.read_exact(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8([&start[end..], &rest].concat()).unwrap();
    assert!(text.contains("us-east-1") && !text.contains("eu-west-1"));
    assert!(text.contains("\nup 1\n"), "the end is missing");
}

#[tokio::test]
async fn a_client_that_does_not_read_a_long_text_is_cut_and_frees_its_place() {
    let mut options = in_pieces();
    options.limits.stall_timeout = Duration::from_secs(1);
    options.settings.max_requests = 1;
    let server = start(options).await;
    let mut lazy = connect(&server).await;
    lazy.write_all(GET_METRICS).await.unwrap();
    lazy.readable().await.unwrap();
    assert_eq!(server.get("/metrics").await.0, 503);
    let start = Instant::now();
    while server.get("/metrics").await.0 == 503 {
        assert!(start.elapsed() < PATIENCE, "the slot is never free again");
        sleep(SHORT / 10).await;
    }
    let received = read_all(&mut lazy).await.len();
    assert!(received < LARGE, "the response was cut");
}
