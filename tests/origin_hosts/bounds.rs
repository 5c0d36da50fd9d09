//! Limits on concurrent lookups, on their duration, and on the number of hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use cloudflare_origin_region_exporter::domain::HostState;
use cloudflare_origin_region_exporter::domain::ZoneId;
use cloudflare_origin_region_exporter::origin_hosts::MAX_HOSTS;
use cloudflare_origin_region_exporter::simulator::dns::{DnsHost, DnsTrouble};
use tokio::time::Instant;

use crate::support::{World, host};

#[tokio::test]
async fn at_most_32_questions_are_in_flight() {
    let late = Duration::from_millis(200);
    let slow = DnsHost::addresses(["198.51.100.1"]).trouble(DnsTrouble::Slow(late));
    let names: Vec<_> = (0..64).map(|n| format!("h{n}.example")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let known: Vec<_> = names.iter().map(|name| (*name, slow.clone())).collect();
    let world = World::new(&known).await;
    let start = Instant::now();
    world.resolve(&names).await;
    let took = start.elapsed();
    let at: Vec<_> = world.dns.questions().iter().map(|asked| asked.at).collect();
    assert_eq!(at.len(), 128);
    for (earlier, later) in at.iter().zip(at.iter().skip(32)) {
        assert!(later.duration_since(*earlier) + Duration::from_millis(20) >= late);
    }
    assert!(took < late * 8, "lookups are not concurrent: {took:?}");
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_after_two_tries_of_three_seconds() {
    let silent = DnsHost::default().trouble(DnsTrouble::Silent);
    let world = World::new(&[("silent.example", silent)]).await;
    let start = Instant::now();
    world.resolve(&["silent.example"]).await;
    let took = start.elapsed();
    assert!((5.5..7.5).contains(&took.as_secs_f64()), "{took:?}");
    assert_eq!(world.state("silent.example"), Some(HostState::Failing));
}

#[tokio::test]
async fn hosts_beyond_the_limit_are_left_out_and_harm_no_other() {
    let world = World::new(&[]).await;
    let zone = |id: &str| ZoneId::parse(id).unwrap();
    let many: BTreeSet<_> = (0..MAX_HOSTS)
        .map(|n| host(&format!("h{n}.example")))
        .collect();
    world.hosts.want(&zone("a"), many);
    world.want("b", &["one-more.example"]);
    assert!(world.hosts.get(&host("one-more.example")).is_none());
    assert!(world.hosts.get(&host("h0.example")).is_some());
    // Every poll of a zone requests its hosts again.
    world.hosts.want(&zone("a"), BTreeSet::new());
    world.want("b", &["one-more.example"]);
    world
        .until("one-more.example", |host| host.state().is_some())
        .await;
}
