//! The configuration as an operator meets it: files, variables, flags, and every mistake at once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what they expect by unwrapping, their helpers too"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{Credentials, Secret};
use cloudflare_origin_region_exporter::config::{
    self, ConfigErrors, Environment, Format, ProcessFlags, Settings,
};
use cloudflare_origin_region_exporter::domain::Vendor;
use cloudflare_origin_region_exporter::poller::ZoneSelection;
use cloudflare_origin_region_exporter::snapshot::StaleAfter;
use cloudflare_origin_region_exporter::vendor_ranges::RangeSource;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

const TOKEN: (&str, &str) = ("CLOUDFLARE_API_TOKEN", "environment-token");
const ACCOUNT: &str = "accounts: [{name: a, api_token: t0ken}]\n";

fn load_with(
    format: Format,
    text: &str,
    variables: &[(&str, &str)],
) -> Result<Settings, ConfigErrors> {
    config::load_text(
        "x",
        format,
        text,
        &ProcessFlags::default(),
        &Environment::new(variables.to_vec(), None),
    )
}

fn load(yaml: &str) -> Result<Settings, ConfigErrors> {
    load_with(Format::Yaml, yaml, &[TOKEN])
}

fn errors(yaml: &str) -> Vec<String> {
    messages(load(yaml))
}

fn messages(loaded: Result<Settings, ConfigErrors>) -> Vec<String> {
    loaded
        .expect_err("this ought to be refused")
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Each document is refused with this one message.
fn each_is_refused(mistakes: &[(&str, &str)]) {
    for (yaml, expected) in mistakes {
        assert_eq!(errors(yaml), [*expected], "{yaml}");
    }
}

fn variable_errors(variables: &[(&str, &str)]) -> Vec<String> {
    messages(load_with(Format::Yaml, "", variables))
}

fn inline(credentials: &Credentials) -> &str {
    match credentials {
        Credentials::Token(Secret::Inline(secret))
        | Credentials::Key {
            key: Secret::Inline(secret),
            ..
        } => secret.expose_secret(),
        other => panic!("{other:?} holds no secret"),
    }
}

#[test]
fn a_token_in_the_environment_is_a_whole_configuration() {
    let settings =
        config::load(&ProcessFlags::default(), &Environment::new([TOKEN], None)).unwrap();
    let [account] = settings.accounts.as_slice() else {
        panic!("one account");
    };
    assert_eq!(account.name.as_str(), "default");
    assert_eq!(inline(&account.credentials), "environment-token");
    assert!(matches!(
        settings.poller.selections.as_slice(),
        [(name, ZoneSelection::Filter { include, exclude })]
            if name.as_str() == "default" && include.is_empty() && exclude.is_empty()
    ));
    assert_eq!(settings.poller.interval, Duration::from_mins(5));
    assert_eq!(settings.poller.discovery_interval, Duration::from_mins(5));
    assert_eq!(settings.poller.retain, Duration::from_hours(1));
    assert_eq!(
        settings.poller.stale_after,
        StaleAfter::Age(Duration::from_hours(180 * 24))
    );
    assert_eq!(
        settings.cloudflare.base_url.as_str(),
        "https://api.cloudflare.com/client/v4"
    );
    assert_eq!(settings.cloudflare.rate_limit.budget(), 600);
    assert_eq!(settings.cloudflare.concurrency, 8);
    assert_eq!(settings.cloudflare.timeout, Duration::from_secs(30));
    assert_eq!(settings.cloudflare.retries, 3);
    assert!(settings.detail);
    assert!(settings.verify.supported_regions && settings.verify.tiered_cache);
    assert!(!settings.vendor_ranges.enabled);
    assert_eq!(settings.vendor_ranges.refresh, Duration::from_hours(24));
    assert!(settings.warnings.is_empty());
}

#[test]
fn nothing_at_all_tells_a_newcomer_what_to_do() {
    assert_eq!(
        variable_errors(&[]),
        [
            "environment: no Cloudflare credentials: set CLOUDFLARE_API_TOKEN or \
             CLOUDFLARE_API_TOKEN_FILE, or name a file with accounts by --config.file, or try the \
             command \"demo\", which needs none"
        ]
    );
}

#[test]
fn four_mistakes_are_four_errors() {
    let yaml = "\
poll:
  intervall: 5m
  timeout: 30
cloudflare: {rate_limit: {share: 1.5}}
accounts:
  - name: production
    api_token: hidden-one
    api_token_file: /run/token
";
    assert_eq!(
        errors(yaml),
        [
            "x:2: poll.intervall: unknown key, did you mean \"interval\"?",
            "x:3: poll.timeout: expected a duration with its unit, such as \"90s\", \"5m\" or \
             \"30d\", found \"30\"",
            "x:4: cloudflare.rate_limit.share: expected a number above 0 and at most 1, found \
             \"1.5\"",
            "x:6: accounts[0]: api_token and api_token_file exclude each other: remove one of them",
        ]
    );
}

#[test]
fn values_that_do_not_fit_say_what_was_expected() {
    each_is_refused(&[
        ("poll: 5m", "x:1: poll: expected a map, found a text"),
        (
            "poll: {interval: 1M}",
            "x:1: poll.interval: expected a duration with its unit, such as \"90s\", \"5m\" or \
             \"30d\"; a month has no fixed length (write days), and minutes are \"m\", found \"1M\"",
        ),
        (
            "poll: {interval: 99ms}",
            "x:1: poll.interval: expected a duration from 100ms to 7days, found \"99ms\"",
        ),
        (
            "poll: {interval: [1m]}",
            "x:1: poll.interval: expected a text, found a list",
        ),
        (
            "poll: {retries: 010}",
            "x:1: poll.retries: expected a whole number from 0 to 10, found \"010\"",
        ),
        (
            "poll: {concurrency: .inf}",
            "x:1: poll.concurrency: expected a whole number from 1 to 256, found \".inf\"",
        ),
        (
            "cloudflare: {rate_limit: {share: nan}}",
            "x:1: cloudflare.rate_limit.share: expected a number above 0 and at most 1, found \
             \"nan\"",
        ),
        (
            "cloudflare: {base_url: \"ftp://example.com\"}",
            "x:1: cloudflare.base_url: expected an https address, such as \
             \"https://api.cloudflare.com/client/v4\", found \"ftp://example.com\"",
        ),
        (
            "cloudflare: {base_url: \"https://u:hidden@example.com\"}",
            "x:1: cloudflare.base_url: expected an address without user and password",
        ),
        (
            "mappings: {detail: yes}",
            "x:1: mappings.detail: expected true or false, found \"yes\"",
        ),
        (
            "mappings: {stale_after: always}",
            "x:1: mappings.stale_after: expected never, or a duration with its unit, such as \
             \"90s\", \"5m\" or \"30d\", found \"always\"",
        ),
    ]);
}

#[test]
fn accounts_that_cannot_be_say_why() {
    each_is_refused(&[
        (
            "accounts: hidden",
            "x:1: accounts: expected a list, found a text",
        ),
        (
            "accounts: [{api_token: t}]",
            "x:1: accounts[0]: expected a name for this account (key \"name\")",
        ),
        (
            "accounts: [{name: a}]",
            "x:1: accounts[0]: expected credentials: api_token, api_token_file, or email with \
             api_key or api_key_file",
        ),
        (
            "accounts: [{name: a, api_token: 1234567}]",
            "x:1: accounts[0].api_token: expected a text in quotes",
        ),
        (
            "accounts: [{name: a, api_token: Bearer hidden}]",
            "x:1: accounts[0].api_token: expected letters, digits and signs, without white space",
        ),
        (
            "accounts: [{name: a, api_key: k}]",
            "x:1: accounts[0]: api_key needs email beside it",
        ),
        (
            "accounts:\n- {name: a, api_token: t}\n- {name: a, api_token: u}",
            "x:3: accounts[1].name: expected a name that no other account has, found \"a\"",
        ),
        (
            "accounts: [{name: a, api_token: t, zones: {ids: [abc], exclude: [x.org]}}]",
            "x:1: accounts[0].zones: ids and include or exclude exclude each other: remove one of \
             them",
        ),
        (
            "accounts: [{name: a, api_token: t, zones: {include: [a.org, \"[\"]}}]",
            "x:1: accounts[0].zones.include[1]: expected a name or glob: unclosed character \
             class; missing ']', found \"[\"",
        ),
    ]);
}

#[test]
fn what_does_not_belong_there_or_is_there_twice_is_named() {
    each_is_refused(&[
        (
            "expect: {zones: {a.org: [{origin_ip: \"::ffff:192.0.2.1\"}, {origin_ip: 192.0.2.1}]}}",
            "x:1: expect.zones.a.org[1].origin_ip: expected each address once in a zone, and \
             192.0.2.1 is there twice, found \"192.0.2.1\"",
        ),
        (
            "expect: {zones: {a.org: [{origin_ip: 192.0.2.1, vendor: asw}]}}",
            "x:1: expect.zones.a.org[0].vendor: expected one of aws, azure, gcp and oci, found \
             \"asw\"",
        ),
        (
            "expect:\n  zones:\n    a.org: []\n    A.org: []",
            "x:4: expect.zones.A.org: this zone is there twice (names are equal in any case)",
        ),
        (
            "poll: {hidden1234: }",
            "x:1: poll.…: unknown key, expected one of interval, discovery_interval, timeout, \
             retain, concurrency, retries",
        ),
        (
            "verify: {vendor_ranges: {sources: {hetzner: /x}}}",
            "x:1: verify.vendor_ranges.sources.hetzner: unknown key, expected one of aws, azure, \
             gcp, oci",
        ),
        (
            "verify: {vendor_ranges: {sources: {aws: \"s3://x/y\"}}}",
            "x:1: verify.vendor_ranges.sources.aws: expected an http or https address, or the path \
             of a file, found \"s3://x/y\"",
        ),
        (
            "poll: {retries: 1}\npoll: {retries: 2}",
            "x:2: poll: this key is there twice",
        ),
        (
            "poll: {retries: 1\nexpect: {}",
            "x:2: is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'",
        ),
        (
            "a: *b",
            "x:1: is not valid YAML: while parsing node, found unknown anchor",
        ),
        ("- 1", "x:1: expected a map, found a list"),
        (
            "---\n---\npoll: {}",
            "x:3: expected one document, found a second one",
        ),
    ]);
}

#[test]
fn toml_mistakes_name_their_line() {
    for (toml, expected) in [
        (
            "[poll]\ninterval = 90",
            "x:2: poll.interval: expected a duration with its unit, such as \"90s\", \"5m\" or \
             \"30d\", found \"90\"",
        ),
        (
            "[poll]\nretries = 1\nretries = 2",
            "x:3: is not valid TOML: duplicate key",
        ),
        (
            "[[accounts]]\nname = \"a\"\napi_token = hidden",
            "x:3: is not valid TOML: string values must be quoted, expected literal string",
        ),
    ] {
        assert_eq!(
            messages(load_with(Format::Toml, toml, &[TOKEN])),
            [expected],
            "{toml}"
        );
    }
}

#[test]
fn depth_and_repetition_are_bounded() {
    let deep = format!("a: {}", "[".repeat(40));
    assert_eq!(errors(&deep), ["x:1: is nested deeper than 32 levels"]);
    let deep = format!("a: {}", "[".repeat(100_000));
    assert_eq!(errors(&deep).len(), 1);
    let deep = "- ".repeat(100_000);
    assert_eq!(errors(&deep).len(), 1);
    let levels = (1..9).map(|level| {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    });
    let bomb = format!("a0: &a0 [x, x]\n{}", levels.collect::<String>());
    assert_eq!(errors(&bomb).len(), 1);
    assert!(errors(&bomb)[0].ends_with("has more than 1000000 values"));
    let deep = format!("a = {}", "[".repeat(100_000));
    assert_eq!(messages(load_with(Format::Toml, &deep, &[TOKEN])).len(), 1);
    let deep = format!("{}1", "[".repeat(100_000));
    let variable = ("ORIGIN_REGION_EXPORTER__ACCOUNTS", deep.as_str());
    assert_eq!(variable_errors(&[TOKEN, variable]).len(), 1);
}

#[test]
fn an_anchor_saves_repeating_oneself() {
    let settings =
        load("expect: {zones: {a.org: &o [{origin_ip: 192.0.2.1}], b.org: *o}}").unwrap();
    assert_eq!(
        settings.expect.zones[0].origins,
        settings.expect.zones[1].origins
    );
}

#[test]
fn what_looks_like_a_number_stays_as_it_was_written() {
    let settings = load("zone_overrides: {0123: {}, 1e3: {}}").unwrap();
    let zones: Vec<_> = settings.poller.overrides.iter().map(|o| &o.zone).collect();
    assert_eq!(zones, ["0123", "1e3"]);
}

#[test]
fn an_empty_key_and_an_empty_file_are_as_if_they_were_not_there() {
    for yaml in [
        "",
        "# nothing\n",
        "poll:\naccounts:\nexpect: {zones: }\n",
        "accounts: []",
    ] {
        assert_eq!(load(yaml).unwrap().accounts.len(), 1, "{yaml}");
    }
}

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
            "ACCOUNTS",
            "hidden",
            "accounts: is not valid JSON: expected value at line 1 column 1",
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
            "CLOUDFLARE_API_TOKEN and CLOUDFLARE_API_TOKEN_FILE exclude each other: unset one of \
             them",
        ),
        (
            vec![TOKEN, EMAIL, KEY],
            "CLOUDFLARE_API_TOKEN and CLOUDFLARE_API_KEY exclude each other: unset one of them",
        ),
        (
            vec![KEY],
            "CLOUDFLARE_API_KEY needs CLOUDFLARE_EMAIL beside it",
        ),
        (
            vec![EMAIL],
            "CLOUDFLARE_EMAIL needs CLOUDFLARE_API_KEY or CLOUDFLARE_API_KEY_FILE beside it",
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

#[test]
fn an_address_in_the_clear_is_warned_of_unless_it_is_this_host() {
    for (address, kept, warnings) in [
        (
            "http://127.0.0.1:8080/client/v4/",
            "http://127.0.0.1:8080/client/v4",
            0,
        ),
        ("http://[::1]/v4", "http://[::1]/v4", 0),
        ("http://localhost:1", "http://localhost:1/", 0),
        (
            "https://proxy.example.com/x//",
            "https://proxy.example.com/x",
            0,
        ),
        ("http://proxy.example.com/", "http://proxy.example.com/", 1),
    ] {
        let settings = load(&format!("cloudflare: {{base_url: \"{address}\"}}")).unwrap();
        assert_eq!(settings.cloudflare.base_url.as_str(), kept);
        assert_eq!(settings.warnings.len(), warnings, "{address}");
    }
}

#[test]
fn expectations_from_the_api_without_ranges_are_warned_of() {
    let warned = |yaml: &str| !load(yaml).unwrap().warnings.is_empty();
    assert!(warned("expect: {from_dns: true}"));
    assert!(warned("expect: {from_load_balancers: true}"));
    assert!(!warned(
        "expect: {from_dns: true}\nverify: {vendor_ranges: {enabled: true}}"
    ));
}

#[test]
fn shards_divide_the_share() {
    let cli = config::cli::parse(
        ["x", "--shard=1", "--total-shards=4"].map(Into::into),
        &Environment::default(),
    )
    .unwrap();
    let settings = config::load(&cli.flags, &Environment::new([TOKEN], None)).unwrap();
    assert_eq!(settings.poller.shard.ordinal, 1);
    assert_eq!(settings.poller.shard.total, 4);
    assert_eq!(settings.cloudflare.rate_limit.budget(), 150);
}

#[test]
fn relative_paths_of_a_file_start_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = load_file(
        &folder.path().join("a.yaml"),
        "cloudflare: {ca_file: ca.pem}\naccounts: [{name: a, api_token_file: token}]",
    )
    .unwrap();
    assert_eq!(
        settings.cloudflare.ca_file,
        Some(folder.path().join("ca.pem"))
    );
    assert!(matches!(
        &settings.accounts[0].credentials,
        Credentials::Token(Secret::File(path)) if *path == folder.path().join("token")
    ));
}

#[test]
fn a_file_of_any_other_ending_is_yaml() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config", "config.conf", "config.YML"] {
        let text = "poll: {interval: 7m}\naccounts: [{name: a, api_token: t}]";
        let settings = load_file(&folder.path().join(name), text).unwrap();
        assert_eq!(settings.poller.interval, Duration::from_mins(7), "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |name: &str| {
        let path = folder.path().join(name);
        let error = load_path(&path).unwrap_err().to_string();
        error.replace(&format!("{}: ", path.display()), "")
    };
    assert!(problem("absent.yaml").starts_with("cannot read the configuration file: No such file"));
    std::fs::write(folder.path().join("b.yaml"), b"a: \xff").unwrap();
    assert_eq!(problem("b.yaml"), "is not UTF-8 (byte 3)");
    let large = std::fs::File::create(folder.path().join("c.yaml")).unwrap();
    large.set_len(1 << 40).unwrap();
    assert_eq!(
        problem("c.yaml"),
        "cannot read the configuration file: it has more than 16777216 bytes"
    );
}

fn load_file(path: &Path, text: &str) -> Result<Settings, ConfigErrors> {
    std::fs::write(path, text).unwrap();
    load_path(path)
}

fn load_path(path: &Path) -> Result<Settings, ConfigErrors> {
    let arguments = ["x".into(), "--config.file".into(), path.into()];
    let cli = config::cli::parse(arguments, &Environment::default()).unwrap();
    config::load(&cli.flags, &Environment::new([TOKEN], None))
}

const DOCUMENTATION: &str = include_str!("../docs/configuration.md");

/// The fenced blocks of the documentation that are in this language.
fn examples(language: &str) -> Vec<String> {
    let mut blocks = DOCUMENTATION.split("```");
    blocks.next();
    blocks
        .step_by(2)
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_sample_file_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        load_path(&entry.unwrap().path()).unwrap();
        read += 1;
    }
    assert!(read >= 6, "{read} files");
}

#[test]
fn every_example_of_the_documentation_is_read() {
    for (format, language, least) in [(Format::Yaml, "yaml", 3), (Format::Toml, "toml", 1)] {
        let examples = examples(language);
        assert!(examples.len() >= least);
        for example in examples {
            load_with(format, &example, &[TOKEN]).unwrap();
        }
    }
}

#[test]
fn the_variables_of_the_documentation_are_read() {
    let mut read = 0;
    for block in examples("sh") {
        for line in block.lines().filter(|line| line.contains("__")) {
            let (name, value) = line.split_once('=').unwrap();
            load_with(Format::Yaml, "", &[TOKEN, (name, value.trim_matches('\''))]).unwrap();
            read += 1;
        }
    }
    assert_eq!(read, 3);
}

#[test]
fn every_flag_and_its_variable_are_documented() {
    let command = config::cli::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for flag in commands.flat_map(clap::Command::get_arguments) {
        let Some(long) = flag.get_long() else {
            continue;
        };
        assert!(DOCUMENTATION.contains(&format!("--{long}")), "--{long}");
    }
    for flag in command.get_arguments().filter_map(|flag| flag.get_long()) {
        let variable = flag.to_ascii_uppercase().replace(['.', '-'], "_");
        let variable = format!("`ORIGIN_REGION_EXPORTER_{variable}`");
        assert!(DOCUMENTATION.contains(&variable), "{variable}");
    }
}

/// The keys that an unknown one beside them is told of, which are all there are.
fn keys_beside(stranger: &str) -> Vec<String> {
    errors(stranger)
        .iter()
        .find_map(|error| error.split_once("unknown key, expected one of "))
        .map_or_else(
            || panic!("{stranger} is no stranger"),
            |(_, keys)| keys.split(", ").map(str::to_owned).collect(),
        )
}

#[test]
fn every_key_is_documented_and_can_be_replaced() {
    const SECTIONS: [&str; 6] = [
        "poll",
        "cloudflare",
        "mappings",
        "expect",
        "verify",
        "zone_overrides",
    ];
    let mut keys = Vec::new();
    let root = keys_beside("qqq: 1");
    assert_eq!(root.len(), SECTIONS.len() + 1, "{root:?}");
    for (yaml, prefix) in [
        ("poll: {qqq: 1}", "poll."),
        ("cloudflare: {qqq: 1}", "cloudflare."),
        (
            "cloudflare: {rate_limit: {qqq: 1}}",
            "cloudflare.rate_limit.",
        ),
        ("mappings: {qqq: 1}", "mappings."),
        ("expect: {qqq: 1}", "expect."),
        ("verify: {qqq: 1}", "verify."),
        ("verify: {vendor_ranges: {qqq: 1}}", "verify.vendor_ranges."),
        (
            "verify: {vendor_ranges: {sources: {qqq: 1}}}",
            "verify.vendor_ranges.sources.",
        ),
    ] {
        keys.extend(keys_beside(yaml).iter().map(|key| format!("{prefix}{key}")));
    }
    for key in &keys {
        assert!(DOCUMENTATION.contains(&format!("`{key}")), "{key}");
        if key == "cloudflare.rate_limit" || key == "verify.vendor_ranges" {
            continue;
        }
        let variable = key.to_ascii_uppercase().replace('.', "__");
        let variable = format!("ORIGIN_REGION_EXPORTER__{variable}");
        let shown = match load_with(Format::Yaml, "", &[TOKEN, (&variable, "?")]) {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        assert!(!shown.contains("unknown"), "{shown}");
    }
    for (yaml, prefix) in [
        ("accounts: [{name: a, qqq: 1}]", "accounts[]."),
        (
            "accounts: [{name: a, zones: {qqq: 1}}]",
            "accounts[].zones.",
        ),
        (
            "expect: {zones: {a: [{origin_ip: 192.0.2.1, qqq: 1}]}}",
            "expect.zones.*[].",
        ),
        ("zone_overrides: {a: {qqq: 1}}", "zone_overrides.*."),
    ] {
        for key in keys_beside(yaml) {
            assert!(DOCUMENTATION.contains(&format!("`{prefix}{key}")), "{key}");
        }
    }
}

/// Documents with a place for a secret, some right, some wrong.
const WITH_SECRETS: [&str; 16] = [
    "accounts: [{name: a, api_token: \"SECRET\"}]",
    "accounts: [{name: a, api_token: SECRET}]",
    "accounts: [{name: a, api_token: \"SECRET with space\"}]",
    "accounts: [{name: a, api_token: [SECRET]}]",
    "accounts: [{name: a, api_token: SECRET, api_key: SECRET, email: a@b}]",
    "accounts: [{name: a, email: a@b.c, api_key: \"SECRET\"}]",
    "accounts: [{name: a, email: a@b.c, apikey: \"SECRET\"}]",
    "accounts: [{name: a, api-token: \"SECRET\"}]",
    "accounts: [SECRET]",
    "accounts: SECRET",
    "api_token: SECRET",
    "password: SECRET\npoll: {interval: x}",
    "cloudflare: {base_url: \"https://user:SECRET@example.com\"}",
    "cloudflare: {base_url: \"ftp://user:SECRET@example.com\"}",
    "verify: {vendor_ranges: {sources: {aws: \"https://u:SECRET@example.com/x?sig=SECRET\"}}}",
    "accounts: [{name: a, api_token: \"SECRET\", zones: ]",
];

proptest! {
    #[test]
    fn no_secret_is_ever_shown(secret in "[A-Za-z0-9_-]{12,40}", extra in "[ -9;-~]{0,3}") {
        for document in WITH_SECRETS {
            let text = document.replace("SECRET", &format!("{secret}{extra}"));
            let shown = match load_with(Format::Yaml, &text, &[("CLOUDFLARE_API_TOKEN", &secret)]) {
                Ok(settings) => format!("{settings:?}"),
                Err(errors) => format!("{errors} {errors:?}"),
            };
            prop_assert!(!shown.contains(&secret), "{text}\n{shown}");
        }
        let variables = [
            ("CLOUDFLARE_API_TOKEN", secret.as_str()),
            ("CLOUDFLARE_API_KEY", secret.as_str()),
            ("ORIGIN_REGION_EXPORTER__ACCOUNTS", secret.as_str()),
            ("ORIGIN_REGION_EXPORTER__API_TOKEN", secret.as_str()),
        ];
        let shown = messages(load_with(Format::Yaml, "", &variables)).join("\n");
        prop_assert!(!shown.contains(&secret), "{shown}");
        let shown = format!("{:?}", Environment::new(variables, None));
        prop_assert!(!shown.contains(&secret), "{shown}");
    }

    #[test]
    fn a_variable_replaces_its_value_of_the_file_and_no_other(
        file in prop::option::of([1_u32..100, 1_u32..10]),
        environment in prop::array::uniform2(prop::option::of(1_u32..10)),
    ) {
        let text = file.map_or_else(String::new, |[concurrency, retries]| {
            format!("poll: {{concurrency: {concurrency}, retries: {retries}}}")
        });
        let names = ["CONCURRENCY", "RETRIES"]
            .map(|key| format!("ORIGIN_REGION_EXPORTER__POLL__{key}"));
        let values = environment.map(|value| value.map(|value| value.to_string()));
        let mut variables = vec![TOKEN];
        for (name, value) in names.iter().zip(&values) {
            variables.extend(value.as_deref().map(|value| (name.as_str(), value)));
        }
        let settings = load_with(Format::Yaml, &text, &variables).unwrap().cloudflare;
        let [concurrency, retries] = [0, 1].map(|index| {
            let of_file = file.and_then(|values| values.get(index).copied());
            environment.get(index).copied().flatten().or(of_file)
        });
        prop_assert_eq!(u32::try_from(settings.concurrency).unwrap(), concurrency.unwrap_or(8));
        prop_assert_eq!(settings.retries, retries.unwrap_or(3));
    }

    #[test]
    fn no_document_ends_the_process(text in "[a-z:{}\\[\\]&*!|>'\"#,.0-9 \n-]{0,200}") {
        for format in [Format::Yaml, Format::Toml, Format::Json] {
            let _ = load_with(format, &text, &[TOKEN]);
        }
    }

    #[test]
    fn no_value_ends_the_process(value in "[ -~]{0,80}") {
        let quoted = serde_json::to_string(&value).unwrap();
        for path in ["INTERVAL", "RETRIES", "TIMEOUT"] {
            let name = format!("ORIGIN_REGION_EXPORTER__POLL__{path}");
            let _ = load_with(Format::Yaml, "", &[TOKEN, (&name, &value)]);
        }
        let yaml = format!(
            "accounts: [{{name: a, api_token: t, zones: {{include: [{quoted}]}}}}]\n\
             cloudflare: {{base_url: {quoted}, rate_limit: {{share: {quoted}}}}}"
        );
        let _ = load(&yaml);
    }
}
