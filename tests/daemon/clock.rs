//! The system clock steps while the daemon runs. Needs libfaketime, which `scripts/test` installs.
//! It fakes only the time of day; the monotonic clock is real.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::FaultKind;
use jiff::Timestamp;

use crate::scrape::Scrape;
use crate::support::{Api, BAD, Config, Daemon, GOOD, ON_BAD, ON_GOOD, longest_gap, world};

const STEP: f64 = 7200.0;

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap();
    let mut found = folders.map(|entry| {
        let folder = entry.unwrap().path();
        folder.join("faketime/libfaketimeMT.so.1")
    });
    let found = found.find(|path| path.exists());
    found.expect("libfaketime is installed (scripts/install-e2e-tools)")
}

/// How far the clock of the daemon has stepped, from the time of the last successful poll.
fn step(scrape: &Scrape) -> f64 {
    let success = scrape.value("zone_last_success_timestamp_seconds", ON_GOOD);
    success.unwrap() - Timestamp::now().as_duration().as_secs_f64()
}

fn oldest(scrape: &Scrape, labels: &[(&str, &str)]) -> f64 {
    let age = scrape.value("oldest_mapping_age_seconds", labels).unwrap();
    let newest = scrape.value("newest_mapping_age_seconds", labels).unwrap();
    assert!(0.0 <= newest && newest <= age, "{newest} and {age}");
    age
}

#[tokio::test]
#[ignore = "needs libfaketime: run by scripts/test"]
async fn ages_follow_a_clock_that_steps_and_polls_do_not() {
    let mut world = world();
    let written = Timestamp::now() - Duration::from_secs(1000);
    for zone in [GOOD, BAD] {
        let zone = world.zone_mut(zone);
        zone.mappings.clear();
        zone.map("192.0.2.1", "aws", "us-east-1", Some(written));
    }
    let api = Api::start(world).await;
    let config = Config {
        more: "mappings: { stale_after: 1h }".to_owned(),
        ..Config::polling("interval: 300ms, retries: 0, retain: 1h")
    };
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let set = |step: &str| {
        let new = clock.with_extension("new");
        fs::write(&new, step).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    set("+0");
    let environment = [
        ("LD_PRELOAD", library().to_str().unwrap().to_owned()),
        (
            "FAKETIME_TIMESTAMP_FILE",
            clock.to_str().unwrap().to_owned(),
        ),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let config = config.text(&api.simulator.base_url());
    let mut daemon = Daemon::start_with(&config, &[], &environment).await;
    let scrape = daemon.until_read().await;
    assert!((1000.0..1060.0).contains(&oldest(scrape, ON_BAD)));
    assert!(step(scrape).abs() < 60.0);
    // The bad zone fails from here on. A step of the clock must not make its data expire.
    api.fail(FaultKind::Status(500, None));
    daemon
        .until("the poll failed", |scrape| scrape.up(BAD) == Some(false))
        .await;
    api.simulator.forget_requests();

    for (file, step_by, ages) in [
        ("-7200", -STEP, 0.0..1.0),
        ("+7200", STEP, 8200.0..8260.0),
        ("-7200", -STEP, 0.0..1.0),
        ("+0", 0.0, 1000.0..1060.0),
    ] {
        set(file);
        daemon
            .until("the clock has stepped", |scrape| {
                (step(scrape) - step_by).abs() < 60.0
            })
            .await;
        let scrape = daemon.until_polled_again(4.0).await;
        for zone in [ON_GOOD, ON_BAD] {
            let age = oldest(scrape, zone);
            assert!(ages.contains(&age), "{age} s after {file}");
            let stale = f64::from(u8::from(age > 3600.0));
            assert_eq!(scrape.value("stale_mappings", zone), Some(stale));
        }
        assert_eq!((scrape.up(GOOD), scrape.mappings(GOOD)), (Some(true), 1));
        assert_eq!((scrape.up(BAD), scrape.mappings(BAD)), (Some(false), 1));
        let lag = scrape.value("exporter_poll_lag_seconds", &[]);
        assert!(lag.is_some_and(|lag| lag < 1.0), "{lag:?}");
        assert_eq!(daemon.get("/").await.0, 200);
    }
    let readings = api.readings(GOOD);
    // A step forward did not cause one poll for each skipped interval, and a step back did not stop
    // the polls.
    let time = readings[readings.len() - 1].at - readings[0].at;
    let most = time.as_millis() / 200 + 3;
    assert!(readings.len() as u128 <= most, "more than {most} readings");
    let longest = longest_gap(&readings);
    assert!(longest <= Duration::from_secs(3), "{longest:?}");
    let scrape = daemon.scrape().await;
    assert_eq!(scrape.sum("mapping_changes_total", &[]), 0.0);
    assert_eq!(scrape.poll_errors(GOOD), 0.0);
    daemon.stop().await;
}
