//! `check`

use std::fs;

use cloudflare_origin_region_exporter::simulator::{CredentialStatus, Fault, FaultKind, Operation};

use crate::support::{Setup, TOKEN, world};

#[tokio::test]
async fn a_good_configuration_is_said_to_be_good_without_a_request() {
    let setup = Setup::new(world(), "").await;
    let ended = setup.run(&["check"]).await;
    ended.code(0).says(&["configuration is good", "5m"]);
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
        .says(&["Warning", "from_dns", "vendor_ranges"]);
    // Once is enough.
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
        .says(&["main", "active", "a.test", "b.test", "ok"]);
    ended.says(&["expect.zones", "lost.test", "zone_overrides", "gone.test"]);
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
    ended.code(1).says(&["b.test", "403", "a.test"]);

    let setup = Setup::new(world(), "").await;
    let disable = |status| {
        setup
            .api
            .update(|world| world.credentials[0].status = status);
    };
    disable(CredentialStatus::Disabled);
    let ended = setup.run(&["check", "--online"]).await;
    ended.code(1).says(&["disabled", "401"]);
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
        .says(&["default", "20 requests", "interval of"]);
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
        .says(&["a.tst, did you mean a.test?", "no zone is watched"]);
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
        .says(&["did you mean ORIGIN_REGION_EXPORTER_LOG_LEVEL?"]);
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
        .says(&["expect.zones.a.test", "192.0.2.1: aws useast1"]);
}
