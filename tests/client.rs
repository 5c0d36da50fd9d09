//! The API client against a server that misbehaves on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests say what they expect as tests do"
)]

mod scripted;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudflare_origin_region_exporter::cloudflare::{
    AccountSettings, Call, Client, Credentials, Metrics, RateLimit, Reason, Secret, Secrets,
    Settings, TokenState,
};
use cloudflare_origin_region_exporter::domain::{AccountName, OriginIp, ZoneId};
use cloudflare_origin_region_exporter::outbound;
use prometheus::{Registry, TextEncoder};
use scripted::{Reply, Seen, Server};
use secrecy::SecretString;

const TOKEN: &str = "very-secret-token";
const PREFIX: &str = "cloudflare_origin_region_exporter_";

struct Set {
    server: Server,
    client: Client,
    registry: Registry,
}

impl Set {
    async fn up(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::with(|_| {}, inline(TOKEN), script).await
    }

    async fn with(
        change: impl FnOnce(&mut Settings),
        secret: Secret,
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let server = Server::start(script).await;
        let mut settings = settings(&format!("http://{}/client/v4", server.address));
        change(&mut settings);
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let client = Client::new(
            &settings,
            account(secret),
            http(),
            &metrics,
            &Secrets::default(),
        );
        Self {
            server,
            client,
            registry,
        }
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap();
        text.lines().find_map(|line| {
            line.strip_prefix(&format!("{PREFIX}{series} "))?
                .parse()
                .ok()
        })
    }
}

fn settings(base: &str) -> Settings {
    Settings {
        base_url: base.parse().unwrap(),
        ca_file: None,
        rate_limit: RateLimit {
            requests: 1000,
            window: Duration::from_mins(5),
            share: 1.0,
        },
        concurrency: 8,
        timeout: Duration::from_secs(1),
        retries: 1,
    }
}

fn inline(secret: &str) -> Secret {
    Secret::Inline(SecretString::from(secret))
}

fn account(secret: Secret) -> AccountSettings {
    AccountSettings {
        name: AccountName::parse("main").unwrap(),
        credentials: Credentials::Token(secret),
    }
}

fn http() -> reqwest::Client {
    outbound::client_builder(None).unwrap().build().unwrap()
}

fn zone() -> ZoneId {
    ZoneId::parse("z1").unwrap()
}

fn call() -> Call {
    Call::new(Duration::from_secs(20))
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(status, Vec::new(), body.as_bytes().to_vec())
}

fn error(status: u16, code: u32) -> Reply {
    answer(
        status,
        &format!(
            r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"result":null}}"#
        ),
    )
}

fn query(seen: &Seen, key: &str) -> Option<u64> {
    let query = seen.target.split_once('?')?.1;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{key}="))?.parse().ok())
}

/// An honest page of a list of `total` rows that `row` makes from their numbers.
fn page(seen: &Seen, total: u64, row: impl Fn(u64) -> String) -> String {
    let page = query(seen, "page").unwrap();
    let per_page = query(seen, "per_page").unwrap();
    let rows: Vec<_> = ((page - 1) * per_page..(page * per_page).min(total))
        .map(row)
        .collect();
    format!(
        r#"{{"success":true,"result":[{}],"result_info":{{"page":{page},"per_page":{per_page},
           "count":{},"total_count":{total},"total_pages":{}}}}}"#,
        rows.join(","),
        rows.len(),
        total.div_ceil(per_page)
    )
}

fn mapping(number: u64) -> String {
    format!(
        r#"{{"origin_ip":"192.0.{}.{}","vendor":"aws","region":"us-east-1"}}"#,
        number / 256,
        number % 256
    )
}

#[tokio::test]
async fn the_documented_list_is_read_with_the_token() {
    let body = include_str!("data/cloudflare/list-two.json");
    let set = Set::up(move |_| answer(200, body)).await;
    let client = set.client.clone();
    let list = tokio::spawn(async move { client.list_mappings(&zone(), &call()).await });
    assert_eq!(list.await.unwrap().unwrap().mappings.len(), 2);
    let seen = set.server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].target,
        "/client/v4/zones/z1/origin/cloud_regions?page=1&per_page=100"
    );
    assert_eq!(
        seen[0].header("authorization"),
        Some("Bearer very-secret-token")
    );
    assert_eq!(
        set.metric(r#"api_requests_total{account="main",code="200",operation="list_mappings"}"#),
        Some(1.0)
    );
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(1.0));
}

#[tokio::test]
async fn the_fewest_requests_read_a_full_zone_and_many_zones() {
    let set = Set::up(|seen| {
        answer(
            200,
            &if seen.target.contains("cloud_regions") {
                page(seen, 3500, mapping)
            } else {
                page(seen, 101, |n| {
                    format!(r#"{{"id":"z{n}","name":"z{n}.example"}}"#)
                })
            },
        )
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.mappings.len(), 3500);
    assert_eq!(set.server.seen().len(), 35);
    assert_eq!(
        set.client.list_zones(&call()).await.unwrap().zones.len(),
        101
    );
    assert_eq!(set.server.seen().len(), 35 + 3);
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: Vec<u8>) -> Reply {
    Reply::Answer(200, vec![("content-encoding", "gzip".to_owned())], body)
}

fn raw(text: &str) -> Reply {
    Reply::Raw(text.as_bytes().to_vec())
}

/// A name, what the server does, the class of the failure, the code label, and how often it is
/// tried.
type Fault = (&'static str, Reply, Reason, &'static str, usize);

fn faults_of_the_connection() -> Vec<Fault> {
    vec![
        ("cut before the head", raw(""), Reason::Http, "none", 2),
        (
            "cut in the head",
            raw("HTTP/1.1 200 OK\r\ncont"),
            Reason::Http,
            "none",
            2,
        ),
        (
            "cut in the body",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"success\""),
            Reason::Http,
            "200",
            2,
        ),
        (
            "no HTTP",
            raw("SSH-2.0-OpenSSH\r\n"),
            Reason::Http,
            "none",
            2,
        ),
        (
            "chunked garbage",
            raw(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            ),
            Reason::Http,
            "200",
            2,
        ),
        (
            "silence",
            Reply::Hang(Vec::new()),
            Reason::Timeout,
            "none",
            2,
        ),
        (
            "silence after the head",
            Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n".to_vec()),
            Reason::Timeout,
            "200",
            2,
        ),
        (
            "drip",
            Reply::Drip(Duration::from_millis(100)),
            Reason::Timeout,
            "200",
            2,
        ),
    ]
}

fn faults_of_the_body() -> Vec<Fault> {
    let ok = include_bytes!("data/cloudflare/list-two.json");
    let mut corrupt = gzip(ok);
    corrupt[15] ^= 0xff;
    vec![
        (
            "corrupt gzip",
            gzipped(corrupt),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "half a gzip",
            gzipped(gzip(ok)[..40].to_vec()),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "gzip bomb",
            gzipped(gzip(&vec![b' '; 17 << 20])),
            Reason::TooLarge,
            "200",
            1,
        ),
        (
            "200 MB",
            raw("HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n{"),
            Reason::TooLarge,
            "200",
            1,
        ),
        (
            "HTML",
            answer(200, "<html>Log in</html>"),
            Reason::Malformed,
            "200",
            2,
        ),
        ("nothing", answer(200, ""), Reason::Malformed, "200", 2),
        (
            "null result",
            answer(200, r#"{"success":true,"result":null}"#),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "no list",
            answer(200, r#"{"success":true,"result":{}}"#),
            Reason::Malformed,
            "200",
            2,
        ),
        (
            "unsuccessful",
            error(200, 1),
            Reason::Unsuccessful,
            "200",
            2,
        ),
    ]
}

fn refusals() -> Vec<Fault> {
    vec![
        (
            "redirect",
            Reply::Answer(302, vec![("location", "/elsewhere".to_owned())], Vec::new()),
            Reason::Http,
            "302",
            1,
        ),
        ("401", error(401, 1), Reason::Unauthorized, "401", 1),
        (
            "400 with 9106",
            error(400, 9106),
            Reason::Unauthorized,
            "400",
            1,
        ),
        ("403", answer(403, "<html>"), Reason::Forbidden, "403", 1),
        ("404", error(404, 1), Reason::NotFound, "404", 1),
        ("no route", error(400, 7003), Reason::NoRoute, "400", 1),
        (
            "the documented 1146",
            answer(400, include_str!("data/cloudflare/list-bad-per-page.json")),
            Reason::ClientError,
            "400",
            1,
        ),
        ("429", error(429, 10000), Reason::RateLimited, "429", 1),
        (
            "500 in HTML",
            answer(500, "<html>"),
            Reason::ServerError,
            "500",
            2,
        ),
        (
            "503 without end",
            Reply::Hang(b"HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\n".to_vec()),
            Reason::ServerError,
            "503",
            2,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_its_class_and_what_may_pass_is_tried_again() {
    // Making clients is slow enough to spoil the time-outs of those that are at work.
    let mut sets = Vec::new();
    for (name, reply, reason, code, attempts) in
        [faults_of_the_connection(), faults_of_the_body(), refusals()].concat()
    {
        let set = Set::up(move |_| reply.clone()).await;
        sets.push((set, name, reason, code, attempts));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (set, name, reason, code, attempts) in sets {
        tasks.spawn(async move {
            let error = set
                .client
                .list_mappings(&zone(), &call())
                .await
                .unwrap_err();
            assert_eq!(error.reason, reason, "{name}: {error}");
            let seen = set.server.seen();
            assert_eq!(seen.len(), attempts, "{name}");
            assert!(
                seen.iter().all(|seen| !seen.target.contains("elsewhere")),
                "{name}"
            );
            #[expect(clippy::cast_precision_loss, reason = "a few attempts")]
            let attempts = Some(attempts as f64);
            let by = |family: &str, label: &str| {
                let (before, after) = if label.starts_with("code") {
                    (label, r#"operation="list_mappings""#)
                } else {
                    (r#"operation="list_mappings""#, label)
                };
                set.metric(&format!(r#"{family}{{account="main",{before},{after}}}"#))
            };
            assert_eq!(
                by("api_requests_total", &format!("code=\"{code}\"")),
                attempts,
                "{name}"
            );
            assert_eq!(
                by("api_errors_total", &format!("reason=\"{reason}\"")),
                attempts,
                "{name}"
            );
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn no_connection_and_no_tls_have_their_classes() {
    let plain = Server::start(|_| answer(200, "{}")).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_address = closed.local_addr().unwrap();
    drop(closed);
    let metrics = Metrics::register(&Registry::new()).unwrap();
    for (base, reason) in [
        (format!("http://{closed_address}"), Reason::Connect),
        ("http://no-such-host.invalid".to_owned(), Reason::Connect),
        (format!("https://{}", plain.address), Reason::Tls),
    ] {
        let mut settings = settings(&base.replace("://", "://user:hidden-password@"));
        settings.retries = 0;
        settings.timeout = Duration::from_secs(5);
        let client = Client::new(
            &settings,
            account(inline(TOKEN)),
            http(),
            &metrics,
            &Secrets::default(),
        );
        let error = client.get_zone(&zone(), &call()).await.unwrap_err();
        assert_eq!(error.reason, reason, "{base}: {error}");
        assert!(
            !format!("{error} {error:?} {client:?}").contains("hidden-password"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_fault_that_passes_harms_nothing() {
    let mut first = true;
    let set = Set::up(move |_| {
        if std::mem::take(&mut first) {
            answer(502, "")
        } else {
            answer(200, include_str!("data/cloudflare/list-empty.json"))
        }
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert!(list.mappings.is_empty());
    assert_eq!(
        set.metric(r#"api_retries_total{account="main",operation="list_mappings"}"#),
        Some(1.0)
    );
}

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
                answer(200, include_str!("data/cloudflare/list-empty.json"))
            }
        },
    )
    .await;
    // Those who wait for the only permit when the answer comes must not slip out after it.
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
        let body = include_bytes!("data/cloudflare/list-empty.json").to_vec();
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
        |_| answer(200, include_str!("data/cloudflare/list-empty.json")),
    )
    .await;
    assert_eq!(set.client.budget(), 20);
    let mut probes = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let client = set.client.clone();
        probes.spawn(async move {
            let call = Call::probe(Duration::from_secs(5));
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
async fn a_list_that_changes_while_it_is_read_is_read_again() {
    let mut requests = 0;
    let set = Set::up(move |seen| {
        requests += 1;
        // The first walk's second page comes from a list that has grown.
        answer(
            200,
            &page(seen, if requests == 2 { 151 } else { 150 }, mapping),
        )
    })
    .await;
    let list = set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.mappings.len(), 150);
    assert_eq!(set.server.seen().len(), 4);
}

#[tokio::test]
async fn rows_that_contradict_each_other_are_an_error_after_the_second_reading() {
    let set = Set::up(|_| {
        answer(
            200,
            r#"{"success":true,"result":[
                {"origin_ip":"::ffff:192.0.2.1","vendor":"aws","region":"a"},
                {"origin_ip":"192.0.2.1","vendor":"aws","region":"b"}]}"#,
        )
    })
    .await;
    let error = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::InconsistentPages);
    assert_eq!(set.server.seen().len(), 2);
    let errors =
        r#"api_errors_total{account="main",operation="list_mappings",reason="inconsistent_pages"}"#;
    assert_eq!(set.metric(errors), Some(2.0));
}

#[tokio::test]
async fn one_mapping_is_found_or_not_there_or_unknown() {
    let set = Set::up(|seen| match seen.target.rsplit('/').next() {
        Some("192.0.2.1") => answer(200, include_str!("data/cloudflare/get-one.json")),
        Some("2001:db8::1") => answer(404, include_str!("data/cloudflare/get-not-found.json")),
        _ => answer(404, "<html>"),
    })
    .await;
    let get = async |ip: &str| {
        let ip = OriginIp::parse(ip).unwrap();
        set.client.get_mapping(&zone(), ip, &call()).await
    };
    let found = get("::ffff:192.0.2.1").await.unwrap().unwrap();
    assert_eq!(found.region.as_str(), "us-east-1");
    assert_eq!(get("2001:DB8::1").await.unwrap(), None);
    assert_eq!(get("192.0.2.9").await.unwrap_err().reason, Reason::NotFound);
    let errors = r#"api_errors_total{account="main",operation="get_mapping",reason="not_found"}"#;
    assert_eq!(set.metric(errors), None);
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_what_its_file_holds_now() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old\n").unwrap();
    let set = Set::with(
        |_| {},
        Secret::File(file.path().to_owned()),
        |seen| match seen.header("authorization") {
            Some("Bearer new") => answer(200, include_str!("data/cloudflare/list-empty.json")),
            _ => error(401, 10000),
        },
    )
    .await;
    let refused = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Unauthorized);
    assert_eq!(set.server.seen().len(), 1);
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(0.0));
    std::fs::write(file.path(), "new\n").unwrap();
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(1.0));
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent() {
    let file = Secret::File("/nonexistent/token".into());
    let set = Set::with(|_| {}, file, |_| answer(200, "{}")).await;
    let error = set.client.list_zones(&call()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unauthorized);
    assert!(error.detail.contains("/nonexistent/token"), "{error}");
    assert!(set.server.seen().is_empty());
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), None);
}

#[tokio::test]
async fn a_secret_that_the_server_sends_back_is_not_shown() {
    let body = format!(r#"{{"success":false,"errors":[{{"code":1,"message":"a\n{TOKEN}"}}]}}"#);
    let set = Set::up(move |_| answer(403, &body)).await;
    let error = set.client.list_zones(&call()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
    assert!(
        error.detail.contains("[redacted]") && !error.detail.contains('\n'),
        "{error}"
    );
    assert!(error.detail.contains("Zone Read"), "{error}");
}

#[tokio::test]
async fn an_answer_that_repeats_the_secret_of_another_account_is_shown_without_it() {
    let other = "secret-of-another-account";
    let answers = [
        (
            403,
            format!(r#"{{"success":false,"errors":[{{"message":"{other}"}}]}}"#),
        ),
        (
            200,
            format!(r#"{{"success":false,"errors":[{{"message":"{other}"}}]}}"#),
        ),
        (
            200,
            format!(
                r#"{{"success":true,"result":["{other}",{{"origin_ip":"192.0.2.1",
                    "vendor":"{other}","region":"{other}"}}]}}"#
            ),
        ),
    ];
    let mut next = answers.into_iter();
    let server = Server::start(move |_| {
        let (status, body) = next.next().unwrap();
        answer(status, &body)
    })
    .await;
    let mut settings = settings(&format!("http://{}/client/v4", server.address));
    settings.retries = 0;
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let secrets = Secrets::default();
    let client = |secret| Client::new(&settings, account(secret), http(), &metrics, &secrets);
    let (asks, _other) = (client(inline(TOKEN)), client(inline(other)));
    for _ in 0..2 {
        let error = asks.list_mappings(&zone(), &call()).await.unwrap_err();
        assert!(error.detail.contains("([redacted])"), "{error}");
    }
    let list = asks.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.mappings.as_slice()[0].region.as_str(), "[redacted]");
    assert!(list.rejected.examples[0].contains("[redacted]"), "{list:?}");
    assert!(!format!("{list:?}").contains(other), "{list:?}");
}

#[tokio::test]
async fn a_token_is_verified_as_a_users_and_then_as_the_accounts() {
    let set = Set::up(|seen| match seen.target.as_str() {
        "/client/v4/accounts/owner1/tokens/verify" => answer(
            200,
            r#"{"success":true,"result":{"id":"t","status":"active",
                "expires_on":"2030-01-01T00:00:00Z"}}"#,
        ),
        "/client/v4/accounts/owner2/tokens/verify" => answer(
            200,
            r#"{"success":true,"result":{"id":"t","status":"expired"}}"#,
        ),
        _ => error(401, 1000),
    })
    .await;
    let valid = || set.metric(r#"token_valid{account="main"}"#);
    let expiry = || set.metric(r#"token_expiry_timestamp_seconds{account="main"}"#);
    assert!(set.client.verify_token(None, &call()).await.is_err());
    assert_eq!((valid(), expiry()), (None, None));
    let status = set
        .client
        .verify_token(Some("owner1"), &call())
        .await
        .unwrap();
    assert_eq!(status.state, TokenState::Active);
    assert_eq!((valid(), expiry()), (Some(1.0), Some(1_893_456_000.0)));
    let status = set
        .client
        .verify_token(Some("owner2"), &call())
        .await
        .unwrap();
    assert_eq!(status.state, TokenState::Expired);
    assert_eq!((valid(), expiry()), (Some(0.0), None));
    let errors =
        r#"api_errors_total{account="main",operation="verify_token",reason="unauthorized"}"#;
    assert_eq!(set.metric(errors), None);
}

#[tokio::test]
async fn expected_refusals_are_no_errors() {
    let set = Set::up(|seen| {
        if seen.target.ends_with("supported_regions") {
            error(400, 1135)
        } else {
            error(404, 1142)
        }
    })
    .await;
    assert_eq!(
        set.client.supported_regions(&zone(), &call()).await,
        Ok(None)
    );
    assert_eq!(
        set.client.smart_tiered_cache(&zone(), &call()).await,
        Ok(false)
    );
    let errors = set.client.tiered_cache(&zone(), &call()).await.unwrap_err();
    assert_eq!(errors.reason, Reason::NotFound);
    for (operation, reason, count) in [
        ("supported_regions", "client_error", None),
        ("smart_tiered_cache", "not_found", None),
        ("tiered_cache", "not_found", Some(1.0)),
    ] {
        let series = format!(
            r#"api_errors_total{{account="main",operation="{operation}",reason="{reason}"}}"#
        );
        assert_eq!(set.metric(&series), count, "{operation}");
    }
}

#[tokio::test]
async fn other_settings_come_into_force_and_a_pause_stays() {
    let set = Set::up(|seen| match seen.header("authorization") {
        Some("Bearer new") => answer(200, include_str!("data/cloudflare/list-empty.json")),
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
        .reconfigure(&settings, account(inline("new")), http());
    assert!(set.client.paused_until().is_some());
    assert_eq!(set.client.budget(), 500);
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
            let call = Call::new(Duration::from_millis(300));
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
