//! Sharing of bodies, and recovery from failures.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::{Body, Form, Prepared, Rendered, Settings};
use super::{SETTINGS, data, directory, discovered, exposition, mapping, polled, time};
use crate::findings::ZoneFindings;

fn zones(names: &[&str]) -> crate::snapshot::Directory {
    directory(names.iter().map(|name| discovered(name, name)).collect())
}

fn rendered(bytes: impl Into<Bytes>) -> Rendered {
    Rendered {
        body: bytes.into().into(),
        as_of: Instant::now(),
    }
}

#[tokio::test]
async fn a_body_is_shared_within_its_window_by_scrapes_of_its_encoding() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    let later = Instant::now() + Duration::from_hours(1);
    let bodies = &exposition.shared.bodies;
    bodies.share_until(Form::TEXT, rendered("shared"), later);
    let text = exposition
        .render(Form::TEXT)
        .await
        .unwrap()
        .body
        .into_bytes();
    assert_eq!(text, "shared");
    let gzip = exposition
        .render(Form::TEXT_GZIP)
        .await
        .unwrap()
        .body
        .into_bytes();
    assert!(super::gunzip(&gzip).contains("zone_info"));
}

#[tokio::test]
async fn a_long_text_in_pieces_counts_what_it_alone_holds() {
    let settings = Settings {
        whole_at_most: 0,
        ..SETTINGS
    };
    let exposition = exposition(settings, zones(&["a", "b"]));
    let first = exposition.render(Form::TEXT).await.unwrap().body;
    assert!(matches!(first, Body::InPieces(_)));
    let at_first = first.retained();
    for (names, replaced) in [(None, 0), (Some(&["a", "b"]), 2)] {
        if let Some(names) = names {
            exposition.shared.snapshot.publish(zones(names));
        }
        exposition.forget_bodies();
        exposition.render(Form::TEXT).await.unwrap();
        let more = first.retained() - at_first;
        assert!((replaced * 500..=replaced * 5000).contains(&more), "{more}");
    }
    let left = first.retained();
    exposition.shared.snapshot.publish(zones(&[]));
    let second = exposition.render(Form::TEXT).await.unwrap().body;
    exposition.forget_bodies();
    let before = second.retained();
    exposition.render(Form::TEXT).await.unwrap();
    assert!(second.retained() > before, "zones that are gone count too");
    assert_eq!(first.retained(), left);
}

#[tokio::test]
async fn a_body_is_made_in_the_memory_of_the_last_one() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    for encoding in [Form::TEXT, Form::TEXT_GZIP] {
        let len = exposition
            .render(encoding)
            .await
            .unwrap()
            .body
            .into_bytes()
            .len();
        exposition.forget_bodies();
        // Recognized by its capacity: the allocator may return the same address again.
        let mut last = Vec::with_capacity(len + 1);
        last.push(b'x');
        let room = last.capacity();
        let bodies = &exposition.shared.bodies;
        bodies.share_until(encoding, rendered(last), Instant::now());
        let next = exposition.render(encoding).await.unwrap().body.into_bytes();
        exposition.forget_bodies();
        assert_eq!(Vec::from(next).capacity(), room);
    }
}

#[tokio::test]
async fn changes_are_compressed_ahead_until_the_first_compressed_scrape() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    let is_compressed = || exposition.shared.lock_cache().is_compressed();
    let (ready, seen) = watch::channel(false);
    let shutdown = CancellationToken::new();
    // An empty cache has nothing to compress.
    exposition.render(Form::TEXT).await.unwrap();
    assert!(!is_compressed());
    let task = tokio::spawn(exposition.clone().prepare(seen.clone(), shutdown.clone()));
    tokio::task::yield_now().await;
    assert!(!is_compressed(), "not before the first round has ended");
    ready.send_replace(true);
    let prepared = async {
        while !is_compressed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), prepared).await.unwrap();
    shutdown.cancel();
    timeout(Duration::from_secs(20), task)
        .await
        .unwrap()
        .unwrap();

    exposition.shared.snapshot.publish(zones(&["a", "b"]));
    exposition.forget_bodies();
    exposition.render(Form::TEXT).await.unwrap();
    assert!(!is_compressed());
    assert_eq!(exposition.shared.prepare(), Prepared::ForScrape);
    assert!(is_compressed(), "until the first compressed scrape");

    exposition.render(Form::TEXT_GZIP).await.unwrap();
    exposition.shared.snapshot.publish(zones(&["a", "b", "c"]));
    exposition.forget_bodies();
    exposition.render(Form::TEXT).await.unwrap();
    assert!(!is_compressed());
    assert_eq!(exposition.shared.prepare(), Prepared::ByScrape);
    assert!(!is_compressed(), "the next compressed scrape does that");
    exposition.render(Form::TEXT_GZIP).await.unwrap();
    assert!(is_compressed());
}

/// The ages in the text, and how far they are behind the time at which it was asked for.
async fn ages_behind(zones: u8) -> Vec<(f64, f64)> {
    let modified_on = "2026-01-01T00:00:00Z";
    let zones = (0..zones).map(|n| {
        let mappings = vec![mapping("192.0.2.1", "aws", "us-east-1", Some(modified_on))];
        let data = data(mappings, ZoneFindings::default());
        polled(&n.to_string(), "a.example", data)
    });
    let exposition = exposition(SETTINGS, directory(zones.collect()));
    let age_at = |now: Timestamp| now.duration_since(time(modified_on)).as_secs_f64();
    let mut found = Vec::new();
    for _ in 0..5 {
        let asked = age_at(Timestamp::now());
        let body = exposition.render(Form::TEXT).await.unwrap().body;
        exposition.forget_bodies();
        let text = String::from_utf8(body.into_bytes().to_vec()).unwrap();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("cloudflare_origin_region_oldest_"));
        let (_, age) = line.unwrap().rsplit_once(' ').unwrap();
        let age: f64 = age.parse().unwrap();
        found.push((age, asked - age));
    }
    found
}

#[tokio::test]
async fn ages_are_as_of_the_scrape_and_with_many_zones_as_of_the_last_second() {
    let ages = ages_behind(100).await;
    assert!(ages.iter().any(|(age, _)| age.fract() > 0.0), "{ages:?}");
    // Milliseconds are cut off.
    assert!(ages.iter().all(|(_, behind)| *behind < 0.001), "{ages:?}");
    let ages = ages_behind(101).await;
    assert!(ages.iter().all(|(age, _)| age.fract() == 0.0), "{ages:?}");
    assert!(ages.iter().all(|(_, behind)| *behind < 1.0), "{ages:?}");
}

#[tokio::test]
async fn a_change_is_seen_once_the_window_has_passed() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    exposition.render(Form::TEXT).await.unwrap();
    exposition.shared.snapshot.publish(zones(&["b"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = exposition
        .render(Form::TEXT)
        .await
        .unwrap()
        .body
        .into_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.contains("zone=\"b\"") && !text.contains("zone=\"a\""));
}

#[tokio::test]
async fn a_panic_while_rendering_does_not_stop_later_scrapes() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    let before = super::text(&exposition);
    let broken = exposition.clone();
    let panicked = std::thread::spawn(move || {
        let _cache = broken.shared.lock_cache();
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(super::text(&exposition), before);
}
