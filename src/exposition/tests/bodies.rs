//! Sharing of bodies, and recovery from failures.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::{Body, Form, Rendered, Settings};
use super::{SETTINGS, discovered, exposition};

fn zones(names: &[&str]) -> crate::snapshot::Directory {
    super::directory(names.iter().map(|name| discovered(name, name)).collect())
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
