use super::*;
use crate::cloudflare::Reason;
use crate::domain::{SupportedRegions, ZoneId};
use crate::findings::{ExpectSettings, VerifySettings};

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
    Err(ApiError::new(Operation::DnsRecords, reason, ""))
}

fn due(state: &EnrichmentState, regions: &Regions, at: Instant) -> Vec<Operation> {
    state.calls_due(&context(discovery(), at, HOUR), regions)
}

fn context(expect: ExpectSettings, now: Instant, retain: Duration) -> Context {
    let mut context = crate::poller::tests::context();
    context.evaluation.expect = expect;
    context.evaluation.verify = EVERYTHING;
    context.settings.retain = retain;
    context.now = now;
    context
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
    let mut state = EnrichmentState::default();
    let known = |state: &EnrichmentState, at, retain| {
        let discovered = state.discovered(&context(discovery(), at, retain));
        (
            discovered.dns.candidates().is_some(),
            discovered.load_balancers.candidates().is_some(),
        )
    };
    assert_eq!(known(&state, start, HOUR), (false, false));
    let take = |state: &mut EnrichmentState, answer, at| {
        let dns = state.sources.entry(Operation::DnsRecords).or_default();
        dns.take(answer, at);
    };
    take(&mut state, Ok(Candidates::default()), start);
    // It was not read since, so nothing contradicts it, however short the retention.
    assert!(known(&state, start + HOUR * 9, Duration::ZERO).0);
    take(&mut state, failure(), start + HOUR);
    take(&mut state, failure(), start + HOUR + MINUTE);
    assert!(!known(&state, start + HOUR, Duration::ZERO).0);
    assert!(known(&state, start + HOUR * 2 - MINUTE, HOUR).0);
    assert!(!known(&state, start + HOUR * 2, HOUR).0);
    take(&mut state, Ok(Candidates::default()), start + HOUR * 3);
    assert!(known(&state, start + HOUR * 3, Duration::ZERO).0);
}

#[test]
fn a_source_with_rows_that_cannot_be_read_is_not_completely_known() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    for has_unreadable in [false, true, false] {
        let read = Candidates {
            has_unreadable,
            ..Candidates::default()
        };
        for call in RULES {
            let rules = state.sources.entry(call).or_default();
            rules.take(Ok(Candidates::default()), start);
        }
        for call in [Operation::DnsRecords, Operation::PageRules] {
            let source = state.sources.entry(call).or_default();
            source.take(Ok(read.clone()), start);
        }
        let expect = ExpectSettings {
            from_rules: true,
            ..discovery()
        };
        let discovered = state.discovered(&context(expect, start, HOUR));
        for source in [discovered.dns, discovered.rules] {
            let SourceState::Read { is_current, .. } = source else {
                panic!("{source:?}");
            };
            assert_eq!(is_current, !has_unreadable);
        }
    }
}

#[test]
fn a_tiered_cache_setting_is_kept_for_two_hours_or_the_retention() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    let setting = state.settings.entry(Operation::TieredCache).or_default();
    setting.take(Ok(true), start);
    setting.take(failure(), start + HOUR);
    let setting = state.settings.entry(Operation::SmartTieredCache);
    setting.or_default().take(failure(), start);
    let settings = |after, retain| {
        let context = context(discovery(), start + after, retain);
        state.tiered_cache(&context)
    };
    let shown = |after, retain| settings(after, retain).enabled;
    assert_eq!(shown(MINUTE * 119, Duration::ZERO), Some(true));
    assert_eq!(shown(HOUR * 2, HOUR), None);
    assert_eq!(shown(MINUTE * 179, HOUR * 3), Some(true));
    assert_eq!(settings(Duration::ZERO, HOUR).smart_enabled, None);
}

#[test]
fn settings_are_read_once_an_hour_and_origins_after_each_poll() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    let regions = Regions::default();
    let origins = [Operation::LoadBalancers, Operation::DnsRecords];
    let settings = [Operation::TieredCache, Operation::SmartTieredCache];
    let shown = |state: &EnrichmentState, at| {
        let mut calls = due(state, &regions, at);
        calls.retain(|call| *call != Operation::SupportedRegions);
        calls
    };
    state.request_origins();
    assert_eq!(shown(&state, start), [origins, settings].concat());
    state.started(&due(&state, &regions, start), start);
    assert_eq!(shown(&state, start), []);
    state.request_origins();
    assert_eq!(shown(&state, start + HOUR - MINUTE), origins);
    assert_eq!(shown(&state, start + HOUR), [origins, settings].concat());
}

#[test]
fn what_a_cancelled_task_would_have_read_is_due_again() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    let expect = ExpectSettings {
        from_rules: true,
        ..discovery()
    };
    let context = context(expect, start, HOUR);
    state.request_origins();
    let due = |state: &EnrichmentState| state.calls_due(&context, &Regions::default());
    assert_eq!(due(&state), CALLS);
    state.started(&CALLS, start);
    assert_eq!(due(&state), [Operation::SupportedRegions]);
    state.request_everything();
    assert_eq!(due(&state), CALLS);
}

#[test]
fn a_transient_failure_is_retried_before_the_hour_with_waits_that_double() {
    let mut at = Instant::now();
    let mut state = EnrichmentState::default();
    let mut regions = Regions::default();
    let zone = ZoneId::parse("a").unwrap();
    let transient = || failure_of(Reason::Timeout);
    for (answer, wait) in [
        (transient(), 10),
        (transient(), 20),
        (transient(), 40),
        (transient(), 60),
        (transient(), 60),
        (Ok(true), 60),
        (transient(), 10),
    ] {
        let calls = due(&state, &regions, at);
        let asks = |calls: &[Operation], call| calls.contains(&call);
        assert!(asks(&calls, Operation::SmartTieredCache));
        assert!(asks(&calls, Operation::SupportedRegions));
        state.started(&calls, at);
        regions.ask(zone.clone(), at);
        let supported = Some(answer.clone().map(|_| Some(SupportedRegions::default())));
        let enriched = Enriched {
            supported_regions: supported.clone(),
            settings: BTreeMap::from([
                (Operation::TieredCache, Ok(true)),
                (Operation::SmartTieredCache, answer),
            ]),
            ..Enriched::default()
        };
        state.learn(enriched, at);
        regions.answered(&zone, supported);
        let early = due(&state, &regions, at + MINUTE * (wait - 1));
        assert!(!asks(&early, Operation::SmartTieredCache), "{wait}");
        assert!(!asks(&early, Operation::SupportedRegions), "{wait}");
        at += MINUTE * wait;
    }
}

#[test]
fn a_refusal_of_the_settings_is_not_retried_before_the_hour() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    state.started(&due(&state, &Regions::default(), start), start);
    let enriched = Enriched {
        settings: BTreeMap::from([(Operation::TieredCache, failure())]),
        ..Enriched::default()
    };
    state.learn(enriched, start);
    let asks = |at| due(&state, &Regions::default(), at).contains(&Operation::TieredCache);
    assert!(!asks(start + HOUR - MINUTE));
    assert!(asks(start + HOUR));
}

/// A zone's response about the supported regions.
type Answer = Result<Option<SupportedRegions>, ApiError>;

#[test]
fn one_zone_reads_the_regions_for_all() {
    let start = Instant::now();
    let [a, b] = ["a", "b"].map(|id| ZoneId::parse(id).unwrap());
    let mut regions = Regions::default();
    let ask = |regions: &mut Regions, zone: &ZoneId, at, answer: Answer| {
        assert!(regions.are_due(at));
        regions.ask(zone.clone(), at);
        assert!(!regions.are_due(at + HOUR), "one zone reads them at a time");
        regions.answered(zone, Some(answer))
    };
    // A zone that does not return them leaves it to the others.
    assert!(!ask(&mut regions, &a, start, Ok(None)));
    assert!(!ask(&mut regions, &a, start, failure()));
    let known = SupportedRegions::default;
    assert!(ask(&mut regions, &b, start, Ok(Some(known()))));
    assert!(!regions.are_due(start + HOUR - MINUTE));
    let later = start + HOUR;
    assert!(!ask(&mut regions, &b, later, Ok(Some(known()))), "the same");
    // While the API is down, one zone detects this for all.
    let later = later + HOUR;
    ask(&mut regions, &a, later, failure_of(Reason::ServerError));
    assert!(!regions.are_due(later + MINUTE * 9));
    assert!(regions.are_due(later + MINUTE * 10));
    // The zone that reads them is removed with its request.
    regions.ask(a.clone(), later + HOUR);
    regions.forget_zone(&b);
    assert!(!regions.are_due(later + HOUR));
    regions.forget_zone(&a);
    assert!(regions.are_due(later + HOUR));
}

#[test]
fn a_zone_that_cannot_tell_the_regions_is_asked_again_after_an_hour() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    let asks = |state: &EnrichmentState, at| {
        due(state, &Regions::default(), at).contains(&Operation::SupportedRegions)
    };
    let learn = |state: &mut EnrichmentState, answer: Answer| {
        let enriched = Enriched {
            supported_regions: Some(answer),
            ..Enriched::default()
        };
        state.learn(enriched, start);
    };
    learn(&mut state, failure_of(Reason::Timeout));
    assert!(asks(&state, start), "the account decides when to retry");
    learn(&mut state, Ok(None));
    assert!(!asks(&state, start + HOUR - MINUTE));
    assert!(asks(&state, start + HOUR));
}

#[test]
fn a_reload_reads_only_sources_that_are_new() {
    let start = Instant::now();
    let mut state = EnrichmentState::default();
    let dns = state.sources.entry(Operation::DnsRecords).or_default();
    dns.take(Ok(Candidates::default()), start);
    let mut dns_only = discovery();
    dns_only.from_load_balancers = false;
    let due = |state: &EnrichmentState| due(state, &Regions::default(), start);
    state.reconfigure(&context(dns_only, start, HOUR).evaluation);
    assert!(!due(&state).contains(&Operation::DnsRecords));
    state.reconfigure(&context(discovery(), start, HOUR).evaluation);
    assert!(due(&state).contains(&Operation::LoadBalancers));
}
