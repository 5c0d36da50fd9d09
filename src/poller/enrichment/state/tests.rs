use super::*;
use crate::cloudflare::{Operation, Reason};
use crate::findings::SupportedRegions;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const EVERYTHING: VerifySettings = VerifySettings {
    supported_regions: true,
    tiered_cache: true,
};

fn failure<T>() -> Result<T, ApiError> {
    failure_of(Reason::Forbidden)
}

fn failure_of<T>(reason: Reason) -> Result<T, ApiError> {
    Err(ApiError {
        operation: Operation::DnsRecords,
        reason,
        detail: String::new(),
        status: None,
        codes: Vec::new(),
    })
}

fn wanted(
    secondary: &EnrichmentState,
    regions: &Regions,
    settings: &Cooldown,
    at: Instant,
) -> Wanted {
    secondary.wanted(&discovery(), EVERYTHING, regions, settings, at)
}

fn discovery() -> ExpectSettings {
    ExpectSettings {
        from_dns: true,
        from_load_balancers: true,
        ..ExpectSettings::default()
    }
}

#[test]
fn what_dns_named_stays_until_reading_it_has_failed_for_the_retention() {
    let start = Instant::now();
    let mut secondary = EnrichmentState::default();
    let known = |secondary: &EnrichmentState, at, retain| {
        let discovered = secondary.discovered(at, retain);
        (
            discovered.dns.is_some(),
            discovered.load_balancers.is_some(),
        )
    };
    assert_eq!(known(&secondary, start, HOUR), (false, false));
    secondary.dns.take(Some(Ok(Candidates::default())), start);
    // It was not read since, so nothing speaks against it, however short the retention.
    assert!(known(&secondary, start + HOUR * 9, Duration::ZERO).0);
    secondary.dns.take(Some(failure()), start + HOUR);
    secondary.dns.take(Some(failure()), start + HOUR + MINUTE);
    assert!(!known(&secondary, start + HOUR, Duration::ZERO).0);
    assert!(known(&secondary, start + HOUR * 2 - MINUTE, HOUR).0);
    assert!(!known(&secondary, start + HOUR * 2, HOUR).0);
    secondary
        .dns
        .take(Some(Ok(Candidates::default())), start + HOUR * 3);
    assert!(known(&secondary, start + HOUR * 3, Duration::ZERO).0);
}

#[test]
fn a_tiered_cache_setting_is_kept_for_two_hours_or_the_retention() {
    let start = Instant::now();
    let mut secondary = EnrichmentState::default();
    secondary.tiered_cache.take(Some(Ok(true)), start);
    secondary.tiered_cache.take(Some(failure()), start + HOUR);
    secondary.smart_tiered_cache.take(Some(failure()), start);
    let shown = |after, retain| secondary.tiered_cache(start + after, retain).enabled;
    assert_eq!(shown(MINUTE * 119, Duration::ZERO), Some(true));
    assert_eq!(shown(HOUR * 2, HOUR), None);
    assert_eq!(shown(MINUTE * 179, HOUR * 3), Some(true));
    assert_eq!(secondary.tiered_cache(start, HOUR).smart_enabled, None);
}

#[test]
fn settings_and_regions_are_asked_for_once_an_hour_and_origins_after_each_poll() {
    let start = Instant::now();
    let mut secondary = EnrichmentState::default();
    let regions = Regions::default();
    let shown = |secondary: &EnrichmentState, at| {
        let wanted = wanted(secondary, &regions, &Cooldown::default(), at);
        (
            wanted.dns,
            wanted.load_balancers,
            wanted.tiered_cache,
            wanted.supported_regions,
        )
    };
    secondary.polled(BTreeSet::new());
    assert_eq!(shown(&secondary, start), (true, true, true, true));
    let all = wanted(&secondary, &regions, &Cooldown::default(), start);
    secondary.following_up(all, start);
    assert_eq!(shown(&secondary, start), (false, false, false, false));
    secondary.polled(BTreeSet::new());
    let late = start + HOUR - MINUTE;
    assert_eq!(shown(&secondary, late), (true, true, false, false));
    assert_eq!(shown(&secondary, start + HOUR), (true, true, true, true));
}

/// Reads the settings and the regions, with these outcomes.
fn follow_up(
    secondary: &mut EnrichmentState,
    trouble: &mut Cooldown,
    outcome: Result<bool, ApiError>,
    now: Instant,
) {
    let asked = Wanted {
        tiered_cache: true,
        supported_regions: true,
        ..Wanted::default()
    };
    secondary.following_up(asked, now);
    let mut done = Enriched {
        supported_regions: Some(outcome.clone().map(|_| None)),
        tiered_cache: Some(Ok(true)),
        smart_tiered_cache: Some(outcome),
        ..Enriched::default()
    };
    if done.has_settings_trouble() {
        trouble.note(now);
    }
    secondary.learn(&mut done, now);
}

#[test]
fn a_failure_that_may_pass_is_made_up_for_before_the_hour_with_waits_that_double() {
    let start = Instant::now();
    let (mut secondary, mut trouble) = (EnrichmentState::default(), Cooldown::default());
    let asks = |secondary: &EnrichmentState, trouble: &Cooldown, at| {
        let wanted = wanted(secondary, &Regions::default(), trouble, at);
        assert_eq!(wanted.tiered_cache, wanted.supported_regions);
        wanted.tiered_cache
    };
    let passing = || failure_of(Reason::Timeout);
    let mut at = start;
    for (outcome, wait) in [
        (passing(), 10),
        (passing(), 20),
        (passing(), 40),
        (passing(), 60),
        (passing(), 60),
        (Ok(true), 60),
        (passing(), 10),
        // It will not mend by itself.
        (failure(), 60),
        (passing(), 10),
    ] {
        follow_up(&mut secondary, &mut trouble, outcome, at);
        let early = at + MINUTE * (wait - 1);
        assert!(!asks(&secondary, &trouble, early), "{wait}");
        at += MINUTE * wait;
        assert!(asks(&secondary, &trouble, at), "{wait}");
    }
}

#[test]
fn while_readings_of_other_zones_fail_none_is_made_before_its_hour() {
    let start = Instant::now();
    let (mut secondary, mut trouble) = (EnrichmentState::default(), Cooldown::default());
    follow_up(
        &mut secondary,
        &mut trouble,
        failure_of(Reason::ServerError),
        start,
    );
    let mut regions = Regions::default();
    let asks = |regions: &Regions, trouble: &Cooldown, at| {
        let wanted = wanted(&secondary, regions, trouble, at);
        (wanted.tiered_cache, wanted.supported_regions)
    };
    let again = start + MINUTE * 10;
    assert_eq!(asks(&regions, &trouble, again), (true, true));
    trouble.note(again - MINUTE);
    regions.trouble.note(again - MINUTE);
    assert_eq!(asks(&regions, &trouble, again), (false, false));
    assert_eq!(asks(&regions, &trouble, again + MINUTE * 10), (true, true));
    trouble.note(start + HOUR);
    regions.trouble.note(start + HOUR);
    // Nor are the regions, which any zone may ask for, at the hour.
    assert_eq!(asks(&regions, &trouble, start + HOUR), (true, false));
}

#[test]
fn one_zone_asks_for_the_regions_of_all() {
    let start = Instant::now();
    let secondary = EnrichmentState::default();
    let asks = |regions: &Regions, at| {
        wanted(&secondary, regions, &Cooldown::default(), at).supported_regions
    };
    let mut regions = Regions::default();
    assert!(asks(&regions, start));
    regions.asking = true;
    assert!(!asks(&regions, start));
    regions.asking = false;
    assert!(regions.learn(SupportedRegions::default(), start));
    assert!(!regions.learn(SupportedRegions::default(), start));
    assert!(!asks(&regions, start + HOUR - MINUTE));
    assert!(asks(&regions, start + HOUR));
}

#[test]
fn origins_that_a_poll_held_back_wait_for_a_follow_up_to_settle_them() {
    let mut secondary = EnrichmentState::default();
    assert!(!secondary.needs_judgement());
    let ip = OriginIp::parse("192.0.2.1").unwrap();
    secondary.polled([ip].into());
    secondary.following_up(Wanted::default(), Instant::now());
    assert!(secondary.needs_judgement());
    assert!(secondary.unconfirmed().contains(&ip));
    secondary.settled();
    assert!(!secondary.needs_judgement());
}

#[test]
fn what_a_follow_up_learns_during_a_poll_is_noticed_once() {
    let mut secondary = EnrichmentState::default();
    secondary.learn(&mut Enriched::default(), Instant::now());
    secondary.polling();
    assert!(!secondary.has_learnt());
    secondary.learn(&mut Enriched::default(), Instant::now());
    assert!(secondary.has_learnt());
    assert!(!secondary.has_learnt());
}
