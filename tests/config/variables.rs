//! Environment variables override the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{Credentials, Secret};
use cloudflare_origin_region_exporter::config::Format;
use cloudflare_origin_region_exporter::domain::Vendor;
use cloudflare_origin_region_exporter::vendor_ranges::RangeSource;

use crate::support::{ACCOUNT, TOKEN, inline, load_with, variable_errors};

#[test]
fn variables_replace_values_of_the_file() {
    let settings = load_with(
        Format::Yaml,
        "poll: {interval: 10m, retries: 1}\naccounts: [{name: a, api_token: t}]",
        &[
            ("ORIGIN_REGION_EXPORTER__POLL__INTERVAL", "1m"),
            ("ORIGIN_REGION_EXPORTER__POLL__RETRIES", ""),
            ("ORIGIN_REGION_EXPORTER__MAPPINGS__DETAIL", "0"),
            ("ORIGIN_REGION_EXPORTER__CLOUDFLARE__RATE_LIMIT__SHARE", "1"),
            (
                "ORIGIN_REGION_EXPORTER__ACCOUNTS",
                r#"[{"name": "b", "api_token": "json-token"}]"#,
            ),
            (
                "ORIGIN_REGION_EXPORTER__EXPECT__ZONES",
                r#"{"example.com": [{"origin_ip": "192.0.2.1"}]}"#,
            ),
            (
                "ORIGIN_REGION_EXPORTER__VERIFY__VENDOR_RANGES__SOURCES__AWS",
                "aws.json",
            ),
            ("ORIGIN_REGION_EXPORTER_SERVICE_HOST", "10.0.0.1"),
        ],
    )
    .unwrap();
    assert_eq!(settings.poller.interval, Duration::from_mins(1));
    assert_eq!(settings.poller.discovery_interval, Duration::from_mins(1));
    assert_eq!(settings.cloudflare.retries, 1);
    assert!(!settings.detail);
    assert_eq!(settings.cloudflare.rate_limit.budget(), 1200);
    assert_eq!(settings.accounts[0].name.as_str(), "b");
    assert_eq!(inline(&settings.accounts[0].credentials), "json-token");
    assert_eq!(settings.expect.zones[0].zone, "example.com");
    assert_eq!(
        settings.vendor_ranges.sources[&Vendor::Aws],
        RangeSource::File(PathBuf::from("aws.json"))
    );
}

#[test]
fn bad_variables_are_named() {
    for (name, value, problem) in [
        (
            "POLL__INTERVALL",
            "1m",
            "poll.intervall: unknown key, did you mean \"poll.interval\"?",
        ),
        (
            "POLL__INTERVAL",
            "90",
            "poll.interval: expected a duration with its unit, such as \"90s\", \"5m\" or \"30d\", \
             found \"90\"",
        ),
        (
            "ACCOUNTS",
            "[{\"name\": \"a\", \"api_token\": 1234}]",
            "accounts[0].api_token: expected a text in quotes",
        ),
        (
            "ACCOUNTS__0__API_TOKEN",
            "hidden",
            "accounts.0.api_token: unknown key, did you mean \"accounts\"?",
        ),
        (
            "ZONE_OVERRIDES",
            "{\"a.org\": {}, \"a.org\": {}}",
            "zone_overrides.a.org: this key is there twice",
        ),
        (
            "ZONE_OVERRIDES",
            "{\"a.org\": ",
            "zone_overrides: is not valid JSON: while parsing a node, did not find expected node \
             content",
        ),
        (
            "ACCOUNTS",
            "hidden",
            "accounts: expected a list, found a text",
        ),
    ] {
        let name = format!("ORIGIN_REGION_EXPORTER__{name}");
        assert_eq!(
            variable_errors(&[TOKEN, (&name, value)]),
            [format!("environment variable {name}: {problem}")]
        );
    }
}

#[test]
fn the_environments_credentials_are_whole_and_of_one_kind() {
    const KEY: (&str, &str) = ("CLOUDFLARE_API_KEY", "hidden-key");
    const EMAIL: (&str, &str) = ("CLOUDFLARE_EMAIL", "ops@example.com");
    const FILE: (&str, &str) = ("CLOUDFLARE_API_TOKEN_FILE", "token");
    let settings = load_with(Format::Yaml, "", &[EMAIL, KEY]).unwrap();
    assert_eq!(inline(&settings.accounts[0].credentials), "hidden-key");
    let settings = load_with(Format::Yaml, "", &[FILE]).unwrap();
    assert!(matches!(
        &settings.accounts[0].credentials,
        Credentials::Token(Secret::File(path)) if path == Path::new("token")
    ));
    for (variables, problem) in [
        (
            vec![TOKEN, FILE],
            "CLOUDFLARE_API_TOKEN and CLOUDFLARE_API_TOKEN_FILE cannot be combined: unset one of \
             them",
        ),
        (
            vec![TOKEN, EMAIL, KEY],
            "CLOUDFLARE_API_TOKEN and CLOUDFLARE_API_KEY cannot be combined: unset one of them",
        ),
        (vec![KEY], "CLOUDFLARE_API_KEY requires CLOUDFLARE_EMAIL"),
        (
            vec![EMAIL],
            "CLOUDFLARE_EMAIL requires CLOUDFLARE_API_KEY or CLOUDFLARE_API_KEY_FILE",
        ),
    ] {
        assert_eq!(
            variable_errors(&variables),
            [format!("environment: {problem}")]
        );
    }
    let from_file = load_with(Format::Yaml, ACCOUNT, &[TOKEN, FILE, EMAIL, KEY]).unwrap();
    assert_eq!(inline(&from_file.accounts[0].credentials), "t0ken");
}
