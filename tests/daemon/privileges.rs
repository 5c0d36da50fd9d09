//! The process runs without privileges and write access.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::support::{Api, Config, PATIENCE, get, world};

/// The user `nobody`, as most systems number it.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn nothing_is_written_and_nothing_needs_a_privilege() {
    let api = Api::start(world()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = Config::default().text(&api.simulator.base_url());
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    // This user may have no access to the build directory.
    let program = folder.path().join("program");
    fs::copy(
        env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"),
        &program,
    )
    .unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();

    let mut command = Command::new(program);
    command
        .args([
            "--config.file=config.yaml",
            "--web.listen-address=127.0.0.1:0",
        ])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let reading = async {
        let address = loop {
            let line = log
                .next_line()
                .await
                .unwrap()
                .expect("the program is running");
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.parse().unwrap();
            }
        };
        let read = |text: &str| {
            let is_up = |line: &&str| line.contains("region_zone_up{") && line.ends_with(" 1");
            text.lines().filter(is_up).count() == 2
        };
        while !read(&get(address, "/metrics").await.1) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, reading)
        .await
        .expect("both zones are read");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
