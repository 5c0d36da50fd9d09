//! All mistakes in a file are reported at once, each with its line.

use cloudflare_origin_region_exporter::config::Format;

use crate::support::{TOKEN, each_is_refused, errors, load_with, messages, variable_errors};

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
            "x:6: accounts[0]: api_token and api_token_file cannot be combined: remove one of them",
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
            "expect: {ignore: [192.0.2.0/33]}",
            "x:1: expect.ignore[0]: expected an address or a prefix (ADDRESS/LENGTH), found \
             \"192.0.2.0/33\"",
        ),
        (
            "expect: {unused_after: 999ms}",
            "x:1: expect.unused_after: expected never, or a duration from 1s to 3650days, found \"999ms\"",
        ),
        (
            "hosts: {nameservers: [dns.example]}",
            "x:1: hosts.nameservers[0]: expected ADDRESS or ADDRESS:PORT of a name server, IPv6 \
             with a port in brackets, found \"dns.example\"",
        ),
        (
            "hosts: {rotating_above: 0}",
            "x:1: hosts.rotating_above: expected a whole number from 1 to 10000, found \"0\"",
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
fn a_number_in_quotes_is_no_number() {
    each_is_refused(&[
        (
            "poll: {retries: \"5\"}",
            "x:1: poll.retries: expected a whole number from 0 to 10, found \"5\"",
        ),
        (
            "cloudflare: {rate_limit: {share: '0.5'}}",
            "x:1: cloudflare.rate_limit.share: expected a number above 0 and at most 1, found \
             \"0.5\"",
        ),
        (
            "mappings: {detail: \"true\"}",
            "x:1: mappings.detail: expected true or false, found \"true\"",
        ),
    ]);
    let toml = load_with(Format::Toml, "[poll]\nretries = \"5\"", &[TOKEN]);
    assert_eq!(
        messages(toml),
        ["x:2: poll.retries: expected a whole number from 0 to 10, found \"5\""]
    );
}

#[test]
fn a_mistake_has_the_line_of_its_key_or_value() {
    each_is_refused(&[
        (
            "pol:\n  interval: 1m\n",
            "x:1: pol: unknown key, did you mean \"poll\"?",
        ),
        (
            "poll:\n  intervals:\n    - 1m\n  retries: 1\n",
            "x:2: poll.intervals: unknown key, did you mean \"interval\"?",
        ),
        (
            "poll:\n  intervall:\n    1m\n",
            "x:2: poll.intervall: unknown key, did you mean \"interval\"?",
        ),
        (
            "poll:\n  interval:\n    1\n",
            "x:3: poll.interval: expected a duration with its unit, such as \"90s\", \"5m\" or \
             \"30d\", found \"1\"",
        ),
        (
            "poll:\n  interval:\n    - 1m\n",
            "x:2: poll.interval: expected a text, found a list",
        ),
        (
            "accounts:\n- name: a\n  zones:\n    ids: [b]\n    include: [c]\n  api_token: t\n",
            "x:3: accounts[0].zones: ids cannot be combined with include or exclude: remove one of \
             them",
        ),
        (
            "poll:\n  retries: 1\npoll:\n  retries: 2\n",
            "x:3: poll: this key is there twice",
        ),
        (
            "poll.interval: 1m",
            "x:1: poll.interval: unknown key, did you mean \"poll\"?",
        ),
    ]);
    let toml = load_with(
        Format::Toml,
        "[poll]\nretries = 1\n\n[pol]\nretries = 2",
        &[TOKEN],
    );
    assert_eq!(
        messages(toml),
        ["x:4: pol: unknown key, did you mean \"poll\"?"]
    );
}

#[test]
fn mistakes_of_all_kinds_are_told_at_once_up_to_a_bound() {
    let yaml = "\
pol: {}
poll:
  retries: 1
  retries: 2
  interval: [1]
accounts:
  - name: a
    api_token: 123456
    zones: {ids: [x/y, \"a b\"], include: [\"\"]}
  - secret-in-the-wrong-place
  - {name: a, api_token: t}
expect: {zones: {a.org: [{origin_ip: 1}, {vendor: aws}], A.org: []}}
";
    let paths: Vec<_> = errors(yaml)
        .iter()
        .map(|error| error.split(": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        paths,
        [
            "x:1 pol",
            "x:4 poll.retries",
            "x:5 poll.interval",
            "x:8 accounts[0].api_token",
            "x:9 accounts[0].zones.ids[0]",
            "x:9 accounts[0].zones.ids[1]",
            "x:9 accounts[0].zones.include[0]",
            "x:10 accounts[1]",
            "x:11 accounts[2].name",
            "x:12 expect.zones.a.org[0].origin_ip",
            "x:12 expect.zones.A.org",
            "x:12 expect.zones.a.org[1]",
        ]
    );
    let many: String = (0..500).map(|_| "  - [x]\n").collect();
    let shown = errors(&format!("expect:\n  ignore:\n{many}"));
    assert_eq!(shown.len(), 101);
    assert_eq!(
        shown[0],
        "x: has more than 100 mistakes; these are the first"
    );
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
            "x:1: accounts[0]: api_key requires email",
        ),
        (
            "accounts:\n- {name: a, api_token: t}\n- {name: a, api_token: u}",
            "x:3: accounts[1].name: expected a name that no other account has, found \"a\"",
        ),
        (
            "accounts: [{name: a, api_token: t, zones: {ids: [abc], exclude: [x.org]}}]",
            "x:1: accounts[0].zones: ids cannot be combined with include or exclude: remove one of \
             them",
        ),
        (
            "accounts: [{name: a, api_token: t, zones: {include: [a.org, \"[\"]}}]",
            "x:1: accounts[0].zones.include[1]: expected a name or glob, in which only \
             \"*\" and \"?\" are special, found \"[\"",
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
            "expect: {zones: {a.org: [{origin_ip: 192.0.2.1, host: a.example}]}}",
            "x:1: expect.zones.a.org[0]: origin_ip and host cannot be combined: remove one of them",
        ),
        (
            "expect: {zones: {a.org: [{vendor: aws}]}}",
            "x:1: expect.zones.a.org[0]: expected an address (key \"origin_ip\") or a host name \
             (key \"host\")",
        ),
        (
            "expect: {zones: {a.org: [{host: 192.0.2.1}]}}",
            "x:1: expect.zones.a.org[0].host: expected a host name, found \"192.0.2.1\"",
        ),
        (
            "expect: {zones: {a.org: [{host: A.example.}, {host: a.example}]}}",
            "x:1: expect.zones.a.org[1].host: expected each host once in a zone, and a.example is \
             there twice, found \"a.example\"",
        ),
        (
            "expect:\n  zones:\n    a.org: []\n    A.org: []",
            "x:4: expect.zones.A.org: this zone is there twice (names are equal in any spelling)",
        ),
        (
            "poll: {hidden1234: }",
            "x:1: poll.…: unknown key, expected one of interval, discovery_interval, concurrency, \
             timeout, retries, retain",
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
