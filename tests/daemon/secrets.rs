//! No output of the program contains a secret, whatever the API does with it.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, RateLimit, RetryAfter, World,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokio::time::sleep;

use crate::support::{Api, Config, GOOD};

/// Secrets with characters that are escaped or encoded, and with the part that no output of any
/// test may contain.
const TOKEN: &str = "a+b/c=%~-secret-token-of-the-\"tests\"";
const KEY: &str = "k&y?<;>-secret-token-of-the-'key'";
const EMAIL: &str = "operator@example.com";

/// A secret verbatim, URL-encoded, escaped, and in base64 at each of the three offsets.
fn spellings(secret: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut spellings = vec![
        secret.to_owned(),
        form,
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        secret.escape_debug().to_string(),
    ];
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend(secret.bytes());
        // Without the first and last group, which depend on the surrounding bytes.
        let encoded = base64(&bytes);
        spellings.push(encoded[4..encoded.len() - 4].to_owned());
    }
    spellings
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).flat_map(|group| {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
    });
    groups.collect()
}

/// Faults, many of them with the secrets of both accounts in the response.
fn faults() -> Vec<FaultKind> {
    let secret = &format!("{TOKEN} {KEY}");
    let error = format!("Invalid access token {secret}");
    vec![
        FaultKind::ApiError(400, 10000, error.clone()),
        FaultKind::ApiError(403, 9109, error.clone()),
        FaultKind::ApiError(500, 1, error.clone()),
        FaultKind::Status(502, Some(format!("<html>{secret}</html>"))),
        FaultKind::Redirect(format!(
            "https://user:pass@elsewhere.example/?token={secret}"
        )),
        FaultKind::Raw(Bytes::from(format!(
            "HTTP/1.1 200 {secret}\r\nx: {secret}\r\n"
        ))),
        FaultKind::Raw(Bytes::from(format!("{secret}\r\n\r\n"))),
        FaultKind::Unsuccessful,
        FaultKind::Html,
        FaultKind::CutInBody,
        FaultKind::CorruptGzip,
        FaultKind::ChunkedGarbage,
        FaultKind::Hang,
        FaultKind::BadRow(json!({"origin_ip": 7})),
        FaultKind::BadRow(json!({"origin_ip": secret})),
        FaultKind::BadRow(json!({"origin_ip": "192.0.2.9", "vendor": secret, "region": secret})),
        FaultKind::EndlessPages,
        // This pauses the accounts, so it is the last one.
        FaultKind::TooManyRequests(RetryAfter::Text(secret.to_owned())),
    ]
}

#[tokio::test]
async fn no_output_under_any_fault_holds_a_secret() {
    let mut world = World::single_token(TOKEN)
        .zone(GOOD, [("192.0.2.1", "aws", "us-east-1")])
        .credential(Credential::key("key-1", EMAIL, KEY));
    world.rate_limit = RateLimit::NONE;
    let api = Api::start(world).await;
    let config = Config {
        poll: "interval: 100ms, discovery_interval: 100ms, timeout: 200ms, retries: 1".to_owned(),
        accounts: format!(
            "\n  - {{ name: a, api_token: {} }}\n  - {{ name: b, email: {EMAIL}, api_key: {} }}",
            json!(TOKEN),
            json!(KEY)
        ),
        verify: "supported_regions: true, tiered_cache: true".to_owned(),
        more: "expect: { from_dns: true, from_load_balancers: true }".to_owned(),
        ..Config::default()
    };
    let mut daemon = api.daemon(&config).await;
    daemon
        .until("the zone is read", |scrape| scrape.up(GOOD) == Some(true))
        .await;
    let mut output = String::new();
    let probe = format!("/probe?zone={GOOD}&target=192.0.2.1");
    for (number, fault) in faults().into_iter().enumerate() {
        api.simulator.add_fault(Fault::new(fault));
        sleep(Duration::from_millis(500)).await;
        for path in [
            "/",
            "/metrics",
            "/api/v1/zones",
            "/api/v1/findings",
            "/api/v1/mappings",
        ] {
            output += &daemon.get(path).await.1;
        }
        // The first faults are refusals. With the others, a probe would have to wait.
        if number < 3 {
            output += &daemon.get(&probe).await.1;
        }
        api.simulator.clear_faults();
    }
    // Mistakes next to a secret: a surplus key, a misspelled key, a list, a missing bracket.
    let (token, key) = (json!(TOKEN), json!(KEY));
    for mistake in [
        format!("accounts: [ {{ name: a, api_token: {token}, api_key: {key} }} ]"),
        format!("accounts: [ {{ name: a, api_tokn: {token} }} ]"),
        format!("accounts: [ {{ name: a, api_token: [ {token} ] }} ]"),
        format!("accounts: [ {{ name: a, api_token: {token} "),
    ] {
        fs::write(daemon.folder.path().join("config.yaml"), mistake).unwrap();
        daemon.signal("HUP");
        sleep(Duration::from_millis(200)).await;
    }
    output += &daemon.log();
    assert!(
        output.contains("the old configuration stays in force"),
        "{output}"
    );
    for secret in [TOKEN, KEY] {
        for spelling in spellings(secret) {
            let place = output.lines().find(|line| line.contains(&spelling));
            assert_eq!(place, None, "holds {spelling}");
        }
    }
    daemon.stop().await;
}
