//! Polls of a zone: the client reads a page over HTTP, and its mappings are published.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{
    CallBudget, Client, Credentials, RateLimit, Secret, Secrets, Settings,
};
use cloudflare_origin_region_exporter::domain::AccountName;
use cloudflare_origin_region_exporter::http_client::HttpClient;
use cloudflare_origin_region_exporter::snapshot::ZoneSlot;
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::Registry;
use secrecy::SecretString;

use crate::zones::{generated, page, polled};

/// More than any poll takes under valgrind.
const BUDGET: Duration = Duration::from_mins(2);

/// Polls a zone of 100 mappings this often.
pub(crate) fn polls(times: usize) {
    let (zone, mappings) = generated(1).pop().unwrap();
    let slot = ZoneSlot::new(zone.id.clone(), polled(zone, mappings));
    let client = client(serve_page());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..times {
            let call = CallBudget::new(BUDGET);
            let list = client.list_mappings(&slot.id, &call).await.unwrap();
            let mut state = (*slot.load()).clone();
            state.polls += 1;
            if let Some(data) = &mut state.data {
                data.mappings = list.rows.into();
            }
            slot.publish(black_box(state));
        }
    });
}

fn client(api: SocketAddr) -> Client {
    let settings = Settings {
        base_url: format!("http://{api}/client/v4").parse().unwrap(),
        ca_file: None,
        rate_limit: RateLimit {
            requests: 1_000_000,
            window: Duration::from_secs(1),
            share: 1.0,
        },
        concurrency: 8,
        timeout: BUDGET,
        retries: 0,
    };
    Client::new(
        &settings,
        AccountName::parse("production").unwrap(),
        Credentials::Token(Secret::Inline(SecretString::from("token"))),
        HttpClient::new(None).unwrap(),
        &Registry::new(),
        &Secrets::default(),
    )
    .unwrap()
}

/// A server that answers every request of one connection with the same page. It does next to
/// nothing else, because its instructions count too.
fn serve_page() -> SocketAddr {
    let mut body = GzEncoder::new(Vec::new(), Compression::default());
    body.write_all(&page()).unwrap();
    let body = body.finish().unwrap();
    let mut response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend(body);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        // A request without a body fits into one read.
        while stream.read(&mut request).is_ok_and(|read| read > 0) {
            stream.write_all(&response).unwrap();
        }
    });
    address
}
