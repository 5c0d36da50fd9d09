//! The changes that fix the findings of a zone, with commands to copy.

use std::collections::HashSet;

use jiff::Timestamp;
use maud::{Markup, html};

use crate::findings::{Undecided, ZonePlan};
use crate::snapshot::rows::FindingRow;
use crate::snapshot::{PlanRow, Prune, ZoneState, curl_calls};

/// The most findings without a known fix on the page; the API has the rest.
const UNDECIDED_SHOWN: usize = 20;

/// The plan for these findings of the zone; empty if there are none.
pub(super) fn block(
    state: &ZoneState,
    findings: &[FindingRow],
    api_url: &str,
    now: Timestamp,
) -> Markup {
    let Some(PlanRow { zone_id, plan, .. }) = PlanRow::of(state, Prune::Unused, now) else {
        return html! {};
    };
    let plan = restricted(plan, findings);
    if plan.is_empty() {
        return html! {};
    }
    let (put, delete) = (plan.put.len(), plan.delete.len());
    let writes = ZonePlan {
        put: plan.put,
        ..ZonePlan::default()
    };
    let deletes = ZonePlan {
        delete: plan.delete,
        ..ZonePlan::default()
    };
    html! {
        h2 #plan { "What would fix it" }
        @if put + delete > 0 {
            p {
                "Run in a shell with " code { "CLOUDFLARE_API_TOKEN" } ", a token that may edit the "
                "zone’s settings. The answer lists under " code { "result.failed" }
                " what was not changed."
            }
        }
        (command(&format!("Write {}:", mappings(put)), &curl_calls(&zone_id, &writes, api_url)))
        (command(
            &format!("Delete {} of addresses that nothing names any more:", mappings(delete)),
            &curl_calls(&zone_id, &deletes, api_url),
        ))
        (undecided(&plan.undecided))
        p.quiet {
            "All of it: " a href={ "/api/v1/plan?prune=true&zone=" (zone_id) } { "as JSON" } ", or "
            code { "cloudflare-origin-region-exporter plan --prune --format=curl " (zone_id) }
        }
    }
}

/// The part of the plan that concerns these findings.
fn restricted(mut plan: ZonePlan, findings: &[FindingRow]) -> ZonePlan {
    let origins: HashSet<_> = findings.iter().map(|row| row.origin_ip.clone()).collect();
    plan.put
        .retain(|put| origins.contains(&Some(put.origin_ip.to_string())));
    plan.delete
        .retain(|delete| origins.contains(&Some(delete.origin_ip.to_string())));
    plan.undecided
        .retain(|undecided| origins.contains(&undecided.origin_ip.map(|ip| ip.to_string())));
    plan
}

fn mappings(number: usize) -> String {
    match number {
        1 => "1 mapping".to_owned(),
        number => format!("{number} mappings"),
    }
}

/// The first of these calls.
fn command(label: &str, calls: &[String]) -> Markup {
    html! {
        @if let Some(call) = calls.first() {
            p {
                (label)
                @if calls.len() > 1 { " (the first of " (calls.len()) " commands)" }
            }
            pre.command tabindex="0" { code { (call.trim_end_matches("\necho\n")) } }
        }
    }
}

fn undecided(undecided: &[Undecided]) -> Markup {
    html! {
        @if !undecided.is_empty() {
            p { "To be done by hand:" }
            ul {
                @for row in undecided.iter().take(UNDECIDED_SHOWN) {
                    li {
                        @if let Some(origin_ip) = row.origin_ip { (origin_ip) " – " }
                        (row.because)
                    }
                }
                @if undecided.len() > UNDECIDED_SHOWN {
                    li.quiet { (undecided.len() - UNDECIDED_SHOWN) " more" }
                }
            }
        }
    }
}
