//! Properties of the API client for any list and any headers, over real HTTP.

use std::net::Ipv4Addr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use cloudflare_origin_region_exporter::cloudflare::{
    CallBudget, Client, Credentials, MappingList, Reason, Secrets, Settings,
};
use cloudflare_origin_region_exporter::domain::ZoneId;
use cloudflare_origin_region_exporter::http_client::HttpClient;
use jiff::Timestamp;
use prometheus::Registry;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::time::Instant;

use crate::scripted::{Reply, Seen, Server};
use crate::support::{http, inline, name, settings};

const PER_PAGE: usize = 100;

/// Loading the root certificates of the system is slow, so it is done once.
static HTTP: OnceLock<HttpClient> = OnceLock::new();

/// Sends requests to a server with this script.
fn ask<T>(
    script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ask: impl AsyncFnOnce(&Client, &Server) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::start(script).await;
        let settings = Settings {
            timeout: Duration::from_secs(10),
            retries: 0,
            ..settings(&format!("http://{}", server.address))
        };
        let http = HTTP.get_or_init(http);
        let client = Client::new(
            &settings,
            name(),
            Credentials::Token(inline("a-token")),
            http.clone(),
            &Registry::new(),
            &Secrets::default(),
        )
        .unwrap();
        ask(&client, &server).await
    })
}

async fn read(client: &Client) -> Result<MappingList, Reason> {
    let call = CallBudget::new(Duration::from_secs(20));
    let zone = ZoneId::parse("z").unwrap();
    let list = client.list_mappings(&zone, &call).await;
    list.map_err(|error| error.reason)
}

/// A page of the API before it is serialized.
#[derive(Debug, Clone, PartialEq)]
struct Page {
    rows: Vec<String>,
    number: Option<usize>,
    total_count: Option<usize>,
    total_pages: Option<usize>,
}

fn row(number: usize) -> String {
    let ip = Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap());
    format!(r#"{{"origin_ip":"{ip}","vendor":"aws","region":"us-east-1"}}"#)
}

fn honest(total: usize) -> Vec<Page> {
    let rows: Vec<_> = (0..total).map(row).collect();
    let pages = total.div_ceil(PER_PAGE).max(1);
    let page = |number: usize| Page {
        rows: rows[number * PER_PAGE..total.min((number + 1) * PER_PAGE)].to_vec(),
        number: Some(number + 1),
        total_count: Some(total),
        total_pages: Some(pages),
    };
    (0..pages).map(page).collect()
}

impl Page {
    fn written(&self) -> String {
        let info = [
            ("page", self.number),
            ("per_page", Some(PER_PAGE)),
            ("total_count", self.total_count),
            ("total_pages", self.total_pages),
        ];
        let info = info.map(|(name, value)| Some(format!(r#""{name}":{}"#, value?)));
        let info: Vec<_> = info.into_iter().flatten().collect();
        format!(
            r#"{{"success":true,"result":[{}],"result_info":{{{}}}}}"#,
            self.rows.join(","),
            info.join(",")
        )
    }
}

/// Serves these pages, then an empty one.
fn serve(pages: Vec<Page>) -> impl FnMut(&Seen) -> Reply + Send + 'static {
    move |seen| {
        let (_, after) = seen.target.split_once("page=").unwrap();
        let number: usize = after.split('&').next().unwrap().parse().unwrap();
        let empty = Page {
            rows: Vec::new(),
            number: Some(number),
            ..pages[0].clone()
        };
        let page = pages.get(number - 1).unwrap_or(&empty);
        Reply::Answer(200, Vec::new(), page.written().into_bytes())
    }
}

/// A single error of a page, by itself or in relation to other pages.
#[derive(Debug, Clone)]
enum Wrong {
    RowLost(Index),
    RowRepeated(Index),
    RowOfAnotherPage(Index, Index),
    RowsOfAnotherPage(Index),
    RowUnreadable(Index),
    PageNumber(Option<usize>),
    TotalCount(Option<usize>),
    TotalPages(Option<usize>),
    NoInfo,
}

fn wrong() -> impl Strategy<Value = Wrong> {
    let number = || prop::option::of(0usize..400);
    prop_oneof![
        any::<Index>().prop_map(Wrong::RowLost),
        any::<Index>().prop_map(Wrong::RowRepeated),
        any::<(Index, Index)>().prop_map(|(row, page)| Wrong::RowOfAnotherPage(row, page)),
        any::<Index>().prop_map(Wrong::RowsOfAnotherPage),
        any::<Index>().prop_map(Wrong::RowUnreadable),
        number().prop_map(Wrong::PageNumber),
        number().prop_map(Wrong::TotalCount),
        number().prop_map(Wrong::TotalPages),
        Just(Wrong::NoInfo),
    ]
}

fn spoil(pages: &mut [Page], at: usize, wrong: &Wrong) {
    let others = pages.to_vec();
    let page = &mut pages[at];
    let rows = page.rows.len();
    match wrong {
        Wrong::RowLost(row) => drop(page.rows.remove(row.index(rows))),
        Wrong::RowRepeated(row) => {
            let again = page.rows[row.index(rows)].clone();
            page.rows.push(again);
        }
        Wrong::RowOfAnotherPage(row, other) => {
            // The same row twice on a page is one mapping.
            let other = at + 1 + other.index(others.len() - 1);
            let other = &others[other % others.len()].rows;
            page.rows[row.index(rows)].clone_from(&other[0]);
        }
        Wrong::RowsOfAnotherPage(other) => {
            page.rows
                .clone_from(&others[other.index(others.len())].rows);
        }
        Wrong::RowUnreadable(row) => "{}".clone_into(&mut page.rows[row.index(rows)]),
        Wrong::PageNumber(number) => page.number = *number,
        Wrong::TotalCount(number) => page.total_count = *number,
        Wrong::TotalPages(number) => page.total_pages = *number,
        Wrong::NoInfo => (page.number, page.total_count, page.total_pages) = (None, None, None),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_honest_list_of_any_size_is_read_whole_with_the_fewest_requests(
        pages in 0usize..12, more in prop::sample::select(&[0usize, 1, 50, 99][..]),
    ) {
        let total = pages * PER_PAGE + more;
        let (list, requests) = ask(serve(honest(total)), async |client, server| {
            (read(client).await, server.seen().len())
        });
        let list = list.unwrap();
        prop_assert_eq!(list.rows.len(), total);
        prop_assert_eq!(list.rejected.count, 0);
        prop_assert_eq!(requests, total.div_ceil(PER_PAGE).max(1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_thing_that_is_wrong_is_noticed_or_costs_nothing(
        total in 101usize..400, at: Index, wrong in wrong(),
    ) {
        let honest = honest(total);
        let mut pages = honest.clone();
        let at = at.index(pages.len());
        spoil(&mut pages, at, &wrong);
        let unreadable = matches!(wrong, Wrong::RowUnreadable(_));
        match ask(serve(pages), async |client, _| read(client).await) {
            Err(reason) => {
                prop_assert!(matches!(reason, Reason::InconsistentPages | Reason::TooLarge));
                prop_assert!(!unreadable, "a row that cannot be read costs itself alone");
            }
            Ok(list) => {
                prop_assert_eq!(list.rejected.count, u64::from(unreadable));
                prop_assert_eq!(list.rows.len(), total - usize::from(unreadable));
            }
        }
    }
}

/// A `Retry-After` value of a 429, and the resulting pause.
fn retry_after() -> impl Strategy<Value = (Option<String>, Duration)> {
    const USUAL: Duration = Duration::from_mins(5);
    const LONGEST: Duration = Duration::from_mins(15);
    let pause = |seconds: u64| Duration::from_secs(seconds).min(LONGEST);
    prop_oneof![
        (1u64..2000).prop_map(move |seconds| (Some(seconds.to_string()), pause(seconds))),
        (10u64..2000).prop_map(move |seconds| {
            let at = SystemTime::from(Timestamp::now()) + Duration::from_secs(seconds);
            (Some(httpdate::fmt_http_date(at)), pause(seconds))
        }),
        "[a-z]{1,20}|-[0-9]{1,5}|[0-9]{1,3}s|1e[0-9]".prop_map(|text| (Some(text), USUAL)),
        Just((None, USUAL)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_refusal_pauses_for_as_long_as_it_says_within_bounds((text, expected) in retry_after()) {
        let header = text.map(|text| ("retry-after", text));
        let body = br#"{"success":false,"errors":[{"code":971,"message":"slow"}]}"#;
        let script = move |_: &Seen| {
            Reply::Answer(429, header.clone().into_iter().collect(), body.to_vec())
        };
        let (refused, pause, requests) = ask(script, async |client, server| {
            let refused = read(client).await.map(drop);
            let end = client.paused_until().unwrap();
            (refused, end.duration_since(Instant::now()), server.seen().len())
        });
        prop_assert_eq!(refused, Err(Reason::RateLimited));
        prop_assert_eq!(requests, 1, "it is not tried again");
        let least = expected.saturating_sub(Duration::from_secs(3));
        prop_assert!((least..=expected + Duration::from_secs(1)).contains(&pause), "{pause:?}");
    }
}
