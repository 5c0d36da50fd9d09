//! The Alertmanager of Debian.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use super::program::Program;
use super::read;

/// A running Alertmanager with the shipped inhibition rules. It notifies a webhook within seconds.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    _program: Program,
}

impl Alertmanager {
    pub(crate) async fn start(directory: &Path, webhook: SocketAddr) -> Self {
        let file = directory.join("alertmanager.yaml");
        let configuration = format!(
            "route: {{ receiver: test, group_by: [alertname, cluster, account, zone], group_wait: 3s, \
             group_interval: 1s, repeat_interval: 1h }}\n\
             receivers: [{{ name: test, webhook_configs: [{{ url: \"http://{webhook}/\" }}] }}]\n{}",
            read("deploy/prometheus/inhibit_rules.yaml")
        );
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.path={}",
                directory.join("alertmanager").display()
            ))
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ]);
        let mut program = Program::start("alertmanager", directory, &mut command);
        Self {
            address: program.address().await,
            _program: program,
        }
    }
}
