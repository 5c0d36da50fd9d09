//! The landing page in a real browser.

use std::process::Stdio;

use cloudflare_origin_region_exporter::simulator::{Simulator, World};
use tempfile::tempdir;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::PATIENCE;
use crate::support::exporter::Exporter;

const TOKEN: &str = "token-of-a-test";
/// Names that a page would run as scripts if it did not escape them. The last two would leave a
/// trace.
const EVIL: [&str; 3] = [
    "<script>alert(1)</script>",
    "<script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
];

#[tokio::test]
#[ignore = "needs Debian's chromium; run by scripts/test"]
async fn the_page_shows_the_zones_in_a_browser_and_runs_nothing() {
    let directory = tempdir().unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let mapping = [("3.80.2.1", "aws", "us-east-1")];
    let mut world = World::single_token(TOKEN)
        .zone("example.com", mapping)
        .zone("shop.example", mapping);
    for name in EVIL {
        world = world.zone(name, mapping);
    }
    let api = Simulator::local(world, shutdown).await.unwrap();
    let configuration = format!(
        "cloudflare: {{ base_url: \"{}\" }}\n\
         accounts: [{{ name: test, api_token: {TOKEN} }}]\n",
        api.base_url()
    );
    let exporter = Exporter::serve(directory.path(), &configuration).await;

    let page = dom(directory.path(), &exporter.url("/")).await;
    for shown in [
        "<title>Zones – Cloudflare origin region exporter</title>",
        "href=\"/metrics\"",
        "example.com",
        "shop.example",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&lt;script&gt;document.title='run'&lt;/script&gt;",
        "&lt;img src=x onerror=",
    ] {
        assert!(page.contains(shown), "no {shown} in\n{page}");
    }
    for made in ["<script", "<img"] {
        assert!(!page.contains(made), "{made} in\n{page}");
    }
}

/// The DOM after the page has loaded and its scripts, if any, have run.
async fn dom(directory: &std::path::Path, url: &str) -> String {
    let profile = directory.join("browser");
    let browser = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--dump-dom", url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("chromium starts; run scripts/install-e2e-tools");
    let output = timeout(PATIENCE, browser.wait_with_output())
        .await
        .expect("the browser exits in time")
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
