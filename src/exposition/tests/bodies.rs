//! Which scrapes share a body, and how a failure is got over.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::{Body, Encoding};
use super::{SETTINGS, discovered, exposition};
use crate::exposition::Exposition;

fn share(exposition: &Exposition, encoding: Encoding, shared_until: Instant) {
    exposition.shared.lock_bodies().push(Body {
        encoding,
        bytes: Bytes::from_static(b"shared"),
        shared_until,
    });
}

fn zones(names: &[&str]) -> crate::snapshot::Directory {
    super::directory(names.iter().map(|name| discovered(name, name)).collect())
}

#[tokio::test]
async fn a_body_is_shared_within_its_window_by_scrapes_of_its_encoding() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    let later = Instant::now() + Duration::from_hours(1);
    share(&exposition, Encoding::Identity, later);
    assert_eq!(
        exposition.render(Encoding::Identity).await.unwrap(),
        "shared"
    );
    let gzip = exposition.render(Encoding::Gzip).await.unwrap();
    assert!(super::gunzip(&gzip).contains("zone_info"));
}

#[tokio::test]
async fn a_body_past_its_window_is_dropped_by_the_next_render_of_any_encoding() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    share(&exposition, Encoding::Identity, Instant::now());
    exposition.render(Encoding::Gzip).await.unwrap();
    let encodings: Vec<_> = exposition
        .shared
        .lock_bodies()
        .iter()
        .map(|body| body.encoding)
        .collect();
    assert_eq!(encodings, [Encoding::Gzip]);
}

#[tokio::test]
async fn a_body_is_shared_for_a_second_at_most() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    exposition.render(Encoding::Gzip).await.unwrap();
    let until = exposition.shared.lock_bodies()[0].shared_until;
    assert!(until <= Instant::now() + Duration::from_secs(1));
}

#[tokio::test]
async fn a_change_is_seen_once_the_window_has_passed() {
    let exposition = exposition(SETTINGS, zones(&["a"]));
    exposition.render(Encoding::Identity).await.unwrap();
    exposition.shared.snapshot.publish(zones(&["b"]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = exposition.render(Encoding::Identity).await.unwrap();
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
