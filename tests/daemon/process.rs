//! The process: how it exits, and what prevents it from starting.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{FaultKind, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{sleep, timeout};

use crate::scrape::Scrape;
use crate::support::{Api, BAD, Config, GOOD, PATIENCE, TOKEN, fill, get, program, world};

async fn stops_in_the_middle_of_a_poll(signal: &str) {
    let api = Api::start(world()).await;
    api.fail(FaultKind::Hang);
    let mut daemon = api
        .daemon(&Config::polling("interval: 200ms, timeout: 1m"))
        .await;
    daemon
        .until("the other zone is read", |s| s.up(GOOD) == Some(true))
        .await;
    daemon
        .until("the poll began", |_| !api.readings(BAD).is_empty())
        .await;
    daemon.signal(signal);
    daemon
        .until_logged(&["stopping: finishing what is in flight"])
        .await;
    daemon.ended().await;
}

#[tokio::test]
async fn sigterm_in_the_middle_of_a_poll() {
    stops_in_the_middle_of_a_poll("TERM").await;
}

#[tokio::test]
async fn sigint_in_the_middle_of_a_poll() {
    stops_in_the_middle_of_a_poll("INT").await;
}

#[tokio::test]
async fn a_reload_that_hangs_on_a_file_holds_up_neither_polls_nor_the_end() {
    for hanging in ["config.yaml", "ca.pem"] {
        let api = Api::start(world()).await;
        let config = Config::default();
        let mut daemon = api.daemon(&config).await;
        daemon.until_read().await;
        let folder = daemon.folder.path();
        let text = config.text(&api.simulator.base_url());
        let text = text.replace("rate_limit:", "ca_file: ca.pem, rate_limit:");
        fs::write(folder.join("config.yaml"), text).unwrap();
        // Opening a pipe without a writer blocks.
        drop(fs::remove_file(folder.join(hanging)));
        let made = std::process::Command::new("mkfifo")
            .arg(folder.join(hanging))
            .status();
        assert!(made.unwrap().success());
        daemon.signal("HUP");
        daemon.until_polled_again(3.0).await;
        daemon
            .assert_logged(&["configuration reload requested"], 1)
            .await;
        daemon.stop().await;
    }
}

#[tokio::test]
async fn a_scrape_under_way_is_finished_before_the_end() {
    let mut world = World::generate(TOKEN, 4, 0, 1);
    for number in 0..4 {
        fill(
            world.zone_mut(&format!("zone-0000{number}.example")),
            3500,
            "us-east-1",
        );
    }
    let api = Api::start(world).await;
    let mut daemon = api.daemon(&Config::polling("interval: 1h")).await;
    daemon
        .until("all zones are read", |s| s.sum("zone_up", &[]) == 4.0)
        .await;
    // A client with a small buffer, so that the response cannot be sent at once.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(daemon.address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = vec![0; 1000];
    stream.read_exact(&mut answer).await.unwrap();
    daemon.signal("TERM");
    sleep(Duration::from_millis(200)).await;
    let address = daemon.address;
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "no new connection is accepted");
    let reading = stream.read_to_end(&mut answer);
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}\r\n", body.len());
    assert!(
        head.to_lowercase().contains(&length),
        "{head}\n{}",
        body.len()
    );
    daemon.ended().await;
}

#[tokio::test]
async fn an_address_in_use_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("--web.listen-address={address}");
    let mut command = program(folder.path(), &[&listen]);
    let output = command.env("CLOUDFLARE_API_TOKEN", TOKEN).output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&address) && text.contains("in use"), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
    assert!(output.stdout.is_empty());
}

/// The output of the program, which fails, when bash runs `setup` first.
async fn fails_after(setup: &str, flag: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Another user may have no access to the build directory.
    let program = folder.path().join("program");
    fs::copy(
        env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"),
        &program,
    )
    .unwrap();
    let script = format!("{setup}; exec ./program --web.listen-address=127.0.0.1:0 {flag}");
    let mut command = tokio::process::Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("CLOUDFLARE_API_TOKEN", TOKEN)
        .kill_on_drop(true);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root && setup.contains("ulimit -u") {
        // The limit on threads does not apply to root.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        command.uid(12345).gid(12345);
    }
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[tokio::test]
async fn limits_that_are_too_low_are_clear_errors() {
    let text = fails_after("ulimit -n 20", "").await;
    assert!(text.contains("the limit on open files is 20"), "{text}");
    let text = fails_after("ulimit -u 1", "").await;
    assert!(text.contains("cannot start thread 1 of"), "{text}");
}

#[tokio::test]
async fn a_passed_socket_that_does_not_listen_is_a_clear_error() {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = peer.local_addr().unwrap().port();
    let connected = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
    let setup = format!("{connected}; export LISTEN_FDS=1 LISTEN_PID=$$");
    let text = fails_after(&setup, "--web.systemd-socket").await;
    assert!(
        text.contains("that systemd passed does not listen"),
        "{text}"
    );
}

#[tokio::test]
async fn four_mistakes_are_four_errors_and_no_secret_is_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "poll: {{ intervall: 5m, timeout: 30 }}\n\
         cloudflare: {{ rate_limit: {{ share: 1.5 }} }}\n\
         accounts: [{{ name: main, api_token: {TOKEN}, api_tokn: {TOKEN} }}]\n"
    );
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    for command in ["serve", "check"] {
        let arguments = [
            command,
            "--config.file=config.yaml",
            "--web.listen-address=127.0.0.1:0",
        ];
        let output = program(folder.path(), &arguments).output();
        let output = timeout(PATIENCE, output).await.unwrap().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        for (path, word) in [
            ("poll.intervall", "interval"),
            ("poll.timeout", "30"),
            ("cloudflare.rate_limit.share", "1.5"),
            ("accounts[0].api_tokn", "api_token"),
        ] {
            let mut lines = text.lines();
            assert!(
                lines.any(|line| line.contains(path) && line.contains(word)),
                "{path}: {text}"
            );
        }
        assert_eq!(text.matches("config.yaml:").count(), 4, "{text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn of_200_scrapes_at_once_each_is_answered_or_refused() {
    let api = Api::start(world()).await;
    let mut daemon = api.daemon(&Config::default()).await;
    daemon.until_read().await;
    let address = daemon.address;
    let scrapes: Vec<_> = (0..200)
        .map(|_| tokio::spawn(get(address, "/metrics")))
        .collect();
    let mut answered = 0;
    for scrape in scrapes {
        match scrape.await.unwrap() {
            (200, text) => {
                Scrape::parse(&text);
                answered += 1;
            }
            (503, text) => assert!(text.contains("--web.max-requests"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(answered >= 40, "{answered} of 200 were answered");
    daemon.scrape().await;
    daemon.stop().await;
}
