use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::cloudflare::OriginTarget;
use crate::domain::{Mapping, OriginIp, Region, Vendor, Zone, ZoneMappings, ZoneName};
use crate::findings::{
    self, Candidates, Discovered, Evidence, RangesUse, SourceState, ZoneFindings,
};
use crate::origin_hosts::{self, Addresses, Failure, Now, Outcome, Settings};
use crate::poller::ZoneSelection;

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn id(text: &str) -> ZoneId {
    ZoneId::parse(&text.replace('.', "-")).unwrap()
}

fn ip(last: u8) -> OriginIp {
    OriginIp::parse(&format!("3.80.2.{last}")).unwrap()
}

fn lookup() -> HostLookup {
    let metrics = origin_hosts::Metrics::register(&Registry::new()).unwrap();
    HostLookup::new(OriginHosts::new(Settings::default(), metrics).unwrap())
}

/// Lists these zones in an account.
fn list(lookup: &mut HostLookup, names: &[&str], is_complete: bool) {
    let zone = |name: &&str| {
        let zone = Zone {
            name: ZoneName::parse(name).unwrap(),
            ..Zone::unknown(id(name))
        };
        (id(name), zone)
    };
    let mut listing = Listing::new(ZoneSelection::Ids(Vec::new()), Instant::now());
    listing.zones = names.iter().map(zone).collect();
    listing.complete = is_complete;
    let account = AccountName::parse("main").unwrap();
    lookup.list(&[(&account, &listing)]);
}

fn record(name: &str, target: &str) -> DnsRecord {
    DnsRecord {
        name: RecordName::parse(name),
        target: OriginTarget::parse(target).unwrap(),
        proxied: false,
        is_workers: false,
        is_read_only: false,
    }
}

const RETAIN: Duration = Duration::from_hours(1);

fn learn(lookup: &mut HostLookup, zone: &str, records: Option<&[DnsRecord]>) -> Vec<ZoneId> {
    let read = records.map(|records| Rows {
        rows: records.to_vec(),
        ..Rows::default()
    });
    learn_at(lookup, zone, read.as_ref(), Instant::now())
}

fn learn_at(
    lookup: &mut HostLookup,
    zone: &str,
    read: Option<&Rows<DnsRecord>>,
    now: Instant,
) -> Vec<ZoneId> {
    let balanced = [RecordName::parse("lb.own.test").unwrap()].into();
    lookup.learn(&id(zone), read.map(|read| (read, &balanced)), now, RETAIN)
}

/// The addresses of a host, if they are known, and where it leads.
fn ask(lookup: &HostLookup, name: &str, known: &Paths) -> (Option<Vec<OriginIp>>, Paths) {
    let name = host(name);
    let (answers, paths) = lookup.answers(&id("a.test"), [&name], known);
    let answer = &answers[&name];
    (answer.is_known.then(|| answer.addresses.clone()), paths)
}

#[tokio::test]
async fn a_host_leads_where_it_did_until_the_records_can_be_read_again() {
    let mut lookup = lookup();
    list(&mut lookup, &["a.test", "own.test"], true);
    assert_eq!(ask(&lookup, "www.own.test", &Paths::new()).0, None);
    learn(
        &mut lookup,
        "own.test",
        Some(&[record("www.own.test", "3.80.2.1")]),
    );
    let (addresses, paths) = ask(&lookup, "www.own.test", &Paths::new());
    assert_eq!(addresses, Some(vec![ip(1)]));

    // Another process, which starts with the stored paths.
    let json = serde_json::to_string(&paths).unwrap();
    let stored: Paths = serde_json::from_str(&json).unwrap();
    let mut lookup = self::lookup();
    for (names, is_complete) in [
        // At first, the zone is not yet known to be the account's own.
        (&["a.test"][..], false),
        (&["a.test", "own.test"][..], true),
    ] {
        list(&mut lookup, names, is_complete);
        let (addresses, paths) = ask(&lookup, "www.own.test", &stored);
        assert_eq!(addresses, Some(vec![ip(1)]), "{names:?}");
        assert_eq!(paths, stored, "it stays stored");
    }
    let start = Instant::now();
    for (after, waiting) in [(Duration::ZERO, vec![]), (RETAIN, vec![id("a.test")])] {
        let (addresses, _) = ask(&lookup, "www.own.test", &stored);
        assert_eq!(addresses, Some(vec![ip(1)]), "until it is lost");
        assert_eq!(
            learn_at(&mut lookup, "own.test", None, start + after),
            waiting
        );
    }
    assert_eq!(
        ask(&lookup, "www.own.test", &stored).0,
        None,
        "not for ever"
    );
    learn(
        &mut lookup,
        "own.test",
        Some(&[record("www.own.test", "3.80.2.2")]),
    );
    let (addresses, paths) = ask(&lookup, "www.own.test", &stored);
    assert_eq!(addresses, Some(vec![ip(2)]));
    assert_ne!(paths, stored);
    // The zone is no longer one of the account's.
    list(&mut lookup, &["a.test"], true);
    let (addresses, paths) = ask(&lookup, "www.own.test", &paths);
    assert_eq!((addresses, paths), (None, Paths::new()));
}

#[tokio::test]
async fn unreadable_records_of_a_zone_take_away_nothing_that_was_known_while_it_is_retained() {
    let mut lookup = lookup();
    list(&mut lookup, &["a.test", "own.test"], true);
    let records = [
        record("www.own.test", "3.80.2.1"),
        record("two.own.test", "3.80.2.2"),
        record("two.own.test", "3.80.2.3"),
    ];
    learn(&mut lookup, "own.test", Some(&records));
    let mut known = Paths::new();
    for name in ["www.own.test", "two.own.test"] {
        known.extend(ask(&lookup, name, &Paths::new()).1);
    }
    let mut partial = Rows {
        rows: vec![record("two.own.test", "3.80.2.4")],
        ..Rows::default()
    };
    partial.rejected.count = 2;
    let start = Instant::now();
    let waiting = learn_at(&mut lookup, "own.test", Some(&partial), start);
    assert_eq!(waiting, [id("a.test")]);
    let answer = |lookup: &HostLookup, name| {
        let name = host(name);
        let (answers, _) = lookup.answers(&id("a.test"), [&name], &known);
        answers[&name].clone()
    };
    let www = answer(&lookup, "www.own.test");
    assert_eq!(
        (www.is_known, www.addresses, www.is_incomplete),
        (true, vec![ip(1)], true)
    );
    let two = answer(&lookup, "two.own.test");
    assert_eq!(two.addresses, [ip(2), ip(3), ip(4)]);
    assert!(two.is_incomplete);
    assert!(
        !answer(&lookup, "new.own.test").is_known,
        "not known to be absent"
    );
    // What was known before does not count for ever.
    learn_at(&mut lookup, "own.test", Some(&partial), start + RETAIN);
    assert!(!answer(&lookup, "www.own.test").is_known);
    assert_eq!(answer(&lookup, "two.own.test").addresses, [ip(4)]);
    learn(&mut lookup, "own.test", Some(&partial.rows));
    let two = answer(&lookup, "two.own.test");
    assert!(two.addresses == [ip(4)] && !two.is_incomplete);
}

#[tokio::test]
async fn a_host_that_leads_to_no_origin_has_the_reason_of_what_is_there() {
    let mut lookup = lookup();
    list(&mut lookup, &["own.test"], true);
    let worker = DnsRecord {
        is_workers: true,
        ..record("worker.own.test", "100::")
    };
    let read_only = DnsRecord {
        is_read_only: true,
        ..record("managed.own.test", "100::")
    };
    let records = [
        worker,
        read_only,
        record("tunnel.own.test", "x.cfargotunnel.com"),
        record("pages.own.test", "shop.pages.dev"),
        record("to-worker.own.test", "worker.own.test"),
        record("plain.own.test", "3.80.2.1"),
    ];
    learn(&mut lookup, "own.test", Some(&records));
    for (name, reason) in [
        ("worker.own.test", Some("worker")),
        ("to-worker.own.test", Some("worker")),
        ("managed.own.test", Some("read_only")),
        ("lb.own.test", Some("no_origin_address")),
        ("tunnel.own.test", Some("no_origin_address")),
        ("pages.own.test", Some("no_origin_address")),
        ("x.workers.dev", Some("no_origin_address")),
        ("plain.own.test", None),
    ] {
        let name = host(name);
        let (answers, _) = lookup.answers(&id("a.test"), [&name], &Paths::new());
        let left_out = answers[&name].left_out;
        assert_eq!(left_out.map(LeftOutReason::as_str), reason, "{name}");
    }
}

/// The findings for a zone whose only source names one host, with every second address mapped.
fn evaluate(host: &Host, world: &[u8]) -> ZoneFindings {
    let mut candidates = Candidates::default();
    candidates.add_host(host.name().clone());
    let read = |candidates: Candidates| SourceState::Read {
        candidates: candidates.into(),
        is_current: true,
    };
    let discovered = Discovered {
        dns: read(candidates),
        load_balancers: read(Candidates::default()),
        rules: read(Candidates::default()),
    };
    let mapping = |last: &u8| Mapping {
        origin_ip: ip(*last),
        vendor: Vendor::Aws,
        region: Region::parse("eu-west-1").unwrap(),
        modified_on: None,
    };
    let mappings = world.iter().step_by(2).map(mapping).collect();
    let mappings = ZoneMappings::from_rows(mappings).unwrap();
    let none: [IpNet; 0] = [];
    let evidence = Evidence {
        declared: &[],
        declared_hosts: &[],
        ignore: &none,
        discovered: &discovered,
        hosts: &[(host.name().clone(), resolved(std::iter::empty(), host))].into(),
        cloudflare: &none,
        supported: None,
        ranges: RangesUse::Off,
    };
    let findings = findings::evaluate(&mappings, &evidence).findings;
    // Only these fields may change when a lookup fails.
    ZoneFindings {
        hosts: None,
        unresolved_hosts: Vec::new(),
        unnamed: None,
        ..findings
    }
}

proptest! {
    /// As long as nothing changes, findings stay the same once every address has been in a
    /// response, regardless of the selection and order of addresses in responses, and of failed
    /// lookups.
    #[test]
    fn order_and_subset_of_answers_never_change_a_finding(
        world in prop::collection::btree_set(any::<u8>(), 1..30),
        rounds in prop::collection::vec(
            (any::<prop::sample::Index>(), 1_usize..9, any::<bool>(), prop::bool::weighted(0.2)),
            100,
        ),
    ) {
        let settings = Settings::default();
        let world: Vec<u8> = world.into_iter().collect();
        let mut known = Host::new(host("shop.us-east-1.elb.amazonaws.com"));
        let mut seen = BTreeSet::new();
        let mut reference: Option<ZoneFindings> = None;
        for (round, (start, size, reversed, fails)) in rounds.iter().enumerate() {
            let past = Duration::from_mins(u64::try_from(round).unwrap());
            let now = Now {
                monotonic: i64::try_from(past.as_millis()).unwrap(),
                wall: Timestamp::UNIX_EPOCH + past,
            };
            let outcome = if *fails {
                Outcome::Failed(Failure::Timeout)
            } else {
                let places = (0..*size).map(|n| (start.index(world.len()) + n) % world.len());
                let mut part: Vec<u8> = places.map(|n| world[n]).collect();
                seen.extend(part.iter().copied());
                if *reversed {
                    part.reverse();
                }
                Outcome::Addresses(Addresses {
                    ips: part.into_iter().map(ip).collect(),
                    ..Addresses::default()
                })
            };
            (known, _) = known.after(&outcome, &settings, now);
            let findings = evaluate(&known, &world);
            if let Some(reference) = &reference {
                prop_assert_eq!(reference, &findings);
            } else if seen.len() == world.len() {
                let is_rotating = world.len() > settings.rotating_above;
                prop_assert_eq!(findings.rotating.len(), usize::from(is_rotating));
                let missing = if is_rotating { 0 } else { world.len() / 2 };
                prop_assert_eq!(findings.missing.len(), missing);
                reference = Some(findings);
            }
        }
    }
}
