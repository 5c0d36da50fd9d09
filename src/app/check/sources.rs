//! Lists every source besides the mappings, with its permission and the result of reading it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::table;
use crate::cloudflare::{ApiError, CallBudget, Client, Operation};
use crate::config::Settings;
use crate::domain::Vendor;
use crate::poller::{SourceOutcome, SourceReading};
use crate::snapshot::Directory;

/// The time limit for reading one audit log.
const AUDIT_LOG_BUDGET: Duration = Duration::from_mins(1);
/// The period of an audit log to read: enough to see that it is readable.
const AUDIT_LOG_TIME: Duration = Duration::from_mins(1);
/// The most zones that a row names.
const ZONES_NAMED: usize = 5;

/// The cells of a row of the table.
type Row = [String; 5];

/// The outcomes of all calls. Equal ones share a row.
pub(super) struct Sources<'a> {
    settings: &'a Settings,
    /// The zones of each outcome, by call, account and outcome.
    outcomes: BTreeMap<(Operation, String, String), BTreeSet<String>>,
    ranges: &'a BTreeMap<Vendor, Result<usize, String>>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        readings: &[SourceReading],
        ranges: &'a BTreeMap<Vendor, Result<usize, String>>,
    ) -> Self {
        let mut outcomes = BTreeMap::<_, BTreeSet<String>>::new();
        for reading in readings {
            let outcome = match &reading.outcome {
                SourceOutcome::Read => "ok".to_owned(),
                SourceOutcome::PartlyRead => "read, but some rows cannot be read".to_owned(),
                SourceOutcome::NotNeeded => {
                    "not needed, no load balancer in use names a pool".to_owned()
                }
                SourceOutcome::NotAvailable => {
                    "not available, Tiered Cache may be off in the zone".to_owned()
                }
                SourceOutcome::Failed(error) => failure(error),
            };
            let key = (reading.operation, reading.account.to_string(), outcome);
            let places = outcomes.entry(key).or_default();
            places.extend((!reading.zone.is_empty()).then(|| reading.zone.clone()));
        }
        Self {
            settings,
            outcomes,
            ranges,
        }
    }

    /// Tries the audit log of each Cloudflare account that owns zones, if audit logs are enabled.
    pub(super) async fn add_audit_logs(&mut self, clients: &[Client], directory: &Directory) {
        if !self.settings.audit_log.enabled {
            return;
        }
        let mut tried: BTreeSet<Arc<str>> = BTreeSet::new();
        for client in clients {
            for slot in &directory.zones {
                let state = slot.load();
                let Some(owner) = state.zone.owner.clone() else {
                    continue;
                };
                if state.account != *client.account() || !tried.insert(Arc::clone(&owner)) {
                    continue;
                }
                let now = Timestamp::now();
                let since = now.checked_sub(AUDIT_LOG_TIME).unwrap_or(now);
                let call = CallBudget::new(AUDIT_LOG_BUDGET);
                let reading = client.audit_log(&owner, since, now, false, &call).await;
                let outcome = reading.map_or_else(|error| failure(&error), |_| "ok".to_owned());
                let key = (Operation::AuditLog, client.account().to_string(), outcome);
                let places = self.outcomes.entry(key).or_default();
                places.insert(format!("Cloudflare account {owner}"));
            }
        }
    }

    /// Renders one row per call, account and outcome.
    pub(super) fn render(&self) -> String {
        let (expect, verify) = (&self.settings.expect, self.settings.verify);
        let dns = ("expect.from_dns", expect.from_dns);
        let load_balancers = ("expect.from_load_balancers", expect.from_load_balancers);
        let rules = ("expect.from_rules", expect.from_rules);
        let any = (
            "expect.from_dns, from_load_balancers, from_rules",
            expect.from_dns || expect.from_load_balancers || expect.from_rules,
        );
        let regions = ("verify.supported_regions", verify.supported_regions);
        let cache = ("verify.tiered_cache", verify.tiered_cache);
        let audit_log = ("audit_log.enabled", self.settings.audit_log.enabled);
        let mut rows = Vec::new();
        for (operation, name, key) in [
            (Operation::DnsRecords, "DNS records", dns),
            (Operation::LoadBalancers, "load balancers", load_balancers),
            (
                Operation::LoadBalancerPools,
                "load balancer pools",
                load_balancers,
            ),
            (Operation::OriginRules, "Origin Rules", rules),
            (Operation::CloudConnector, "Cloud Connector rules", rules),
            (Operation::PageRules, "page rules", rules),
            (Operation::CloudflareIps, "Cloudflare's own addresses", any),
            (Operation::SupportedRegions, "supported regions", regions),
            (Operation::TieredCache, "Tiered Cache", cache),
            (Operation::SmartTieredCache, "Smart Tiered Cache", cache),
        ] {
            self.push_rows(operation, name, key, &mut rows);
        }
        for (vendor, outcome) in self.ranges {
            let outcome = match outcome {
                Ok(prefixes) => format!("ok, {prefixes} prefixes"),
                Err(error) => error.clone(),
            };
            let name = format!("vendor ranges of {vendor}");
            rows.push(row(&name, None, "", &outcome, ""));
        }
        if self.ranges.is_empty() {
            let off = "off (verify.vendor_ranges.enabled)";
            rows.push(row("vendor ranges", None, "", off, ""));
        }
        self.push_rows(Operation::AuditLog, "audit log", audit_log, &mut rows);
        let titles = ["source", "permission", "account", "result", "where"];
        table::render(titles, rows)
    }

    /// The rows of a call, which this key enables.
    fn push_rows(
        &self,
        operation: Operation,
        name: &str,
        (key, is_on): (&str, bool),
        rows: &mut Vec<Row>,
    ) {
        let name = format!("{name} ({})", operation.as_str());
        let permission = operation.permission();
        let outcomes = self.outcomes.iter();
        let of_call = outcomes.filter(|((of, ..), _)| *of == operation);
        let before = rows.len();
        for ((_, account, outcome), places) in of_call {
            rows.push(row(&name, permission, account, outcome, &in_words(places)));
        }
        if rows.len() == before {
            let outcome = if is_on {
                "not tried, no zone could be read".to_owned()
            } else {
                format!("off ({key})")
            };
            rows.push(row(&name, permission, "", &outcome, ""));
        }
    }
}

fn row(name: &str, permission: Option<&str>, account: &str, outcome: &str, places: &str) -> Row {
    let permission = permission.unwrap_or("none needed");
    [name, permission, account, outcome, places].map(str::to_owned)
}

/// `forbidden: the API answered 403 …`
fn failure(error: &ApiError) -> String {
    format!("{}: {}", error.reason, error.detail)
}

/// `a.example, b.example and 3 more`
fn in_words(places: &BTreeSet<String>) -> String {
    let named: Vec<_> = places
        .iter()
        .take(ZONES_NAMED)
        .map(String::as_str)
        .collect();
    let more = places.len() - named.len();
    let named = named.join(", ");
    if more > 0 {
        format!("{named} and {more} more")
    } else {
        named
    }
}
