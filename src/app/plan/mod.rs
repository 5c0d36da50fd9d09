//! Prints the changes that would resolve the findings.

mod terraform;

use std::process::ExitCode;

use jiff::Timestamp;

use super::parts::Parts;
use super::{Error, USAGE, logging, output, table};
use crate::config::Settings;
use crate::config::cli::PlanFormat;
use crate::findings::ZoneFindings;
use crate::snapshot::{Directory, PlanRow, Prune, curl_script};

/// There are changes to make.
const SOMETHING: u8 = 1;

/// Exit code 0 if there is nothing to change, 1 if there is, and 2 if a zone or account could not
/// be read, or if there is nothing to change and a source of origins could not be read; what is
/// known is printed anyway. Makes no changes itself.
pub(super) async fn run(
    settings: Settings,
    zones: &[String],
    format: PlanFormat,
    prune: bool,
) -> Result<ExitCode, Error> {
    let (parts, poller) = Parts::new(&settings)?;
    parts.ranges.refresh_all_once().await;
    poller.run_once().await;
    let expect = &settings.expect;
    // Unused mappings are known only if all sources are enabled.
    let is_unused_wanted =
        prune && expect.from_dns && expect.from_load_balancers && expect.from_rules;
    let prune = if prune {
        Prune::Unnamed(expect.unused_after)
    } else {
        Prune::Nothing
    };
    let directory = parts.snapshot.directory();
    let plans = plans(&directory, zones, prune, is_unused_wanted, Timestamp::now());
    let is_complete = plans.problems.is_empty() && plans.unsure.is_empty();
    let text = match format {
        PlanFormat::Table => as_table(&plans.rows, is_complete),
        PlanFormat::Json => {
            let plans = serde_json::json!({ "zones": plans.rows });
            serde_json::to_string_pretty(&plans)? + "\n"
        }
        PlanFormat::Curl => curl_script(&plans.rows, settings.cloudflare.base_url.as_str()),
        PlanFormat::Terraform => terraform::render(&plans.rows),
    };
    for problem in &plans.problems {
        logging::print(&format!("error: {problem}"));
    }
    for zone in &plans.unsure {
        logging::print(&format!(
            "warning: zone {zone}: some sources of its origins could not be read, so the plan may \
             be incomplete"
        ));
    }
    output::write(None, text.as_bytes())?;
    let has_something = plans.rows.iter().any(|row| !row.plan.is_empty());
    Ok(ExitCode::from(
        if has_something && plans.problems.is_empty() {
            SOMETHING
        } else if !has_something && is_complete {
            0
        } else {
            USAGE
        },
    ))
}

struct Plans {
    rows: Vec<PlanRow>,
    /// Why a zone or account could not be read.
    problems: Vec<String>,
    /// The zones with a source of origins that could not be read.
    unsure: Vec<String>,
}

/// The plans of the requested zones (all by default), and the reasons why the plans are incomplete.
fn plans(
    directory: &Directory,
    wanted: &[String],
    prune: Prune,
    is_unused_wanted: bool,
    now: Timestamp,
) -> Plans {
    let accounts = directory.accounts.iter().filter_map(|account| {
        let error = account.error.as_ref()?;
        Some(format!("account {}: {error}", account.name))
    });
    let mut problems: Vec<_> = accounts.collect();
    let mut rows = Vec::new();
    let mut unsure = Vec::new();
    let states: Vec<_> = directory.zones.iter().map(|slot| slot.load()).collect();
    for name in wanted {
        if !states.iter().any(|state| state.zone.answers_to(name)) {
            problems.push(format!("no account has a zone {name}"));
        }
    }
    for state in &states {
        let is_wanted = |name: &String| state.zone.answers_to(name);
        if !wanted.is_empty() && !wanted.iter().any(is_wanted) {
            continue;
        }
        let name = &state.zone.name;
        match state.last_poll.as_ref().map(|poll| &poll.error) {
            Some(None) => {}
            Some(Some(error)) => problems.push(format!("zone {name}: {error}")),
            None => problems.push(format!("zone {name}: not polled")),
        }
        let is_unsure = |findings: &ZoneFindings| {
            findings.is_partial || (is_unused_wanted && findings.unnamed.is_none())
        };
        if state.findings().is_some_and(is_unsure) {
            unsure.push(name.to_string());
        }
        rows.extend(PlanRow::of(state, prune, now));
    }
    Plans {
        rows,
        problems,
        unsure,
    }
}

fn as_table(plans: &[PlanRow], is_complete: bool) -> String {
    let mut rows = Vec::new();
    for PlanRow { zone, plan, .. } in plans {
        let mut add = |action: &str, origin: String, place: String, because: &str| {
            let (action, because) = (action.to_owned(), because.to_owned());
            rows.push([zone.clone(), action, origin, place, because]);
        };
        for put in &plan.put {
            let place = format!("{} {}", put.vendor, put.region);
            add("put", put.origin_ip.to_string(), place, &put.because);
        }
        for delete in &plan.delete {
            let origin = delete.origin_ip.to_string();
            add("delete", origin, String::new(), &delete.because);
        }
        for undecided in &plan.undecided {
            let origin = undecided.origin_ip.map(|ip| ip.to_string());
            let origin = origin.unwrap_or_default();
            add("undecided", origin, String::new(), &undecided.because);
        }
    }
    if rows.is_empty() && is_complete {
        "Nothing to fix.\n".to_owned()
    } else if rows.is_empty() {
        "Nothing to fix in what could be read.\n".to_owned()
    } else {
        table::render(["zone", "action", "origin", "place", "because"], rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OriginIp, Region, Vendor};
    use crate::findings::{Delete, Put, Undecided, ZonePlan};

    pub(super) fn put(ip: &str, is_mapped: bool) -> Put {
        Put {
            origin_ip: OriginIp::parse(ip).unwrap(),
            vendor: Vendor::Aws,
            region: Region::parse("us-east-1").unwrap(),
            because: "missing: expected by dns".to_owned(),
            is_mapped,
        }
    }

    pub(super) fn row(zone: &str, put: Vec<Put>, delete: &[&str]) -> PlanRow {
        let delete = delete.iter().map(|ip| Delete {
            origin_ip: OriginIp::parse(ip).unwrap(),
            because: "unused: no source names the address".to_owned(),
        });
        PlanRow {
            zone: zone.to_owned(),
            zone_id: format!(
                "id-of-{}",
                zone.replace(|c: char| !c.is_alphanumeric(), "-")
            ),
            plan: ZonePlan {
                put,
                delete: delete.collect(),
                undecided: Vec::new(),
            },
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_action() {
        let mut row = row("a.example", vec![put("192.0.2.1", false)], &["192.0.2.2"]);
        row.plan.undecided.push(Undecided {
            origin_ip: None,
            because: "idle".to_owned(),
        });
        let text = as_table(&[row], true);
        let actions: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(actions, [Some("put"), Some("delete"), Some("undecided")]);
        assert_eq!(as_table(&[], true), "Nothing to fix.\n");
    }
}
