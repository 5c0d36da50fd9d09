//! Cloudflare's official Python client against the simulated API.

use std::path::Path;
use std::process::Stdio;

use cloudflare_origin_region_exporter::simulator::{
    LoadBalancer, Pool, PoolOrigin, Simulator, World,
};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::support::TOKEN;

/// 121 zones: `example.com` with 45 mappings, an empty one, and 119 others.
fn world() -> World {
    let mut world = World::generate(TOKEN, 119, 1, 5).zone("empty.example", []);
    world = world.zone("example.com", [("2001:db8::1", "gcp", "us-central1")]);
    let account = world.accounts.values_mut().next().unwrap();
    account.pools.push(Pool {
        id: "17b5962d775c646f3f9725cbc7a53df4".to_owned(),
        name: "europe".to_owned(),
        enabled: true,
        origins: vec![PoolOrigin {
            name: "one".to_owned(),
            address: "192.0.2.1".to_owned(),
            enabled: true,
            virtual_network_id: None,
        }],
    });
    let zone = world.zone_mut("example.com");
    let written = "2026-03-01T12:00:00.123456Z".parse().unwrap();
    for host in 1..=44 {
        zone.map(
            &format!("192.0.2.{host}"),
            "aws",
            "us-east-1",
            Some(written),
        );
    }
    zone.record("A", "www.example.com", "192.0.2.1", true);
    zone.record("AAAA", "www.example.com", "2001:db8::1", true);
    zone.record("A", "ssh.example.com", "192.0.2.9", false);
    zone.load_balancers.push(LoadBalancer {
        id: "699d98642c564d2e855e9661899b7252".to_owned(),
        name: "www.example.com".to_owned(),
        enabled: true,
        default_pools: vec!["17b5962d775c646f3f9725cbc7a53df4".to_owned()],
        fallback_pool: "17b5962d775c646f3f9725cbc7a53df4".to_owned(),
        ..LoadBalancer::default()
    });
    world
}

#[tokio::test]
#[ignore = "needs EXPORTER_PYTHON, the interpreter that scripts/python-env prints"]
async fn the_official_client_works_with_the_simulation() {
    let python = std::env::var("EXPORTER_PYTHON")
        .expect("EXPORTER_PYTHON is the interpreter that scripts/python-env prints");
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let world = world();
    let account = world.accounts.keys().next().unwrap().clone();
    let simulator = Simulator::local(world, shutdown).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/official_client.py");
    let output = Command::new(python)
        .arg(script)
        .args([simulator.base_url().as_str(), TOKEN, &account])
        .env_remove("CLOUDFLARE_API_KEY")
        .env_remove("CLOUDFLARE_EMAIL")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the interpreter starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
