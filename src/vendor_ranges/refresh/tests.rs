use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::vendor_ranges::fetch::{BODY_TIMEOUT, FILE_TIMEOUT};

#[test]
fn failures_are_tried_again_with_doubling_waits_and_never_later_than_the_interval() {
    let day = Duration::from_hours(24);
    let minutes = Duration::from_mins;
    assert_eq!(next_wait(0, day), day);
    assert_eq!(next_wait(1, day), minutes(1));
    assert_eq!(next_wait(2, day), minutes(2));
    assert_eq!(next_wait(6, day), minutes(32));
    assert_eq!(next_wait(7, day), minutes(60));
    assert_eq!(next_wait(u32::MAX, day), minutes(60));
    assert_eq!(next_wait(1, Duration::from_secs(5)), Duration::from_secs(5));
}

proptest! {
    #[test]
    fn a_wait_is_never_longer_than_the_interval_nor_shorter_after_more_failures(
        failures: u32, refresh in 1_u64..10_000_000,
    ) {
        let refresh = Duration::from_secs(refresh);
        let wait = next_wait(failures, refresh);
        prop_assert!(wait <= refresh && wait >= FIRST_RETRY.min(refresh));
        prop_assert!(failures == 0 || wait <= LAST_RETRY);
        prop_assert!(failures == 0 || next_wait(failures.saturating_add(1), refresh) >= wait);
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_file_that_hangs_costs_one_thread_however_often_it_is_tried() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges/gcp.json");
    let settings = Settings {
        enabled: true,
        refresh: Duration::from_hours(24),
        sources: [(Format::Gcp.vendor(), RangeSource::File(file.into()))].into(),
    };
    let http = crate::http_client::client_builder(None).unwrap();
    let http = http.build().unwrap();
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let ranges = VendorRanges::new(&settings, http, &metrics);
    let feeds = &ranges.shared.feeds;
    let feed = feeds.iter().find(|feed| feed.format == Format::Gcp);
    let feed = feed.unwrap();
    let end = feed.local.lock().await.hang(Err(RangesError::NotAFile));
    for _ in 0..3 {
        tokio::join!(
            async { assert!(ranges.refresh(feed).await.is_err()) },
            tokio::time::advance(FILE_TIMEOUT)
        );
    }
    drop(end);
    feed.local.lock().await.ended().await;
    let up = || {
        let exposed = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
        let exposed = exposed.unwrap();
        let mut lines = exposed.lines();
        let up = "cloudflare_origin_region_vendor_ranges_up{vendor=\"gcp\"} ";
        lines
            .find_map(|line| line.strip_prefix(up))
            .map(str::to_owned)
    };
    assert_eq!(up().as_deref(), Some("0"));
    ranges.refresh(feed).await.unwrap();
    assert_eq!(up().as_deref(), Some("1"));
}

#[tokio::test]
async fn local_files_are_read_one_after_the_other() {
    let file = |vendor: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");
        RangeSource::File(format!("{folder}/{vendor}.json").into())
    };
    let settings = Settings {
        enabled: true,
        refresh: Duration::from_hours(24),
        sources: [
            (Format::Gcp.vendor(), file("gcp")),
            (Format::Oci.vendor(), file("oci")),
        ]
        .into(),
    };
    let http = crate::http_client::client_builder(None).unwrap();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let ranges = VendorRanges::new(&settings, http.build().unwrap(), &metrics);
    let feeds = &ranges.shared.feeds;
    let feed = |format| feeds.iter().find(|feed| feed.format == format).unwrap();
    let hangs = feed(Format::Gcp)
        .local
        .lock()
        .await
        .hang(Err(RangesError::NotAFile));
    let first = tokio::spawn({
        let (ranges, feed) = (ranges.clone(), Arc::clone(feed(Format::Gcp)));
        async move { ranges.refresh(&feed).await }
    });
    let held = async {
        while ranges.shared.local_turn.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(20), held).await;
    held.expect("a reading holds the turn");
    let mut second = tokio::spawn({
        let (ranges, feed) = (ranges.clone(), Arc::clone(feed(Format::Oci)));
        async move { ranges.refresh(&feed).await }
    });
    let short = Duration::from_millis(100);
    let early = tokio::time::timeout(short, &mut second).await;
    assert!(early.is_err(), "the second does not wait for the first");
    drop(hangs);
    assert!(first.await.unwrap().is_ok());
    assert!(second.await.unwrap().is_ok());
}

/// The address of a server that sends `file`, of which it announces `length` bytes, to each client.
async fn server(file: &'static [u8], length: usize) -> RangeSource {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _request = stream.read(&mut [0; 4096]).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(file).await.unwrap();
            open.push(stream);
        }
    });
    RangeSource::Url(format!("http://{address}/").parse().unwrap())
}

#[tokio::test]
async fn a_server_that_stalls_leaves_time_for_the_next_file() {
    let gcp = include_bytes!("../../../tests/data/ip-ranges/gcp.json");
    let oci = include_bytes!("../../../tests/data/ip-ranges/oci.json");
    let settings = Settings {
        enabled: true,
        refresh: Duration::from_hours(24),
        sources: [
            (Format::Gcp.vendor(), server(gcp, gcp.len() + 1).await),
            (Format::Oci.vendor(), server(oci, oci.len()).await),
        ]
        .into(),
    };
    let http = crate::http_client::client_builder(None).unwrap();
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let ranges = VendorRanges::new(&settings, http.build().unwrap(), &metrics);
    let refresh = |format| {
        let ranges = ranges.clone();
        let feeds = &ranges.shared.feeds;
        let feed = Arc::clone(feeds.iter().find(|feed| feed.format == format).unwrap());
        tokio::spawn(async move { ranges.refresh(&feed).await })
    };
    let stalled = refresh(Format::Gcp);
    let held = async {
        while ranges.shared.body_turn.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(Duration::from_secs(20), held).await;
    held.expect("the response that stalls holds the turn");
    let next = refresh(Format::Oci);
    tokio::time::pause();
    tokio::time::advance(BODY_TIMEOUT).await;
    tokio::time::resume();
    let problem = stalled.await.unwrap().unwrap_err();
    assert!(matches!(problem, RangesError::TooSlow(_)), "{problem}");
    assert!(next.await.unwrap().is_ok());
}

#[test]
fn a_file_that_shrinks_to_nothing_or_less_than_half_is_refused() {
    for (before, now, accepted) in [
        (0, 0, false),
        (0, 1, true),
        (50, 1, true),
        (50, 0, false),
        (100, 50, true),
        (100, 49, false),
        (13_000, 0, false),
        (13_000, 20_000, true),
    ] {
        assert_eq!(check_size(now, before).is_ok(), accepted, "{before} {now}");
    }
}
