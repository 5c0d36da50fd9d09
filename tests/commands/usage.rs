//! Help, version, and configuration by environment variables alone.

use std::fs;

use crate::support::{Setup, TOKEN, command, run, world};
use cloudflare_origin_region_exporter::simulator::Credential;

#[tokio::test]
async fn help_and_version_go_to_standard_output() {
    let help = run(&mut command(&["--help"])).await;
    help.code(0).prints(&[
        "check",
        "once",
        "get",
        "demo",
        "--config.file",
        "--web.listen-address",
    ]);
    assert_eq!(help.err, "");
    for name in ["check", "once", "get", "demo"] {
        run(&mut command(&[name, "--help"]))
            .await
            .code(0)
            .prints(&["Usage"]);
    }
    let version = run(&mut command(&["--version"])).await;
    version.code(0).prints(&[env!("CARGO_PKG_VERSION")]);
    let wrong = run(&mut command(&["--web.listen-adress", ":1"])).await;
    wrong
        .code(2)
        .complains(&["--web.listen-adress", "--web.listen-address"]);
    assert_eq!(wrong.out, "");
}

#[tokio::test]
async fn without_credentials_it_says_what_to_set() {
    let ended = run(&mut command(&["check"])).await;
    ended.code(2).complains(&["CLOUDFLARE_API_TOKEN"]);
}

#[tokio::test]
async fn a_token_in_the_environment_is_the_whole_set_up() {
    let setup = Setup::new(world(), "").await;
    let once = ["once", "--format=table"];
    let variables = [("CLOUDFLARE_API_TOKEN", TOKEN)];
    let ended = setup.run_in(&variables, &once).await;
    ended.code(0).prints(&["a.test", "b.test", "default"]);
}

#[tokio::test]
async fn a_token_may_stand_in_a_file_that_ends_in_a_newline() {
    let setup = Setup::new(world(), "").await;
    let file = setup.folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let variables = [("CLOUDFLARE_API_TOKEN_FILE", file.to_str().unwrap())];
    let ended = setup.run_in(&variables, &["once", "--format=table"]).await;
    ended.code(0).prints(&["a.test"]);
}

#[tokio::test]
async fn an_email_and_a_key_serve_likewise() {
    let key = Credential::key("key-1", "ops@example.com", "s3cret-key");
    let setup = Setup::new(world().credential(key), "").await;
    let file = setup.folder.path().join("key");
    fs::write(&file, "s3cret-key\r\n").unwrap();
    for key in [
        ("CLOUDFLARE_API_KEY", "s3cret-key"),
        ("CLOUDFLARE_API_KEY_FILE", file.to_str().unwrap()),
    ] {
        let variables = [("CLOUDFLARE_EMAIL", "ops@example.com"), key];
        let ended = setup.run_in(&variables, &["once", "--format=table"]).await;
        ended.code(0).prints(&["a.test"]);
        let ended = setup.run_in(&variables, &["check", "--online"]).await;
        ended.code(0).prints(&["global API key"]);
    }
}

#[tokio::test]
async fn completions_and_the_manual_page_are_printed() {
    for (shell, part) in [
        ("bash", "COMPREPLY"),
        ("zsh", "#compdef"),
        ("fish", "complete -c"),
    ] {
        let ended = run(&mut command(&["completions", shell])).await;
        ended
            .code(0)
            .prints(&[part, "web.listen-address", "healthcheck"]);
    }
    let ended = run(&mut command(&["completions", "tcsh"])).await;
    ended.code(2);
    let ended = run(&mut command(&["man"])).await;
    ended
        .code(0)
        .prints(&[".TH", "web.listen\\-address", "healthcheck"]);
}
