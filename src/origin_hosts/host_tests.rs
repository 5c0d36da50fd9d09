use std::collections::BTreeSet;

use proptest::prelude::*;

use super::HostState::{Failing, NoAddress, Resolved, Rotating};
use super::*;

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;

fn now(monotonic: i64) -> Now {
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    Now {
        monotonic,
        wall: start + SignedDuration::from_millis(monotonic),
    }
}

fn ip(last: u8) -> OriginIp {
    OriginIp::from(IpAddr::from([192, 0, 2, last]))
}

fn answer(ips: impl IntoIterator<Item = u8>) -> Outcome {
    Outcome::Addresses(Addresses {
        ips: ips.into_iter().map(ip).collect(),
        ttl: Duration::from_mins(1),
        ..Addresses::default()
    })
}

const NONE: Outcome = Outcome::None { ttl: None };
const FAILED: Outcome = Outcome::Failed(Failure::Timeout);

/// Applies outcomes to a new host, each at its time in seconds.
fn after(outcomes: &[(i64, Outcome)], settings: &Settings) -> Host {
    let host = Host::new(HostName::parse("origin.example").unwrap());
    outcomes.iter().fold(host, |host, (time, outcome)| {
        host.after(outcome, settings, now(time * SECOND)).0
    })
}

fn ips(host: &Host) -> Vec<OriginIp> {
    host.ips().collect()
}

/// Outcomes, and the state and the addresses after the last one.
type Case<'a> = (&'a [(i64, Outcome)], Option<HostState>, &'a [u8]);

#[test]
fn states_and_counting_addresses() {
    let settings = Settings {
        window: Duration::from_secs(100),
        rotating_above: 2,
        ..Settings::default()
    };
    let cases: &[Case<'_>] = &[
        (&[], None, &[]),
        (&[(0, answer([2, 1]))], Some(Resolved), &[1, 2]),
        // Addresses of different answers add up within the window, but no longer.
        (
            &[(0, answer([1])), (99, answer([2]))],
            Some(Resolved),
            &[1, 2],
        ),
        (
            &[(0, answer([1])), (100, answer([2]))],
            Some(Resolved),
            &[2],
        ),
        (
            &[(0, answer([1])), (30, answer([2])), (60, answer([3]))],
            Some(Rotating),
            &[1, 2, 3],
        ),
        // A failure keeps the addresses that are still within the window.
        (&[(0, FAILED)], Some(Failing), &[]),
        (&[(0, answer([1])), (99, FAILED)], Some(Failing), &[1]),
        (&[(0, answer([1])), (100, FAILED)], Some(Failing), &[]),
        (
            &[(0, answer([1])), (60, FAILED), (90, answer([1]))],
            Some(Resolved),
            &[1],
        ),
        // A rotating host that cannot be resolved stays rotating.
        (
            &[(0, answer([1, 2, 3])), (60, FAILED)],
            Some(Rotating),
            &[1, 2, 3],
        ),
        // One negative answer changes nothing, even after the window. Two, a refresh apart, drop
        // everything.
        (&[(0, NONE)], Some(NoAddress), &[]),
        (&[(0, answer([1])), (200, NONE)], Some(Resolved), &[1]),
        (
            &[(0, answer([1])), (60, NONE), (89, NONE)],
            Some(Resolved),
            &[1],
        ),
        (
            &[(0, answer([1])), (60, NONE), (90, NONE)],
            Some(NoAddress),
            &[],
        ),
        (
            &[(0, answer([1])), (60, NONE), (70, NONE), (90, NONE)],
            Some(NoAddress),
            &[],
        ),
        (
            &[(0, answer([1])), (30, NONE), (60, answer([1])), (90, NONE)],
            Some(Resolved),
            &[1],
        ),
        // A failure in between is not an answer.
        (
            &[(0, answer([1])), (30, NONE), (60, FAILED), (90, NONE)],
            Some(NoAddress),
            &[],
        ),
        (
            &[(0, answer([1])), (30, NONE), (60, FAILED)],
            Some(Failing),
            &[1],
        ),
        (
            &[(0, NONE), (30, NONE), (60, answer([1]))],
            Some(Resolved),
            &[1],
        ),
    ];
    for (outcomes, state, addresses) in cases {
        let host = after(outcomes, &settings);
        let expected: Vec<_> = addresses.iter().copied().map(ip).collect();
        assert_eq!(host.state(), *state, "{outcomes:?}");
        assert_eq!(ips(&host), expected, "{outcomes:?}");
    }
}

#[test]
fn nothing_is_known_before_the_first_answer() {
    let settings = Settings::default();
    assert!(!after(&[], &settings).is_known());
    assert!(!after(&[(0, FAILED)], &settings).is_known());
    assert!(after(&[(0, NONE)], &settings).is_known());
    assert!(after(&[(0, answer([1])), (60, FAILED)], &settings).is_known());
}

#[test]
fn an_unanswered_question_is_a_failure_only_where_addresses_depend_on_it() {
    let settings = Settings::default();
    let v6 = OriginIp::parse("2001:db8::1").unwrap();
    let both = Outcome::Addresses(Addresses {
        ips: vec![ip(1), v6],
        ..Addresses::default()
    });
    let half = |kind| {
        Outcome::Addresses(Addresses {
            ips: vec![ip(1)],
            unanswered: Some((kind, Failure::ServerFailure)),
            ..Addresses::default()
        })
    };
    let host = after(&[(0, half(IpKind::V6))], &settings);
    assert_eq!(host.state(), Some(Resolved), "it never had any");
    let host = after(&[(0, both), (60, half(IpKind::V6))], &settings);
    assert_eq!(host.state(), Some(Failing));
    assert_eq!(host.failure(), Some(Failure::ServerFailure));
    assert_eq!(ips(&host), [ip(1), v6]);
}

#[test]
fn the_next_question_waits_for_the_ttl_within_bounds() {
    let settings = Settings::default();
    let with_ttl = |seconds| {
        Outcome::Addresses(Addresses {
            ips: vec![ip(1)],
            ttl: Duration::from_secs(seconds),
            ..Addresses::default()
        })
    };
    let none = |seconds| Outcome::None {
        ttl: Some(Duration::from_secs(seconds)),
    };
    for (before, outcome, seconds) in [
        (0, with_ttl(0), 30),
        (0, with_ttl(60), 60),
        (0, with_ttl(86_400), 300),
        (0, NONE, 30),
        (0, none(5), 30),
        (0, none(120), 120),
        (0, none(86_400), 300),
        (0, FAILED, 30),
        (1, FAILED, 60),
        (3, FAILED, 240),
        (4, FAILED, 300),
        (250, FAILED, 300),
    ] {
        let failures = vec![(0, FAILED); before];
        let (_, pause) = after(&failures, &settings).after(&outcome, &settings, now(0));
        assert_eq!(pause, Duration::from_secs(seconds), "{before} {outcome:?}");
    }
}

#[test]
fn at_most_64_addresses_are_remembered_whatever_the_order() {
    let settings = Settings::default();
    let forth = after(&[(0, answer(0..70)), (60, answer(70..100))], &settings);
    let back = after(
        &[(0, answer((30..100).rev())), (60, answer((0..30).rev()))],
        &settings,
    );
    assert_eq!(ips(&forth), (0..64).map(ip).collect::<Vec<_>>());
    assert_eq!(ips(&back), ips(&forth));
    assert!(forth.is_truncated() && back.is_truncated());
    let day = 25 * HOUR / SECOND;
    let fewer = after(&[(0, answer(0..70)), (day, answer(0..64))], &settings);
    assert!(!fewer.is_truncated(), "the window forgets it");
}

#[test]
fn the_chain_is_that_of_the_last_good_answer() {
    let settings = Settings::default();
    let name = |text: &str| HostName::parse(text).unwrap();
    let aliased = Outcome::Addresses(Addresses {
        ips: vec![ip(1)],
        chain: vec![name("lb.example"), name("a.elb.example")],
        ..Addresses::default()
    });
    let chain = |outcomes: &[(i64, Outcome)]| {
        let host = after(outcomes, &settings);
        host.chain().map(ToString::to_string).collect::<Vec<_>>()
    };
    let whole = ["origin.example", "lb.example", "a.elb.example"];
    assert_eq!(chain(&[(0, aliased.clone())]), whole);
    assert_eq!(
        chain(&[(0, aliased.clone()), (30, FAILED), (60, NONE)]),
        whole
    );
    assert_eq!(
        chain(&[(0, aliased.clone()), (30, NONE), (60, NONE)]),
        ["origin.example"]
    );
    assert_eq!(
        chain(&[(0, aliased), (30, answer([1]))]),
        ["origin.example"]
    );
}

#[test]
fn first_and_last_seen_are_those_of_answers() {
    let host = after(
        &[(0, answer([1])), (60, answer([1, 2])), (90, FAILED)],
        &Settings::default(),
    );
    let seen = host.stored_addresses().into_iter();
    let seen: Vec<_> = seen.map(|a| (a.ip, a.first_seen, a.last_seen)).collect();
    let at = |seconds: i64| now(seconds * SECOND).wall;
    let expected = [(1, 0, 60), (2, 60, 60)];
    assert_eq!(
        seen,
        expected.map(|(last, first, latest)| (ip(last), at(first), at(latest)))
    );
}

#[test]
fn other_settings_apply_at_once_to_what_is_known() {
    let host = after(&[(0, answer(0..3))], &Settings::default());
    let strict = Settings {
        rotating_above: 2,
        ..Settings::default()
    };
    assert_eq!(host.under(&strict).state(), Some(Rotating));
    assert!(host.under(&strict).differs(&host));
}

#[test]
fn a_stored_host_comes_back_as_it_was() {
    let settings = Settings::default();
    for outcomes in [
        vec![(0, answer([1, 2]))],
        vec![(0, answer([1, 2])), (60, answer([2, 3])), (120, FAILED)],
        vec![(0, answer([1])), (60, NONE)],
        vec![(0, answer(0..70))],
        vec![(0, NONE), (60, NONE)],
    ] {
        let host = after(&outcomes, &settings);
        let json = serde_json::to_string(&host.store().unwrap()).unwrap();
        let stored = serde_json::from_str(&json).unwrap();
        // Another process, two hours later, with its own monotonic clock.
        let later = Now {
            monotonic: 5,
            wall: now(2 * HOUR).wall,
        };
        let back = Host::restore(&stored, &settings, later);
        assert!(!back.differs(&host), "{outcomes:?}");
        assert_eq!(back.store(), host.store());
    }
    assert_eq!(after(&[(0, FAILED)], &settings).store(), None);
}

#[test]
fn one_denial_before_a_restart_and_one_right_after_it_are_not_a_refresh_apart() {
    let settings = Settings::default();
    let host = after(&[(0, answer([1])), (60, NONE)], &settings);
    let restarted = |seconds: i64| {
        let now = Now {
            monotonic: 0,
            wall: now(seconds * SECOND).wall,
        };
        let host = Host::restore(&host.store().unwrap(), &settings, now);
        host.after(&NONE, &settings, now).0.state()
    };
    assert_eq!(restarted(61), Some(Resolved));
    assert_eq!(restarted(90), Some(NoAddress));
}

proptest! {
    /// If the real addresses do not change, each address is in some answer of each window. Then it
    /// does not matter which answers contain it, in which order, and which queries fail in between.
    #[test]
    fn order_and_subset_of_answers_never_change_the_result(
        world in prop::collection::btree_set(any::<u8>(), 1..80),
        rounds in prop::collection::vec(
            (any::<prop::sample::Index>(), 1_usize..9, any::<bool>(), prop::bool::weighted(0.2)),
            200,
        ),
    ) {
        let settings = Settings { window: Duration::from_hours(1), ..Settings::default() };
        let world: Vec<u8> = world.into_iter().collect();
        let mut host = Host::new(HostName::parse("origin.example").unwrap());
        let mut seen = vec![i64::MIN; world.len()];
        let mut reference: Option<Host> = None;
        for (round, (start, size, reversed, fails)) in rounds.iter().enumerate() {
            let time = i64::try_from(round).unwrap() * 60 * SECOND;
            let outcome = if *fails {
                FAILED
            } else {
                // A random subset, and the addresses that the window would drop next.
                let mut places: BTreeSet<usize> =
                    (0..*size).map(|n| (start.index(world.len()) + n) % world.len()).collect();
                let old = |n: &usize| seen[*n] != i64::MIN && time - seen[*n] > HOUR / 4;
                places.extend((0..world.len()).filter(old));
                for place in &places {
                    seen[*place] = time;
                }
                let mut part: Vec<u8> = places.iter().map(|n| world[*n]).collect();
                if *reversed {
                    part.reverse();
                }
                answer(part)
            };
            host = host.after(&outcome, &settings, now(time)).0;
            if let Some(reference) = &reference {
                let failing = reference.failure() != host.failure();
                let same = reference.ips().eq(host.ips()) && (failing || reference.state() == host.state());
                prop_assert!(same, "{:?} {:?}", reference, host);
            } else if !seen.contains(&i64::MIN) {
                let expected: Vec<_> = world.iter().take(MAX_ADDRESSES).copied().map(ip).collect();
                prop_assert_eq!(ips(&host), expected);
                reference = Some(host.clone());
            }
        }
    }
}
