//! Cloudflare's official Python client.

use std::path::Path;

use cloudflare_origin_region_exporter::simulator::Simulator;
use tokio::process::Command;

/// Writes mappings with the official client.
pub(crate) struct OfficialClient {
    base_url: String,
    token: &'static str,
}

impl OfficialClient {
    pub(crate) fn new(api: &Simulator, token: &'static str) -> Self {
        Self {
            base_url: api.base_url(),
            token,
        }
    }

    pub(crate) async fn put(&self, zone: &str, origin_ip: &str, vendor: &str, region: &str) {
        self.run(&["put", zone, origin_ip, vendor, region]).await;
    }

    pub(crate) async fn delete(&self, zone: &str, origin_ip: &str) {
        self.run(&["delete", zone, origin_ip]).await;
    }

    async fn run(&self, arguments: &[&str]) {
        let python = std::env::var("EXPORTER_PYTHON")
            .expect("EXPORTER_PYTHON is the interpreter that scripts/python-env prints");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/mapping.py");
        let output = Command::new(python)
            .arg(script)
            .args([&*self.base_url, self.token])
            .args(arguments)
            .env_remove("CLOUDFLARE_API_KEY")
            .env_remove("CLOUDFLARE_EMAIL")
            .output()
            .await
            .expect("the interpreter starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
