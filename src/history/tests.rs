use super::*;
use crate::domain::{OriginIp, Vendor, ZoneId, ZoneName};

fn zone(name: &str) -> Zone {
    Zone {
        name: ZoneName::parse(name).unwrap(),
        ..Zone::unknown(ZoneId::parse(&name.replace('.', "-")).unwrap())
    }
}

/// The time this many seconds after the start of each test.
fn at(second: u64) -> Timestamp {
    let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    start + Duration::from_secs(second)
}

fn added(ip: u8) -> Details {
    Details {
        origin_ip: Some(OriginIp::parse(&format!("192.0.2.{ip}")).unwrap()),
        vendor: Some(Vendor::Aws),
        ..Details::new(ChangeKind::MappingAdded)
    }
}

fn record(history: &History, zone_name: &str, second: u64, details: Vec<Details>) -> Vec<u64> {
    let recorded = history.record(&zone(zone_name), at(second), details, |_| None);
    recorded.iter().map(|change| change.id).collect()
}

fn ids(page: &Page) -> Vec<u64> {
    page.changes.iter().map(|change| change.id).collect()
}

fn query(history: &History, query: &Query) -> (usize, Vec<u64>) {
    let page = history.query(query, at(3600));
    (page.total, ids(&page))
}

#[test]
fn changes_come_newest_first_by_page_and_filter() {
    let history = History::new(&Settings::default(), 100);
    assert_eq!(
        record(&history, "a.example", 1, vec![added(1), added(2)]),
        [1, 2]
    );
    let mut missing = Details::new(ChangeKind::FindingAppeared);
    missing.finding = Some(FindingKind::Missing);
    assert_eq!(
        record(&history, "b.example", 2, vec![added(1), missing]),
        [3, 4]
    );

    let all = Query::default();
    assert_eq!(query(&history, &all), (4, vec![4, 3, 2, 1]));
    let page = Query {
        limit: 2,
        offset: 1,
        ..all.clone()
    };
    assert_eq!(query(&history, &page), (4, vec![3, 2]));
    for zone in ["A.Example", "a-example"] {
        let zone = Query {
            zone: Some(zone.to_owned()),
            ..all.clone()
        };
        assert_eq!(query(&history, &zone), (2, vec![2, 1]));
    }
    let ip = Query {
        origin_ip: Some(OriginIp::parse("192.0.2.1").unwrap()),
        ..all.clone()
    };
    assert_eq!(query(&history, &ip), (2, vec![3, 1]));
    let kind = Query {
        kind: Some(ChangeKind::FindingAppeared),
        ..all.clone()
    };
    assert_eq!(query(&history, &kind), (1, vec![4]));
    let finding = Query {
        finding: Some(FindingKind::Missing),
        ..all.clone()
    };
    assert_eq!(query(&history, &finding), (1, vec![4]));
    let (first, second) = {
        let page = history.query(&all, at(3600));
        (page.changes[3].time, page.changes[0].time)
    };
    let since = Query {
        since: Some(second),
        ..all.clone()
    };
    assert_eq!(query(&history, &since), (2, vec![4, 3]));
    let until = Query {
        until: Some(first),
        ..all
    };
    assert_eq!(query(&history, &until), (2, vec![2, 1]));
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let history = History::new(&Settings::default(), 1_000);
    for second in 0..70 {
        record(&history, "a.example", second, vec![added(1); 17]);
    }
    let (total, ids) = query(&history, &Query::default());
    assert_eq!((total, ids[0], ids[999]), (1_000, 1190, 191));
    assert_eq!(history.kept(), (191, 1190));
    assert_eq!(history.all().0.len(), 1_000);
}

#[test]
fn old_changes_go_and_identifiers_are_never_used_again() {
    let settings = Settings {
        retain: Duration::from_mins(30),
    };
    let history = History::new(&settings, 100);
    record(&history, "a.example", 0, vec![added(1)]);
    assert_eq!(
        query(&history, &Query::default()).0,
        0,
        "it is older than what is kept"
    );
    record(&history, "a.example", 3000, vec![added(2)]);
    assert_eq!(query(&history, &Query::default()), (1, vec![2]));
    history.configure(
        &Settings {
            retain: Duration::from_secs(1),
        },
        at(3600),
    );
    assert_eq!(history.kept(), (3, 2));

    let (changes, last_id) = history.all();
    let changes = changes.iter().map(|change| Change::clone(change)).collect();
    let restored = History::restored(&settings, 100, changes, last_id, at(3600));
    assert_eq!(record(&restored, "a.example", 3001, vec![added(3)]), [3]);
}

#[test]
fn an_actor_is_added_once_and_a_page_that_was_read_stays_as_it_was() {
    let history = History::new(&Settings::default(), 1_000);
    record(&history, "a.example", 1, vec![added(1); 600]);
    let before = history.query(&Query::default(), at(3600));
    let actor = |name: &str| Actor {
        kind: "user".to_owned(),
        name: name.to_owned(),
        context: "dash".to_owned(),
        time: at(0),
    };
    let changed = history.set_actor(300, actor("first")).unwrap();
    assert_eq!(
        (changed.id, changed.actor.clone()),
        (300, Some(actor("first")))
    );
    assert_eq!(history.set_actor(300, actor("second")), None);
    assert_eq!(history.set_actor(601, actor("nobody")), None);
    assert_eq!(history.set_actor(0, actor("nobody")), None);
    let after = history.query(&Query::default(), at(3600));
    assert_eq!(before.changes[300].actor, None);
    assert_eq!(after.changes[300], changed);
    assert_eq!(
        after
            .changes
            .iter()
            .filter(|change| change.actor.is_some())
            .count(),
        1
    );
}
