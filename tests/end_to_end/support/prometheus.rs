//! The Prometheus of Debian, with the configuration files that this repository ships.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::process::Command;

use super::program::Program;
use super::{eventually, http, read, replaced};

/// A running Prometheus that scrapes exporters every second.
pub(crate) struct Prometheus {
    address: SocketAddr,
    _program: Program,
}

/// An element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// Starts Prometheus with these exporters (see [`watch`]), these rules, and this Alertmanager
    /// if there is one.
    pub(crate) async fn start(
        directory: &Path,
        exporters: &[(SocketAddr, &str)],
        rules: &str,
        alertmanager: Option<SocketAddr>,
    ) -> Self {
        let file = directory.join("targets.json");
        watch(directory, exporters);
        let shipped = read("deploy/prometheus/prometheus.yaml");
        let targets = format!(
            "file_sd_configs: [{{ files: [\"{}\"], refresh_interval: 1s }}]",
            file.display()
        );
        let mut configuration = replaced(
            &shipped,
            "static_configs:\n      - targets: [\"localhost:10955\"]",
            &targets,
        );
        for setting in ["scrape_interval", "evaluation_interval"] {
            let shipped = format!("{setting}: 30s");
            configuration = replaced(&configuration, &shipped, &format!("{setting}: 1s"));
        }
        if let Some(address) = alertmanager {
            writeln!(
                configuration,
                "alerting:\n  alertmanagers: [{{ static_configs: [{{ targets: [\"{address}\"] }}] }}]"
            )
            .unwrap();
        }
        let file = directory.join("prometheus.yaml");
        fs::write(&file, configuration).unwrap();
        fs::write(directory.join("rules.yaml"), rules).unwrap();

        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0");
        let mut program = Program::start("prometheus", directory, &mut command);
        let prometheus = Self {
            address: program.address().await,
            _program: program,
        };
        eventually("good scrapes of all exporters", async || {
            match prometheus.try_query("up == 1").await? {
                good if good.len() == exporters.len() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        prometheus
    }

    /// The alerts that have fired so far.
    pub(crate) async fn fired(&self) -> BTreeSet<String> {
        let firing = "group by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
        let fired = self.query(firing).await;
        let names = fired.iter().map(|sample| sample.label("alertname"));
        names.map(str::to_owned).collect()
    }

    /// Evaluates an instant query at the current time.
    ///
    /// # Panics
    ///
    /// If Prometheus rejects the query.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Sample> {
        let result = self.try_query(expression).await;
        result.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_query(&self, expression: &str) -> Result<Vec<Sample>, String> {
        let url = format!("http://{}/api/v1/query", self.address);
        let request = http().get(url).query(&[("query", expression)]);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match body["data"]["result"].as_array() {
            Some(result) => Ok(result.iter().map(sample).collect()),
            None => Err(body.to_string()),
        }
    }
}

/// Makes the Prometheus of this folder scrape exactly these exporters. Each has a cluster label,
/// unless that is empty.
pub(crate) fn watch(directory: &Path, exporters: &[(SocketAddr, &str)]) {
    let groups: Vec<_> = exporters
        .iter()
        .map(|(address, cluster)| {
            json!({ "targets": [address.to_string()], "labels": { "cluster": cluster } })
        })
        .collect();
    // Atomically, because Prometheus would read a partially written file.
    let new = directory.join("targets.new");
    fs::write(&new, serde_json::to_vec(&groups).unwrap()).unwrap();
    fs::rename(new, directory.join("targets.json")).unwrap();
}

impl Sample {
    /// The value of a label; empty if there is none, as in Prometheus.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

fn sample(element: &Value) -> Sample {
    Sample {
        labels: element["metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        value: element["value"][1].as_str().unwrap().parse().unwrap(),
    }
}
