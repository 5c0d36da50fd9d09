//! The number and timing of requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::cloudflare::{CallBudget, Credentials, RateLimit, Reason};
use cloudflare_origin_region_exporter::domain::OriginIp;

use crate::scripted::Reply;
use crate::support::{Set, TOKEN, answer, call, http, inline, settings, zone};

#[tokio::test]
async fn after_a_429_nothing_is_sent_until_retry_after_has_passed() {
    let mut first = true;
    let set = Set::with(
        |settings| settings.concurrency = 1,
        inline(TOKEN),
        move |_| {
            if std::mem::take(&mut first) {
                let headers = vec![("retry-after", "1".to_owned())];
                let reply = Reply::Answer(429, headers, Vec::new());
                Reply::Late(Duration::from_millis(100), Box::new(reply))
            } else {
                answer(200, include_str!("../data/cloudflare/list-empty.json"))
            }
        },
    )
    .await;
    // Calls that wait for the only permit must not be sent after the response arrives.
    let waiting = Arc::new(call());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (client, waiting) = (set.client.clone(), Arc::clone(&waiting));
        tasks.spawn(async move { client.list_mappings(&zone(), &waiting).await });
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(set.server.seen().len(), 1);
    assert!(set.client.paused_until().is_some());
    assert!(waiting.waited() > Duration::from_millis(400));
    let until = r#"api_blocked_until_timestamp_seconds{account="main"}"#;
    assert!(set.metric(until).unwrap() > 1e9);
    let outcomes = tasks.join_all().await;
    let failed: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().err()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].reason, Reason::RateLimited);
    let seen = set.server.seen();
    assert_eq!(seen.len(), 5);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    assert_eq!(set.metric(until), Some(0.0));
}

#[tokio::test]
async fn requests_wait_for_the_reset_when_the_quota_is_nearly_spent() {
    let mut left = 40;
    let set = Set::up(move |_| {
        left -= 39;
        let headers = vec![
            ("ratelimit", format!(r#""default";r={};t=1"#, left.max(0))),
            ("ratelimit-policy", r#""default";q=100;w=60"#.to_owned()),
        ];
        let body = include_bytes!("../data/cloudflare/list-empty.json").to_vec();
        Reply::Answer(200, headers, body)
    })
    .await;
    let started = Instant::now();
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert!(set.client.paused_until().is_some());
    assert_eq!(
        set.metric(r#"api_rate_limit_remaining{account="main"}"#),
        Some(1.0)
    );
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn no_window_holds_more_than_the_budget_and_probes_get_a_tenth() {
    let set = Set::with(
        |settings| {
            settings.rate_limit = RateLimit {
                requests: 40,
                window: Duration::from_millis(500),
                share: 0.5,
            }
        },
        inline(TOKEN),
        |_| answer(200, include_str!("../data/cloudflare/list-empty.json")),
    )
    .await;
    assert_eq!(set.client.rate_limit().budget(), 20);
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let client = set.client.clone();
        probes.spawn(async move {
            let call = CallBudget::probe(Duration::from_secs(5));
            client.list_mappings(&zone(), &call).await.unwrap();
        });
    }
    probes.join_all().await;
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..45 {
        let client = set.client.clone();
        polls.spawn(async move { client.list_mappings(&zone(), &call()).await.unwrap() });
    }
    polls.join_all().await;
    let seen = set.server.seen();
    assert_eq!(seen.len(), 50);
    let window = Duration::from_millis(500);
    assert!(
        seen[2].at - seen[0].at >= window,
        "a third probe came too early"
    );
    for window_and_one in seen.windows(21) {
        assert!(window_and_one[20].at - window_and_one[0].at >= window);
    }
}

#[tokio::test]
async fn other_settings_come_into_force_and_a_pause_stays() {
    let set = Set::up(|seen| match seen.header("authorization") {
        Some("Bearer new") => answer(200, include_str!("../data/cloudflare/list-empty.json")),
        _ => Reply::Answer(429, vec![("retry-after", "1".to_owned())], Vec::new()),
    })
    .await;
    let limited = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(limited.reason, Reason::RateLimited);
    let mut settings = settings(&format!("http://{}/client/v4/", set.server.address));
    settings.rate_limit.requests = 500;
    set.client
        .reconfigure(&settings, Credentials::Token(inline("new")), http());
    assert!(set.client.paused_until().is_some());
    assert_eq!(set.client.rate_limit().budget(), 500);
    assert_eq!(
        set.metric(r#"api_budget_requests{account="main"}"#),
        Some(500.0)
    );
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    let seen = set.server.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    assert!(
        seen[1].target.starts_with("/client/v4/zones/"),
        "{}",
        seen[1].target
    );
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_allowed_and_a_budget_ends_a_call() {
    let set = Set::with(
        |settings| {
            settings.concurrency = 2;
            settings.retries = 5;
        },
        inline(TOKEN),
        |_| Reply::Hang(Vec::new()),
    )
    .await;
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let client = set.client.clone();
        tasks.spawn(async move {
            let call = CallBudget::new(Duration::from_millis(300));
            client.list_mappings(&zone(), &call).await.unwrap_err()
        });
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(set.server.seen().len(), 2);
    for error in tasks.join_all().await {
        assert_eq!(error.reason, Reason::Timeout);
    }
    assert!(started.elapsed() < Duration::from_millis(1500));
}

#[tokio::test]
async fn a_crowd_of_probes_that_hang_delays_no_poll() {
    let set = Set::with(
        |settings| settings.timeout = Duration::from_mins(1),
        inline(TOKEN),
        |seen| {
            if seen.target.ends_with("cloud_regions/192.0.2.1") {
                Reply::Hang(Vec::new())
            } else {
                answer(200, include_str!("../data/cloudflare/list-empty.json"))
            }
        },
    )
    .await;
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = set.client.clone();
        probes.spawn(async move {
            let call = CallBudget::probe(Duration::from_mins(1));
            let ip = OriginIp::parse("192.0.2.1").unwrap();
            client.get_mapping(&zone(), ip, &call).await
        });
    }
    let all_places = async {
        while set.server.seen().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all_places)
        .await
        .unwrap();
    let polls = async {
        for _ in 0..20 {
            set.client.list_mappings(&zone(), &call()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(3), polls)
        .await
        .unwrap();
    let probes_sent = set
        .server
        .seen()
        .iter()
        .filter(|seen| !seen.target.contains("page="))
        .count();
    assert_eq!(probes_sent, 4);
}

#[tokio::test]
async fn the_first_answer_counts_what_an_earlier_life_has_used() {
    let mut left = 50;
    let set = Set::with(
        |settings| {
            settings.rate_limit = RateLimit {
                requests: 100,
                window: Duration::from_mins(5),
                share: 0.5,
            };
        },
        inline(TOKEN),
        move |_| {
            left -= 1;
            let headers = vec![
                ("ratelimit", format!(r#""default";r={left};t=300"#)),
                ("ratelimit-policy", r#""default";q=100;w=300"#.to_owned()),
            ];
            let body = include_bytes!("../data/cloudflare/list-empty.json").to_vec();
            Reply::Answer(200, headers, body)
        },
    )
    .await;
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    // All 50 requests of the window are used.
    let short = CallBudget::new(Duration::from_secs(5));
    let id = zone();
    let next = set.client.list_mappings(&id, &short);
    let next = tokio::time::timeout(Duration::from_millis(300), next).await;
    assert!(next.is_err(), "the call waits");
    assert_eq!(set.server.seen().len(), 1);
}
