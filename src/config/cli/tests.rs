use std::path::Path;

use tracing::Level;

use super::*;
use crate::config::{LogFormat, LogSettings};
use crate::poller::Shard;

fn cli(arguments: &str, variables: &[(&str, &str)]) -> Result<Cli, CliError> {
    let arguments = std::iter::once("exporter")
        .chain(arguments.split_whitespace())
        .map(OsString::from);
    parse(arguments, &Environment::new(variables.to_vec(), None))
}

fn parsed(arguments: &str, variables: &[(&str, &str)]) -> Cli {
    cli(arguments, variables).unwrap()
}

fn problem(arguments: &str, variables: &[(&str, &str)]) -> String {
    let error = cli(arguments, variables).unwrap_err();
    let (text, is_requested) = error.text();
    assert!(!is_requested);
    text.lines().next().unwrap().to_owned()
}

fn shard(arguments: &str, host: &str) -> Result<Shard, String> {
    let flags = parsed(arguments, &[]).flags;
    let shard = flags.shard(&Environment::new([], Some(host)));
    shard.map_err(|mistake| mistake.to_string())
}

#[test]
fn the_library_finds_no_fault_in_the_definition() {
    command().debug_assert();
}

#[test]
fn without_arguments_the_daemon_runs_with_its_defaults() {
    let cli = parsed("", &[]);
    assert_eq!(cli.command, Command::Serve);
    let web = cli.flags.web();
    assert_eq!(web.listen, [":10955"]);
    assert_eq!(web.telemetry_path, "/metrics");
    assert_eq!(web.max_requests, 40);
    assert!(!web.systemd_socket && !web.enable_lifecycle);
    assert_eq!(web.web_config_file, None);
    assert_eq!(
        cli.flags.log(),
        LogSettings {
            level: Level::INFO,
            format: LogFormat::Logfmt
        }
    );
}

#[test]
fn commands_have_their_own_arguments() {
    assert_eq!(
        parsed("check --online", &[]).command,
        Command::Check { online: true }
    );
    assert_eq!(
        parsed("once --format=table --output /tmp/x.prom", &[]).command,
        Command::Once {
            format: OnceFormat::Table,
            output: Some(PathBuf::from("/tmp/x.prom")),
            findings: false,
        }
    );
    assert_eq!(
        parsed("get example.com ::ffff:192.0.2.1", &[]).command,
        Command::Get {
            zone: "example.com".to_owned(),
            ip: OriginIp::parse("192.0.2.1").unwrap(),
            format: GetFormat::Text,
        }
    );
    assert_eq!(
        parsed("demo --api.listen-address 127.0.0.1:0", &[]).command,
        Command::Demo {
            api_listen_address: Some("127.0.0.1:0".to_owned())
        }
    );
    assert!(problem("get example.com 192.0.2", &[]).contains("expected an IPv4 or IPv6 address"));
}

#[test]
fn flags_come_before_and_after_the_command_and_repeated_ones_add_up() {
    let flags = parsed(
        "--web.listen-address :1 --log.level=debug serve --web.listen-address :2 --web.listen-address=:3 --config.file a.yaml",
        &[],
    )
    .flags;
    assert_eq!(flags.web().listen, [":1", ":2", ":3"]);
    assert_eq!(flags.log().level, Level::DEBUG);
    assert_eq!(flags.config_file(), Some(Path::new("a.yaml")));
}

#[test]
fn a_variable_stands_for_a_flag_and_the_flag_hides_it() {
    let variables = [
        (
            "ORIGIN_REGION_EXPORTER_WEB_LISTEN_ADDRESS",
            "127.0.0.1:1, [::1]:2",
        ),
        ("ORIGIN_REGION_EXPORTER_WEB_ENABLE_LIFECYCLE", "1"),
        ("ORIGIN_REGION_EXPORTER_WEB_SYSTEMD_SOCKET", "no"),
        ("ORIGIN_REGION_EXPORTER_LOG_FORMAT", "json"),
        ("ORIGIN_REGION_EXPORTER_LOG_LEVEL", ""),
    ];
    let flags = parsed("", &variables).flags;
    assert_eq!(flags.web().listen, ["127.0.0.1:1", "[::1]:2"]);
    assert!(flags.web().enable_lifecycle);
    assert!(!flags.web().systemd_socket);
    assert_eq!(flags.log().format, LogFormat::Json);
    assert_eq!(flags.log().level, Level::INFO);

    let flags = parsed(
        "--web.listen-address=:9 check --web.enable-lifecycle=false",
        &variables,
    )
    .flags;
    assert_eq!(flags.web().listen, [":9"]);
    assert!(!flags.web().enable_lifecycle);
}

#[test]
fn every_mistake_in_flags_and_variables_is_told_at_once() {
    let variable = ("ORIGIN_REGION_EXPORTER_SHARD", "first");
    let arguments = "--web.max-requests=0 check --log.level=loud --web.enable-lifecycle=perhaps";
    assert_eq!(
        cli(arguments, &[variable]).unwrap_err().text().0,
        "error: environment variable ORIGIN_REGION_EXPORTER_SHARD: shard: expected a number from \
         0, or \"auto\", found \"first\"\n\
         error: flag --web.enable-lifecycle: expected true or false, found \"perhaps\"\n\
         error: flag --web.max-requests: expected a whole number from 1 to 100000, found \"0\"\n\
         error: flag --log.level: expected trace, debug, info, warn or error, found \"loud\"\n"
    );
}

#[test]
fn a_bad_variable_is_named() {
    assert_eq!(
        problem("", &[("ORIGIN_REGION_EXPORTER_WEB_MAX_REQUESTS", "many")]),
        "error: environment variable ORIGIN_REGION_EXPORTER_WEB_MAX_REQUESTS: web_max_requests: \
         expected a whole number from 1 to 100000, found \"many\""
    );
}

#[test]
fn variables_that_kubernetes_makes_are_not_read() {
    parsed(
        "",
        &[
            ("ORIGIN_REGION_EXPORTER_PORT", "tcp://10.0.0.1:10955"),
            (
                "ORIGIN_REGION_EXPORTER_PORT_10955_TCP",
                "tcp://10.0.0.1:10955",
            ),
            ("ORIGIN_REGION_EXPORTER_SERVICE_HOST", "10.0.0.1"),
            ("ORIGIN_REGION_EXPORTER_SERVICE_PORT", "10955"),
        ],
    );
}

#[test]
fn a_boolean_flag_needs_no_value_and_takes_one_after_an_equals_sign() {
    for (arguments, lifecycle) in [
        ("--web.enable-lifecycle", true),
        ("--web.enable-lifecycle=true", true),
        ("--web.enable-lifecycle=false", false),
        ("--web.enable-lifecycle=0 serve", false),
        ("--web.enable-lifecycle check", true),
    ] {
        let web = parsed(arguments, &[]).flags.web();
        assert_eq!(web.enable_lifecycle, lifecycle, "{arguments}");
    }
}

#[test]
fn bad_values_say_what_was_expected() {
    for (arguments, expected) in [
        ("--web.listen-address=10955", "expected \"host:port\""),
        ("--web.listen-address=::1:80", "expected \"host:port\""),
        ("--web.listen-address=:70000", "expected \"host:port\""),
        ("--web.telemetry-path=metrics", "expected a path"),
        ("--web.telemetry-path=/-/healthy", "another page's"),
        ("--web.telemetry-path=/zones/x", "another page's"),
        ("--web.max-requests=0", "from 1 to 100000, found \"0\""),
        ("--log.level=loud", "expected trace"),
        ("--log.level=3", "expected trace"),
        ("--log.format=xml", "[possible values: logfmt, json]"),
        ("--shard=first", "flag --shard: expected a number"),
        ("--total-shards=0", "from 1 to 10000"),
        ("--web.listen=:1", "unexpected argument"),
    ] {
        let shown = cli(arguments, &[]).unwrap_err().text().0;
        assert!(shown.contains(expected), "{arguments}: {shown}");
    }
}

#[test]
fn the_shard_is_a_number_or_the_end_of_the_hosts_name() {
    assert_eq!(shard("", "x"), Ok(Shard::SINGLE));
    let third = Shard {
        ordinal: 2,
        total: 3,
    };
    assert_eq!(shard("--shard 2 --total-shards 3", "x"), Ok(third));
    assert_eq!(
        shard("--shard=auto --total-shards=3", "exporter-2"),
        Ok(third)
    );
    assert_eq!(
        shard(
            "--shard=auto --total-shards=3",
            "a-9-exporter-2.svc.local-1"
        ),
        Ok(third)
    );
    for (arguments, host, problem) in [
        (
            "--shard=3 --total-shards=3",
            "x",
            "flag --shard: expected a number below --total-shards (3), found 3",
        ),
        (
            "--shard=auto",
            "exporter-x2",
            "flag --shard: \"auto\" expects a host name that ends in \"-\" and a number, found \"exporter-x2\"",
        ),
        (
            "--total-shards=2",
            "exporter-1",
            "flag --shard: expected the number of this one of 2 shards, from 0, or \"auto\"",
        ),
    ] {
        assert_eq!(shard(arguments, host), Err(problem.to_owned()));
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in ["--help", "--version", "once --help"] {
        let stop = cli(arguments, &[]).unwrap_err();
        assert!(stop.text().1);
    }
    let help = cli("--help", &[]).unwrap_err().text().0;
    for shown in ["Run the daemon (the default)", "Look up one mapping"] {
        assert!(help.contains(shown), "{help}");
    }
    let help = cli("once --help", &[]).unwrap_err().text().0;
    for shown in ["Poll every zone once", "--output", "--config.file"] {
        assert!(help.contains(shown), "{help}");
    }
    let version = cli("--version", &[]).unwrap_err().text().0;
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert!(version.contains("rustc 1."), "{version}");
}
