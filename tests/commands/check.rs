//! `check`

use std::fs;

use cloudflare_origin_region_exporter::simulator::{
    CredentialStatus, Fault, FaultKind, LoadBalancer, Operation, Permission, Pool,
};

use crate::support::{Setup, TOKEN, world};

#[tokio::test]
async fn a_good_configuration_is_said_to_be_good_without_a_request() {
    let setup = Setup::new(world(), "").await;
    let ended = setup.run(&["check"]).await;
    ended.code(0).prints(&["configuration is good", "5m"]);
    assert!(setup.api.requests().is_empty());
    assert_eq!(ended.err, "");
}

#[tokio::test]
async fn every_mistake_is_said_at_once_and_no_secret() {
    let setup = Setup::new(world(), "").await;
    let text = format!(
        "poll:\n\
         \x20 interval: 5 parsecs\n\
         \x20 intervall: 5m\n\
         cloudflare: {{ rate_limit: {{ share: 7 }} }}\n\
         accounts: [{{ name: main, api_token: {TOKEN}, api_key: {TOKEN} }}]\n"
    );
    fs::write(setup.file(), text).unwrap();
    let ended = setup.run(&["check"]).await;
    ended.code(2).complains(&[
        "poll.interval",
        "5 parsecs",
        "poll.intervall",
        "cloudflare.rate_limit.share",
        "accounts[0]",
    ]);
    assert_eq!(ended.out, "");
}

#[tokio::test]
async fn what_is_probably_not_meant_is_a_warning() {
    let setup = Setup::new(world(), "expect: { from_dns: true }\n").await;
    let ended = setup.run(&["check"]).await;
    ended
        .code(0)
        .prints(&["Warning", "from_dns", "vendor_ranges"]);
    // The warning is printed only once.
    assert_eq!(ended.err, "");
}

#[tokio::test]
async fn online_each_account_and_zone_is_tried() {
    let more = "expect: { zones: { a.test: [{ origin_ip: 192.0.2.1 }], lost.test: [{ origin_ip: 192.0.2.2 }] } }\n\
                zone_overrides: { gone.test: { interval: 1m } }\n";
    let setup = Setup::new(world(), more).await;
    let ended = setup.run(&["check", "--online"]).await;
    ended
        .code(0)
        .prints(&["main", "active", "a.test", "b.test", "ok"]);
    ended.prints(&["expect.zones", "lost.test", "zone_overrides", "gone.test"]);
}

#[tokio::test]
async fn online_what_cannot_be_read_is_one() {
    let setup = Setup::new(world(), "poll: { retries: 0 }\n").await;
    let kind = FaultKind::ApiError(
        403,
        9109,
        "Unauthorized to access requested resource".to_owned(),
    );
    setup
        .api
        .add_fault(Fault::new(kind).on(Operation::ListMappings).zone("b.test"));
    let ended = setup.run(&["check", "--online"]).await;
    ended.code(1).prints(&["b.test", "403", "a.test"]);

    let setup = Setup::new(world(), "").await;
    let disable = |status| {
        setup
            .api
            .update(|world| world.credentials[0].status = status);
    };
    disable(CredentialStatus::Disabled);
    let ended = setup.run(&["check", "--online"]).await;
    ended.code(1).prints(&["disabled", "401"]);
}

#[tokio::test]
async fn online_it_says_which_interval_would_fit() {
    let more = "poll: { interval: 10s, discovery_interval: 5m }\n";
    let setup = Setup::new(world(), more).await;
    let limit = "ORIGIN_REGION_EXPORTER__CLOUDFLARE__RATE_LIMIT__REQUESTS";
    let variables = [
        ("CLOUDFLARE_API_TOKEN", TOKEN),
        (limit, "40"),
        ("ORIGIN_REGION_EXPORTER__POLL__INTERVAL", "10s"),
    ];
    let ended = setup.run_in(&variables, &["check", "--online"]).await;
    ended
        .code(0)
        .prints(&["default", "20 requests", "interval of"]);
}

#[tokio::test]
async fn a_credential_that_cannot_be_used_is_said_in_words() {
    let setup = Setup::new(world(), "").await;
    let token = setup.folder.path().join("token");
    for (content, problem) in [
        (None, "cannot be read"),
        (Some(""), "is empty"),
        (Some("s3cret-one\ns3cret-two\n"), "holds 2 lines"),
        (Some("\u{feff}s3cret"), "begins with a byte order mark"),
        (Some("\"s3cret\""), "holds quotes"),
        (Some("CLOUDFLARE_API_TOKEN=s3cret"), "holds NAME=value"),
        (
            Some("${CLOUDFLARE_API_TOKEN}"),
            "holds the name of a variable",
        ),
    ] {
        if let Some(content) = content {
            fs::write(&token, content).unwrap();
        }
        let variables = [("CLOUDFLARE_API_TOKEN_FILE", token.to_str().unwrap())];
        let ended = setup.run_in(&variables, &["check"]).await;
        ended
            .code(2)
            .complains(&["account default", "token", problem]);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    }
    let folder = setup.folder.path().to_str().unwrap();
    let variables = [("CLOUDFLARE_API_TOKEN_FILE", folder)];
    let ended = setup.run_in(&variables, &["check"]).await;
    ended.code(2).complains(&["is a directory"]);
    let variables = [("CLOUDFLARE_API_TOKEN", "${TOKEN}")];
    let ended = setup.run_in(&variables, &["check"]).await;
    ended.code(2).complains(&["holds the name of a variable"]);
}

#[tokio::test]
async fn both_files_are_checked_at_once() {
    let setup = Setup::new(world(), "poll: { intervall: 1m }\n").await;
    let web = setup.folder.path().join("web.yml");
    fs::write(&web, "basic_auth_users: { alice: s3cret }\n").unwrap();
    let web = web.to_str().unwrap();
    let ended = setup.run(&["check", "--web.config.file", web]).await;
    ended
        .code(2)
        .complains(&["poll.intervall", "basic_auth_users.alice"]);
    assert_eq!(ended.err.lines().count(), 2, "{}", ended.err);
}

#[tokio::test]
async fn online_no_zone_is_an_error_with_the_nearest_name() {
    let setup = Setup::new(world(), "").await;
    let text = fs::read_to_string(setup.file()).unwrap();
    let zones = "zones: { include: [a.tst] } }]";
    fs::write(setup.file(), text.replace("}]", &format!(", {zones}"))).unwrap();
    let ended = setup.run(&["check", "--online"]).await;
    ended
        .code(1)
        .prints(&["a.tst, did you mean a.test?", "no zone is watched"]);
    assert_eq!(ended.err, "");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_an_error_without_its_value() {
    let setup = Setup::new(world(), "").await;
    for (name, value) in [
        ("HTTPS_PROXY", "http://user:s3cret@proxy:3128 "),
        ("https_proxy", "ftp://s3cret@proxy"),
        ("ALL_PROXY", "http//s3cret"),
    ] {
        for command in ["check", "once"] {
            let variables = [("CLOUDFLARE_API_TOKEN", TOKEN), (name, value)];
            let ended = setup.run_in(&variables, &[command]).await;
            ended
                .code(2)
                .complains(&[name, "expected the address of an HTTP proxy"]);
        }
    }
    assert!(setup.api.requests().is_empty());
}

#[tokio::test]
async fn a_near_miss_of_a_variable_is_a_warning() {
    let setup = Setup::new(world(), "").await;
    let variables = [
        ("CLOUDFLARE_API_TOKEN", TOKEN),
        ("ORIGIN_REGION_EXPORTER_LOG_LEVEL_", "debug"),
        ("ORIGIN_REGION_EXPORTER_SERVICE_HOST", "10.0.0.1"),
    ];
    let ended = setup.run_in(&variables, &["check"]).await;
    ended
        .code(0)
        .prints(&["did you mean ORIGIN_REGION_EXPORTER_LOG_LEVEL?"]);
    assert!(!ended.out.contains("SERVICE_HOST"));
}

#[tokio::test]
async fn a_declared_region_that_cloudflare_does_not_support_is_a_warning() {
    let more =
        "expect: { zones: { a.test: [{ origin_ip: 192.0.2.1, vendor: aws, region: useast1 }] } }\n";
    let setup = Setup::new(world(), more).await;
    let ended = setup.run(&["check", "--online"]).await;
    ended
        .code(0)
        .prints(&["expect.zones.a.test", "192.0.2.1: aws useast1"]);
}

/// The cells of the rows of a source in the table of sources.
fn source<'a>(out: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let (_, table) = out.split_once("\nSources\n").unwrap();
    let table = table.split("\n\n").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with(name));
    let cells = |line: &'a str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    };
    rows.map(|line| cells(line).skip(1).collect()).collect()
}

/// Enables every source, with a token that lacks two permissions.
async fn with_every_source() -> Setup {
    let mut world = world().zone("hidden.test", []);
    let zone = world.zone_mut("a.test");
    zone.record("CNAME", "www.a.test", "lb.hidden.test", true);
    zone.load_balancers.push(LoadBalancer {
        id: "balancer".to_owned(),
        name: "www.a.test".to_owned(),
        default_pools: vec!["pool".to_owned()],
        ..LoadBalancer::default()
    });
    let pool = Pool {
        id: "pool".to_owned(),
        name: "pool".to_owned(),
        enabled: true,
        origins: Vec::new(),
    };
    world.accounts.values_mut().next().unwrap().pools.push(pool);
    for permission in [
        Permission::CloudConnectorRead,
        Permission::AccountSettingsRead,
    ] {
        for token in &mut world.credentials {
            token.permissions.remove(&permission);
        }
    }
    let ranges = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ip-ranges");
    let more = format!(
        "expect: {{ from_dns: true, from_load_balancers: true, from_rules: true }}\n\
         audit_log: {{ enabled: true }}\n\
         verify:\n\
         \x20 vendor_ranges:\n\
         \x20   enabled: true\n\
         \x20   sources: {{ aws: {ranges}/aws.json, gcp: {ranges}/gcp.json, \
         azure: {ranges}/azure.json, oci: {ranges}/nowhere.json }}\n"
    );
    let setup = Setup::new(world, &more).await;
    let text = fs::read_to_string(setup.file()).unwrap();
    let zones = "zones: { exclude: [hidden.test] } }]";
    fs::write(setup.file(), text.replacen("}]", &format!(", {zones}"), 1)).unwrap();
    setup.api.add_fault(
        Fault::new(FaultKind::ApiError(
            403,
            10000,
            "Authentication error".to_owned(),
        ))
        .on(Operation::PageRules)
        .zone("b.test"),
    );
    setup
}

#[tokio::test]
async fn online_each_source_is_named_with_its_permission_and_how_reading_it_ended() {
    let setup = with_every_source().await;
    // A source that cannot be read does not count as a zone that cannot be read.
    let ended = setup.run(&["check", "--online"]).await;
    ended.code(0);
    let both = "a.test, b.test";
    for (name, rows) in [
        (
            "DNS records (dns_records)",
            vec![vec!["Zone: DNS: Read", "main", "ok", both]],
        ),
        (
            "load balancers (load_balancers)",
            vec![vec!["Zone: Load Balancers: Read", "main", "ok", both]],
        ),
        (
            "load balancer pools (load_balancer_pools)",
            vec![
                vec![
                    "Account: Load Balancing: Monitors and Pools: Read",
                    "main",
                    "not needed, no load balancer in use names a pool",
                    "b.test",
                ],
                vec![
                    "Account: Load Balancing: Monitors and Pools: Read",
                    "main",
                    "ok",
                    "a.test",
                ],
            ],
        ),
        (
            "Origin Rules (origin_rules)",
            vec![vec!["Zone: Origin Rules: Read", "main", "ok", both]],
        ),
        (
            "Cloudflare's own addresses (cloudflare_ips)",
            vec![vec!["none needed", "main", "ok", "-"]],
        ),
        (
            "Tiered Cache (tiered_cache)",
            vec![vec!["Zone: Zone Settings: Read", "main", "ok", both]],
        ),
        (
            "Smart Tiered Cache (smart_tiered_cache)",
            vec![vec!["Zone: Zone Settings: Read", "main", "ok", both]],
        ),
    ] {
        assert_eq!(source(&ended.out, name), rows, "{name}: {}", ended.out);
    }
    for (name, permission, place) in [
        (
            "Cloud Connector rules (cloud_connector)",
            "Zone: Cloud Connector: Read",
            both,
        ),
        (
            "audit log (audit_log)",
            "Account: Account Settings: Read",
            "Cloudflare account",
        ),
        (
            "page rules (page_rules)",
            "Zone: Page Rules: Read",
            "b.test",
        ),
    ] {
        let rows = source(&ended.out, name);
        let refused: Vec<_> = rows
            .iter()
            .filter(|row| row[2].starts_with("forbidden"))
            .collect();
        assert_eq!(refused.len(), 1, "{name}: {}", ended.out);
        assert_eq!(refused[0][..2], [permission, "main"]);
        assert!(refused[0][2].contains("403"), "{}", ended.out);
        assert!(refused[0][3].starts_with(place), "{}", ended.out);
    }
    // Any zone returns the regions.
    let rows = source(&ended.out, "supported regions (supported_regions)");
    let expected = ["Zone: Zone Settings: Read", "main", "ok"];
    assert_eq!(rows[0][..3], expected, "{}", ended.out);
    let rows = source(&ended.out, "vendor ranges of aws");
    assert!(rows[0][2].starts_with("ok, "), "{}", ended.out);
    let rows = source(&ended.out, "vendor ranges of oci");
    assert!(!rows[0][2].starts_with("ok"), "{}", ended.out);
}

#[tokio::test]
async fn online_a_source_with_unreadable_rows_is_not_ok() {
    let mut world = world();
    let zone = world.zone_mut("a.test");
    zone.record("A", "www.a.test", "192.0.2.1", true);
    let zone = world.zone_mut("b.test");
    zone.record("A", "www.b.test", "192.0.2.1", true);
    zone.record("A", "other.b.test", "192.0.2.1", true);
    let more = "expect: { from_dns: true, zones: { a.test: [{ host: www.b.test }] } }\n";
    let setup = Setup::new(world, more).await;
    let bad_row = Fault::new(FaultKind::BadRow(serde_json::Value::Null));
    let bad_row = bad_row.on(Operation::DnsRecords).zone("b.test");
    setup.api.add_fault(bad_row);
    let text = fs::read_to_string(setup.file()).unwrap();
    let hidden = text.replacen("}]", ", zones: { exclude: [b.test] } }]", 1);
    for text in [text, hidden] {
        fs::write(setup.file(), text).unwrap();
        let ended = setup.run(&["check", "--online"]).await;
        let rows = source(&ended.code(0).out, "DNS records (dns_records)");
        let permission = "Zone: DNS: Read";
        let partly = "read, but some rows cannot be read";
        assert_eq!(
            rows,
            [
                vec![permission, "main", "ok", "a.test"],
                vec![permission, "main", partly, "b.test"],
            ],
            "{}",
            ended.out
        );
    }
}

#[tokio::test]
async fn online_what_is_off_is_said_to_be_off() {
    let more = "verify: { supported_regions: false, tiered_cache: false }\n";
    let setup = Setup::new(world(), more).await;
    let ended = setup.run(&["check", "--online"]).await;
    ended.code(0);
    for (name, key) in [
        ("DNS records", "expect.from_dns"),
        ("load balancers", "expect.from_load_balancers"),
        ("load balancer pools", "expect.from_load_balancers"),
        ("Origin Rules", "expect.from_rules"),
        ("Cloud Connector rules", "expect.from_rules"),
        ("page rules", "expect.from_rules"),
        ("supported regions", "verify.supported_regions"),
        ("Tiered Cache", "verify.tiered_cache"),
        ("Smart Tiered Cache", "verify.tiered_cache"),
        ("vendor ranges", "verify.vendor_ranges.enabled"),
        ("audit log", "audit_log.enabled"),
    ] {
        let rows = source(&ended.out, name);
        assert_eq!(rows.len(), 1, "{name}: {}", ended.out);
        assert_eq!(rows[0][2], format!("off ({key})"), "{name}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_are_reported_beside_other_mistakes() {
    let setup = Setup::new(world(), "").await;
    let text = "polll: {}\n\
                accounts:\n\
                - { name: a, api_token_file: gone-token }\n\
                - { name: b, email: b@a.test, api_key_file: gone-key, zones: { idss: [] } }\n";
    fs::write(setup.file(), text).unwrap();
    let ended = setup.run(&["check"]).await;
    ended.code(2).complains(&[
        "polll: unknown key",
        "accounts[1].zones.idss: unknown key",
        "account a: api_token_file: ",
        "gone-token cannot be read",
        "account b: api_key_file: ",
        "gone-key cannot be read",
    ]);
}
