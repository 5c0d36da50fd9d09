//! How the resolver handles all kinds of responses.

use std::time::Duration;

use cloudflare_origin_region_exporter::domain::HostState;
use cloudflare_origin_region_exporter::origin_hosts::{Failure, Settings};
use cloudflare_origin_region_exporter::simulator::dns::{
    DnsHost, DnsTrouble, QuestionKind, Transport,
};

use crate::support::{World, host};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn addresses_of_both_kinds_are_found_along_the_chain() {
    let world = World::new(&[
        ("www.example", DnsHost::alias("lb.example")),
        (
            "lb.example",
            DnsHost::alias("a.us-east-1.elb.amazonaws.com"),
        ),
        (
            "a.us-east-1.elb.amazonaws.com",
            DnsHost::addresses(["198.51.100.2", "198.51.100.1", "2001:db8::1"]),
        ),
    ])
    .await;
    world.resolve(&["www.example"]).await;
    assert_eq!(world.state("www.example"), Some(HostState::Resolved));
    let ips = ["198.51.100.1", "198.51.100.2", "2001:db8::1"];
    assert_eq!(world.ips("www.example"), ips);
    let known = world.host("www.example");
    let chain: Vec<_> = known.chain().map(ToString::to_string).collect();
    let names = ["www.example", "lb.example", "a.us-east-1.elb.amazonaws.com"];
    assert_eq!(chain, names);
}

#[tokio::test]
async fn every_kind_of_answer_has_its_state() {
    let trouble = |trouble| DnsHost::addresses(["198.51.100.1"]).trouble(trouble);
    let world = World::new(&[
        ("good.example", DnsHost::addresses(["198.51.100.1"])),
        ("servfail.example", trouble(DnsTrouble::ServerFailure)),
        ("refused.example", trouble(DnsTrouble::Refused)),
        ("nxdomain.example", trouble(DnsTrouble::NxDomain)),
        ("empty.example", trouble(DnsTrouble::Empty)),
        (
            "slow.example",
            trouble(DnsTrouble::Slow(Duration::from_millis(200))),
        ),
        ("dangling.example", DnsHost::alias("gone.example")),
        ("loop.example", DnsHost::alias("loop.example")),
    ])
    .await;
    let expected = [
        ("good.example", HostState::Resolved, None),
        (
            "servfail.example",
            HostState::Failing,
            Some(Failure::ServerFailure),
        ),
        (
            "refused.example",
            HostState::Failing,
            Some(Failure::Refused),
        ),
        ("nxdomain.example", HostState::NoAddress, None),
        ("empty.example", HostState::NoAddress, None),
        ("slow.example", HostState::Resolved, None),
        ("dangling.example", HostState::NoAddress, None),
        (
            "loop.example",
            HostState::Failing,
            Some(Failure::ServerFailure),
        ),
        ("unheard-of.example", HostState::NoAddress, None),
    ];
    world.resolve(&expected.map(|(name, ..)| name)).await;
    for (name, state, failure) in expected {
        assert_eq!(world.state(name), Some(state), "{name}");
        assert_eq!(world.host(name).failure(), failure, "{name}");
    }
    // Every host is asked for A and AAAA. The hosts "good" and "slow" have only A records.
    for (result, count) in [
        ("ok", 2.0),
        ("nxdomain", 6.0),
        ("no_records", 4.0),
        ("failed", 6.0),
    ] {
        assert!((world.queries(result) - count).abs() < 0.1, "{result}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_into_a_datagram_is_asked_for_over_tcp() {
    let many: Vec<_> = (0..60).map(|n| format!("198.51.100.{n}")).collect();
    let world = World::new(&[
        (
            "many.example",
            DnsHost::addresses(many.iter().map(String::as_str)),
        ),
        (
            "cut.example",
            DnsHost::addresses(["198.51.100.1"]).trouble(DnsTrouble::Truncated),
        ),
    ])
    .await;
    world.resolve(&["many.example", "cut.example"]).await;
    assert_eq!(world.ips("many.example").len(), 60);
    assert_eq!(world.state("many.example"), Some(HostState::Rotating));
    assert_eq!(world.ips("cut.example"), ["198.51.100.1"]);
    let questions = world.dns.questions();
    assert!(
        questions
            .iter()
            .any(|asked| asked.transport == Transport::Tcp)
    );
}

#[tokio::test]
async fn names_are_asked_as_they_are() {
    let world = World::new(&[]).await;
    world
        .resolve(&["short", "a.b.c.d.e.example", "_x.example"])
        .await;
    let mut asked: Vec<_> = world
        .dns
        .questions()
        .into_iter()
        .map(|asked| asked.question.name)
        .collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["_x.example", "a.b.c.d.e.example", "short"]);
}

#[tokio::test]
async fn subsets_of_a_rotating_host_add_up_and_nothing_changes_after_that() {
    let all: Vec<_> = (1..=12).map(|n| format!("198.51.100.{n}")).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    let world = World::new(&[("alb.example", DnsHost::addresses(all.clone()).rotating(5))]).await;
    world.resolve(&["alb.example"]).await;
    assert_eq!(world.ips("alb.example").len(), 5);
    for _ in 0..2 {
        world.ask_again("alb.example", MINUTE).await;
    }
    assert!(
        world.host("alb.example").is_settling(),
        "each response had new addresses"
    );
    world.ask_again("alb.example", MINUTE).await;
    assert!(!world.host("alb.example").is_settling());
    let known = world.host("alb.example");
    assert_eq!(known.ips().len(), 12);
    for _ in 0..5 {
        world.ask_again("alb.example", MINUTE).await;
        assert!(!world.host("alb.example").differs(&known));
    }
    // With this limit, the host has too many addresses.
    let strict = Settings {
        rotating_above: 11,
        ..world.settings.clone()
    };
    world.hosts.reconfigure(strict).unwrap();
    assert_eq!(world.state("alb.example"), Some(HostState::Rotating));
}

#[tokio::test]
async fn replaced_addresses_count_until_the_window_is_over() {
    let settings = Settings {
        window: Duration::from_secs(150),
        ..Settings::default()
    };
    let names = [("lb.example", DnsHost::addresses(["198.51.100.1"]))];
    let world = World::with(&names, settings).await;
    world.resolve(&["lb.example"]).await;
    let replaced = DnsHost::addresses(["198.51.100.2"]);
    world.dns.update(|names| names.set("lb.example", replaced));
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.ips("lb.example"), ["198.51.100.1", "198.51.100.2"]);
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.ips("lb.example"), ["198.51.100.1", "198.51.100.2"]);
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.ips("lb.example"), ["198.51.100.2"]);
}

#[tokio::test]
async fn one_denial_changes_nothing_and_two_end_the_counting() {
    let names = [("lb.example", DnsHost::addresses(["198.51.100.1"]))];
    let world = World::new(&names).await;
    world.resolve(&["lb.example"]).await;
    world.dns.update(|names| names.remove("lb.example"));
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.state("lb.example"), Some(HostState::Resolved));
    assert_eq!(world.ips("lb.example"), ["198.51.100.1"]);
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.state("lb.example"), Some(HostState::NoAddress));
    assert_eq!(world.ips("lb.example").len(), 0);
}

#[tokio::test]
async fn a_failure_keeps_the_addresses_and_passes() {
    let names = [("lb.example", DnsHost::addresses(["198.51.100.1"]))];
    let world = World::new(&names).await;
    world.resolve(&["lb.example"]).await;
    let failing = DnsHost::addresses([]).trouble(DnsTrouble::ServerFailure);
    world.dns.update(|names| names.set("lb.example", failing));
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.state("lb.example"), Some(HostState::Failing));
    assert_eq!(world.ips("lb.example"), ["198.51.100.1"]);
    let back = DnsHost::addresses(["198.51.100.1"]);
    world.dns.update(|names| names.set("lb.example", back));
    world.ask_again("lb.example", MINUTE).await;
    assert_eq!(world.state("lb.example"), Some(HostState::Resolved));
}

#[tokio::test]
async fn a_server_that_fails_for_aaaa_alone_leaves_a_host_without_such_addresses_resolved() {
    let half = DnsHost::addresses(["198.51.100.1"])
        .trouble_for(QuestionKind::Aaaa, DnsTrouble::ServerFailure);
    let world = World::new(&[("half.example", half)]).await;
    world.resolve(&["half.example"]).await;
    assert_eq!(world.state("half.example"), Some(HostState::Resolved));
}

#[tokio::test]
async fn changes_are_reported_and_what_stays_as_it_is_is_not() {
    let names = [
        ("a.example", DnsHost::addresses(["198.51.100.1"])),
        ("b.example", DnsHost::addresses(["198.51.100.2"])),
    ];
    let world = World::new(&names).await;
    world.resolve(&["a.example", "b.example"]).await;
    assert_eq!(
        world.changed().await.len(),
        2,
        "all hosts are new to the first caller"
    );
    let replaced = DnsHost::addresses(["198.51.100.3"]);
    world.dns.update(|names| names.set("b.example", replaced));
    world.ask_again("b.example", MINUTE).await;
    assert_eq!(world.changed().await, [host("b.example")].into());
    assert_eq!(world.dns.count("a.example"), 4, "it was looked up too");
}

#[tokio::test]
async fn what_was_known_is_there_after_a_restart_before_any_answer() {
    let names = [("a.example", DnsHost::addresses(["198.51.100.1"]))];
    let world = World::new(&names).await;
    world.resolve(&["a.example"]).await;
    let unsaved = world.hosts.unsaved().await;
    assert_eq!(unsaved, [host("a.example")].into());
    let stored: Vec<_> = world
        .hosts
        .all()
        .iter()
        .filter_map(|host| host.store())
        .collect();

    let restarted =
        World::new(&[("a.example", DnsHost::default().trouble(DnsTrouble::Silent))]).await;
    restarted.hosts.restore(&stored);
    restarted.want("zone", &["a.example"]);
    assert_eq!(restarted.ips("a.example"), ["198.51.100.1"]);
    assert_eq!(restarted.state("a.example"), Some(HostState::Resolved));
}

#[tokio::test]
async fn other_name_servers_are_used_from_the_next_question_on() {
    let names = [("a.example", DnsHost::addresses(["198.51.100.1"]))];
    let world = World::new(&names).await;
    let other = World::new(&[("a.example", DnsHost::addresses(["198.51.100.2"]))]).await;
    world.resolve(&["a.example"]).await;
    world.hosts.reconfigure(other.settings.clone()).unwrap();
    world.want("zone", &["a.example", "b.example"]);
    world
        .until("b.example", |host| host.state().is_some())
        .await;
    assert_eq!(world.dns.count("b.example"), 0);
    assert_eq!(other.dns.count("b.example"), 2);
}
