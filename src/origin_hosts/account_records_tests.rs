use super::*;

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn zone(id: &str) -> ZoneId {
    ZoneId::parse(id).unwrap()
}

fn target(text: &str) -> RecordTarget {
    match text {
        "worker" => RecordTarget::NoOrigin(NoOrigin::Worker),
        "balancer" => RecordTarget::NoOrigin(NoOrigin::LoadBalancer),
        text => OriginIp::parse(text)
            .map_or_else(|_| RecordTarget::Alias(host(text)), RecordTarget::Address),
    }
}

fn set(accounts: &mut AccountRecords, apex: &str, records: &[(&str, &str)]) -> bool {
    let id = zone(&apex.replace('.', "-"));
    accounts.list(&id, &host(apex), true);
    let records = records
        .iter()
        .map(|(name, to)| (RecordName::parse(name).unwrap(), target(to)));
    accounts.set(&id, Some(records), true)
}

fn accounts(zones: &[(&str, &[(&str, &str)])]) -> AccountRecords {
    let mut accounts = AccountRecords::default();
    for (apex, records) in zones {
        set(&mut accounts, apex, records);
    }
    accounts
}

fn ips(texts: &[&str]) -> End {
    End::Addresses(
        texts
            .iter()
            .map(|ip| OriginIp::parse(ip).unwrap())
            .collect(),
    )
}

fn outside(name: &str) -> End {
    End::Outside(host(name))
}

#[test]
fn names_are_followed_across_zones_to_addresses_or_outside() {
    let accounts = accounts(&[
        (
            "example.com",
            &[
                ("www.example.com", "lb.example.net"),
                ("a.example.com", "192.0.2.2"),
                ("a.example.com", "192.0.2.1"),
                ("a.example.com", "2001:db8::1"),
                ("w.example.com", "worker"),
                ("b.example.com", "c.example.com"),
                ("c.example.com", "x.elb.amazonaws.com"),
                ("balanced.example.com", "192.0.2.9"),
                ("balanced.example.com", "balancer"),
                ("d.example.com", "missing.example.net"),
                ("example.com", "192.0.2.3"),
            ],
        ),
        ("example.net", &[("lb.example.net", "a.example.com")]),
        ("sub.example.net", &[("www.sub.example.net", "192.0.2.4")]),
    ]);
    let all = ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    for (name, chain, end) in [
        ("a.example.com", vec![], all.clone()),
        ("example.com", vec![], ips(&["192.0.2.3"])),
        (
            "www.example.com",
            vec!["lb.example.net", "a.example.com"],
            all,
        ),
        (
            "b.example.com",
            vec!["c.example.com", "x.elb.amazonaws.com"],
            outside("x.elb.amazonaws.com"),
        ),
        ("w.example.com", vec![], End::NoOrigin(NoOrigin::Worker)),
        (
            "balanced.example.com",
            vec![],
            End::NoOrigin(NoOrigin::LoadBalancer),
        ),
        (
            "d.example.com",
            vec!["missing.example.net"],
            outside("missing.example.net"),
        ),
        (
            "missing.example.com",
            vec![],
            outside("missing.example.com"),
        ),
        ("www.sub.example.net", vec![], ips(&["192.0.2.4"])),
        // The zone with the longer name is responsible.
        ("lb.sub.example.net", vec![], outside("lb.sub.example.net")),
        ("origin.example.org", vec![], outside("origin.example.org")),
        ("notexample.com", vec![], outside("notexample.com")),
    ] {
        let followed = accounts.follow(&host(name));
        let chain: Vec<_> = chain.into_iter().map(host).collect();
        assert_eq!((followed.chain, followed.end), (chain, end), "{name}");
    }
    let zones = accounts.follow(&host("www.example.com")).zones;
    assert_eq!(zones, [zone("example-com"), zone("example-net")]);
}

/// The examples of RFC 4592, section 2.2.1, that are about addresses.
#[test]
fn wildcards_answer_for_what_does_not_exist_below_the_closest_name_that_does() {
    let accounts = accounts(&[(
        "example.com",
        &[
            ("*.example.com", "192.0.2.1"),
            ("host1.example.com", "192.0.2.2"),
            ("deep.sub.example.com", "192.0.2.3"),
            ("*.wild.example.com", "target.example.org"),
            ("exact.wild.example.com", "192.0.2.4"),
            ("sub-x.example.com", "192.0.2.5"),
        ],
    )]);
    for (name, end) in [
        ("any.example.com", ips(&["192.0.2.1"])),
        ("any.below.example.com", ips(&["192.0.2.1"])),
        ("host1.example.com", ips(&["192.0.2.2"])),
        (
            "below.host1.example.com",
            outside("below.host1.example.com"),
        ),
        // It exists because there is a name below it.
        ("sub.example.com", outside("sub.example.com")),
        ("other.sub.example.com", outside("other.sub.example.com")),
        ("deep.sub.example.com", ips(&["192.0.2.3"])),
        ("exact.wild.example.com", ips(&["192.0.2.4"])),
        ("any.wild.example.com", outside("target.example.org")),
        ("a.b.wild.example.com", outside("target.example.org")),
        ("wild.example.com", outside("wild.example.com")),
        ("example.com", outside("example.com")),
    ] {
        assert_eq!(accounts.follow(&host(name)).end, end, "{name}");
    }
}

#[test]
fn loops_and_long_chains_end() {
    let long: Vec<_> = (0..20)
        .map(|n| {
            (
                format!("n{n}.example.com"),
                format!("n{}.example.com", n + 1),
            )
        })
        .chain([("n20.example.com".to_owned(), "192.0.2.1".to_owned())])
        .collect();
    let long: Vec<_> = long.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let mut accounts = accounts(&[("example.com", &long)]);
    let end = |accounts: &AccountRecords, name| accounts.follow(&host(name)).end;
    assert_eq!(end(&accounts, "n12.example.com"), ips(&["192.0.2.1"]));
    assert_eq!(end(&accounts, "n11.example.com"), End::TooLong);
    let around = [
        ("a.example.com", "b.example.com"),
        ("b.example.com", "a.example.com"),
    ];
    set(&mut accounts, "example.com", &around);
    assert_eq!(end(&accounts, "a.example.com"), End::TooLong);
    set(
        &mut accounts,
        "example.com",
        &[("*.example.com", "x.example.com")],
    );
    assert_eq!(end(&accounts, "a.example.com"), End::TooLong);
}

#[test]
fn a_zone_that_was_not_read_leaves_its_names_unknown() {
    let mut accounts = accounts(&[("example.com", &[("www.example.com", "a.example.net")])]);
    accounts.list(&zone("net"), &host("example.net"), true);
    assert_eq!(accounts.follow(&host("www.example.com")).end, End::NotRead);
    assert_eq!(accounts.follow(&host("a.example.net")).end, End::NotRead);
    accounts.remove(&zone("net"));
    assert_eq!(
        accounts.follow(&host("a.example.net")).end,
        outside("a.example.net")
    );
}

#[test]
fn of_zones_with_one_name_the_active_one_answers() {
    let mut accounts = AccountRecords::default();
    let records = |ip: &str| Some([(RecordName::parse("www.example.com").unwrap(), target(ip))]);
    accounts.list(&zone("a"), &host("example.com"), false);
    accounts.list(&zone("b"), &host("example.com"), true);
    accounts.set(&zone("a"), records("192.0.2.1"), true);
    accounts.set(&zone("b"), records("192.0.2.2"), true);
    let end = |accounts: &AccountRecords| accounts.follow(&host("www.example.com")).end;
    assert_eq!(end(&accounts), ips(&["192.0.2.2"]));
    accounts.list(&zone("b"), &host("example.com"), false);
    assert_eq!(
        end(&accounts),
        ips(&["192.0.2.1"]),
        "the first, where none is active"
    );
    accounts.remove(&zone("a"));
    assert_eq!(end(&accounts), ips(&["192.0.2.2"]));
}

#[test]
fn it_is_seen_whether_records_changed() {
    let mut accounts = AccountRecords::default();
    let rows = [
        ("a.example.com", "192.0.2.1"),
        ("b.example.com", "192.0.2.2"),
    ];
    assert!(set(&mut accounts, "example.com", &rows));
    let reversed = [rows[1], rows[0], rows[1]];
    assert!(
        !set(&mut accounts, "example.com", &reversed),
        "order does not matter"
    );
    assert!(set(&mut accounts, "example.com", &rows[..1]));
    assert!(!accounts.set(
        &zone("unlisted"),
        None::<[(RecordName, RecordTarget); 0]>,
        true
    ));
}

#[test]
fn unreadable_records_of_a_zone_leave_open_what_its_other_names_lead_to() {
    let mut accounts = accounts(&[("example.com", &[("www.example.com", "192.0.2.1")])]);
    let follow = |accounts: &AccountRecords, name| {
        let followed = accounts.follow(&host(name));
        (followed.end, followed.is_partial)
    };
    let other = "other.example.com";
    assert_eq!(follow(&accounts, other), (outside(other), false));
    let name = RecordName::parse("www.example.com").unwrap();
    let records = [(name, target("192.0.2.1"))];
    assert!(accounts.set(&zone("example-com"), Some(records), false));
    assert_eq!(follow(&accounts, other), (End::NotRead, true));
    let end = ips(&["192.0.2.1"]);
    assert_eq!(follow(&accounts, "www.example.com"), (end, true));
    accounts.list(&zone("example-com"), &host("example.com"), false);
    assert_eq!(follow(&accounts, other), (End::NotRead, true));
}
