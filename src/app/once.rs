//! Polls every zone once and prints the result.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::parts::Parts;
use super::{Error, logging, output, table};
use crate::config::Settings;
use crate::config::cli::OnceFormat;
use crate::domain::Mapping;
use crate::exposition::Form;
use crate::metric_families::{self, Family};
use crate::snapshot::Directory;
use crate::snapshot::rows::{Finding, FindingRow, ZoneItem, ZoneRow};

/// The result for JSON output.
#[derive(Debug, Serialize)]
struct Report {
    zones: Vec<ZoneRow>,
    mappings: Vec<ZoneItem<Mapping>>,
    findings: Vec<FindingRow>,
    /// Errors from listing the zones of an account.
    errors: Vec<AccountError>,
}

#[derive(Debug, Serialize)]
struct AccountError {
    account: String,
    error: String,
}

/// A zone, or the zones of an account, could not be read.
const INCOMPLETE: u8 = 1;
/// No account could be read. An existing output file is left unchanged.
const NOTHING_READ: u8 = 3;
/// The families with a series for each mapping, with or without findings.
const DETAIL_FAMILIES: [&Family; 2] = [
    &metric_families::MAPPING_INFO,
    &metric_families::MAPPING_LAST_MODIFIED,
];

/// Exit code 0; 1 if a zone could not be read (the rest is written); 3 if no account could be read.
pub(super) async fn run(
    settings: Settings,
    format: OnceFormat,
    file: Option<&Path>,
    findings_only: bool,
) -> Result<ExitCode, Error> {
    let (parts, poller) = Parts::new(&settings)?;
    parts.ranges.refresh_all_once().await;
    poller.run_once().await;
    let now = Timestamp::now();
    let directory = parts.snapshot.directory();
    let accounts = &directory.accounts;
    let mut report = Report::of(&directory, now);
    let code = if accounts.iter().all(|account| account.up != Some(true)) {
        NOTHING_READ
    } else if report.is_complete() {
        0
    } else {
        INCOMPLETE
    };
    if code == NOTHING_READ && file.is_some_and(|file| file.as_os_str() != "-") {
        for AccountError { account, error } in &report.errors {
            logging::print(&format!("error: account {account}: {error}"));
        }
        return Ok(ExitCode::from(code));
    }
    if findings_only {
        report.retain_findings();
    }
    let content = match format {
        OnceFormat::Prometheus => {
            let text = parts.exposition.render_now(now, Form::TEXT);
            let mut text = String::from_utf8_lossy(&text).into_owned();
            if findings_only {
                text = without_what_is_in_order(&text, &report);
            }
            if file.is_some() {
                text = without_process_wide_series(&text);
            }
            text
        }
        OnceFormat::Table => report.table(),
        OnceFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    output::write(file, content.as_bytes())?;
    Ok(ExitCode::from(code))
}

/// Removes the series of the zones and mappings that the report leaves out.
fn without_what_is_in_order(text: &str, report: &Report) -> String {
    let zones: HashSet<&str> = report.zones.iter().map(|row| &*row.zone_id).collect();
    let mappings = report.mappings.iter();
    let mappings: HashSet<_> = mappings
        .map(|row| (&*row.zone_id, row.item.origin_ip.to_string()))
        .collect();
    let kept = |line: &&str| {
        let Some(zone) = label(line, "zone_id") else {
            return true;
        };
        let detail = DETAIL_FAMILIES.iter().any(|family| {
            let rest = line.strip_prefix(family.name);
            rest.is_some_and(|rest| rest.starts_with('{'))
        });
        zones.contains(zone)
            && (!detail
                || label(line, "origin_ip")
                    .is_some_and(|ip| mappings.contains(&(zone, ip.to_owned()))))
    };
    text.split_inclusive('\n').filter(kept).collect()
}

/// The value of a label in a sample. The labels used here need no unescaping.
fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    rest.split('"').next()
}

/// Keeps only the families with a label `zone` or `account`. The others are the same in each file,
/// and the textfile collector rejects a series that is in two files.
fn without_process_wide_series(text: &str) -> String {
    let kept: HashSet<&str> = metric_families::all()
        .filter(|family| family.labels.contains(&"zone") || family.labels.contains(&"account"))
        .map(|family| family.name)
        .collect();
    let mut keep = false;
    let is_kept = |line: &&str| {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next();
            keep = name.is_some_and(|name| kept.contains(name));
        }
        keep
    };
    text.split_inclusive('\n').filter(is_kept).collect()
}

impl Report {
    fn of(directory: &Directory, now: Timestamp) -> Self {
        let errors = directory.accounts.iter().filter_map(|account| {
            let error = account.error.clone()?;
            Some(AccountError {
                account: account.name.to_string(),
                error,
            })
        });
        let (mut zones, mut mappings, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for slot in &directory.zones {
            let state = &slot.load();
            zones.push(ZoneRow::of(state, None, now));
            let of_zone = state.mappings().iter();
            mappings.extend(of_zone.map(|mapping| ZoneItem::of(state, mapping.clone())));
            let of_zone = Finding::all(state, now);
            findings.extend(of_zone.map(|finding| FindingRow::of(state, finding)));
        }
        Self {
            zones,
            mappings,
            findings,
            errors: errors.collect(),
        }
    }

    /// Whether every zone could be read.
    fn is_complete(&self) -> bool {
        self.errors.is_empty() && self.zones.iter().all(|zone| zone.up == Some(true))
    }

    /// Removes the zones and mappings without findings.
    fn retain_findings(&mut self) {
        self.zones
            .retain(|zone| zone.up != Some(true) || zone.has_problem());
        let found: HashSet<_> = self
            .findings
            .iter()
            .filter_map(|row| Some((row.zone_id.as_str(), row.origin_ip.as_deref()?)))
            .collect();
        self.mappings
            .retain(|row| found.contains(&(&*row.zone_id, &*row.item.origin_ip.to_string())));
    }

    fn table(&self) -> String {
        let mut text = String::new();
        for AccountError { account, error } in &self.errors {
            let _ = writeln!(text, "account {account}: {error}\n");
        }
        text += &self.zone_table();
        if !self.mappings.is_empty() {
            text = text + "\nMappings\n" + &self.mapping_table();
        }
        if !self.findings.is_empty() {
            text = text + "\nFindings\n" + &self.finding_table();
        }
        text
    }

    fn zone_table(&self) -> String {
        let count = |count: Option<usize>| count.map(|n| n.to_string()).unwrap_or_default();
        let rows = self.zones.iter().map(|zone| {
            let state = match zone.up {
                Some(true) => "ok".to_owned(),
                Some(false) => zone.error.clone().unwrap_or_default(),
                None => "not polled".to_owned(),
            };
            [
                zone.zone.clone(),
                zone.account.clone(),
                count(zone.mappings),
                count(zone.missing),
                count(zone.wrong),
                count(zone.stale),
                state,
            ]
        });
        let titles = [
            "zone", "account", "mappings", "missing", "wrong", "stale", "state",
        ];
        table::render(titles, rows)
    }

    fn mapping_table(&self) -> String {
        let rows = self.mappings.iter().map(|mapping| {
            let ZoneItem { zone, item, .. } = mapping;
            let modified_on = item.modified_on.map(|at| at.to_string());
            [
                zone.clone(),
                item.origin_ip.to_string(),
                item.vendor.to_string(),
                item.region.to_string(),
                modified_on.unwrap_or_default(),
            ]
        });
        table::render(["zone", "origin", "vendor", "region", "modified on"], rows)
    }

    fn finding_table(&self) -> String {
        let rows = self.findings.iter().map(|finding| {
            let (vendor, region) = (&finding.expected_vendor, &finding.expected_region);
            [
                finding.zone.clone(),
                finding.origin_ip.clone().unwrap_or_default(),
                finding.in_words(),
                place(finding.vendor.as_deref(), finding.region.as_deref()),
                place(vendor.as_deref(), region.as_deref()),
            ]
        });
        let titles = ["zone", "origin", "finding", "mapped to", "expected"];
        table::render(titles, rows)
    }
}

fn place(vendor: Option<&str>, region: Option<&str>) -> String {
    let words: Vec<_> = vendor.into_iter().chain(region).collect();
    words.join(" ")
}
