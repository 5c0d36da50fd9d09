//! Looks up one mapping.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use prometheus::Registry;
use serde_json::{Value, json};

use super::{AppError, output, parts};
use crate::cloudflare::{ApiError, CallBudget, Client, Metrics, Secrets};
use crate::config::Settings;
use crate::config::cli::GetFormat;
use crate::domain::{Mapping, OriginIp, Zone, ZoneId};
use crate::http_client::HttpClient;
use crate::poller::ConfiguredAccount;

/// The time limit for the whole lookup.
const BUDGET: Duration = Duration::from_mins(2);
/// The number of hexadecimal digits in Cloudflare's identifiers.
const ID_DIGITS: usize = 32;

const MAPPED: u8 = 0;
const NOT_MAPPED: u8 = 1;
const COULD_NOT_TELL: u8 = 2;

/// Exit code 0 if the origin is mapped, 1 if it is not, 2 if the answer is unknown.
pub(super) async fn run(
    settings: Settings,
    zone: &str,
    ip: OriginIp,
    format: GetFormat,
) -> Result<ExitCode, AppError> {
    let http = HttpClient::new(settings.cloudflare.ca_file.as_deref())?;
    let metrics = Metrics::register(&Registry::new())?;
    let accounts = parts::accounts(&settings, &http, &metrics, &Secrets::default(), &[]);
    let answer = look_up(&accounts, zone, ip).await;
    let text = match format {
        GetFormat::Text => answer.text(zone, ip),
        GetFormat::Json => answer.json(zone, ip).to_string(),
    };
    output::write(None, format!("{text}\n").as_bytes())?;
    Ok(ExitCode::from(match answer {
        Answer::Mapped(..) => MAPPED,
        Answer::NotMapped(_) => NOT_MAPPED,
        Answer::Unknown(_) => COULD_NOT_TELL,
    }))
}

enum Answer {
    Mapped(ZoneId, Mapping),
    NotMapped(ZoneId),
    /// The answer is unknown, with the reason.
    Unknown(String),
}

impl Answer {
    fn text(&self, zone: &str, ip: OriginIp) -> String {
        match self {
            Self::Mapped(_, mapping) => {
                let modified = mapping
                    .modified_on
                    .map(|at| format!(", last modified {at}"));
                let (vendor, region) = (&mapping.vendor, &mapping.region);
                let modified = modified.unwrap_or_default();
                format!("{ip} is in {vendor} {region}{modified}")
            }
            Self::NotMapped(_) => format!("{ip} has no mapping in {zone}"),
            Self::Unknown(problem) => problem.clone(),
        }
    }

    fn json(&self, zone: &str, ip: OriginIp) -> Value {
        let (id, mapping, error) = match self {
            Self::Mapped(id, mapping) => (Some(id), Some(mapping), None),
            Self::NotMapped(id) => (Some(id), None, None),
            Self::Unknown(problem) => (None, None, Some(problem)),
        };
        json!({
            "zone": zone,
            "zone_id": id.map(ZoneId::as_str),
            "origin_ip": ip.to_string(),
            "mapped": error.is_none().then_some(mapping.is_some()),
            "vendor": mapping.map(|mapping| mapping.vendor.as_str()),
            "region": mapping.map(|mapping| mapping.region.as_str()),
            "modified_on": mapping.and_then(|mapping| mapping.modified_on),
            "error": error,
        })
    }
}

/// Queries the accounts that have the zone, and returns the first answer. Active zones take
/// precedence over others with the same name; several that remain are ambiguous. A failing account
/// makes the answer unknown only if no other one answers.
async fn look_up(accounts: &[ConfiguredAccount], zone: &str, ip: OriginIp) -> Answer {
    let mut failure = None;
    let mut named: Vec<(&Client, Zone)> = Vec::new();
    for ConfiguredAccount { client, .. } in accounts {
        match find(client, zone, &CallBudget::new(BUDGET)).await {
            Ok(zones) => named.extend(zones.into_iter().map(|zone| (client, zone))),
            Err(error) => failure = Some(error),
        }
    }
    if named.iter().any(|(_, zone)| zone.is_active()) {
        named.retain(|(_, zone)| zone.is_active());
    }
    let ids: BTreeSet<_> = named.iter().map(|(_, zone)| zone.id.clone()).collect();
    if ids.len() > 1 {
        let ids: Vec<_> = ids.iter().map(ZoneId::as_str).collect();
        let ids = ids.join(", ");
        return Answer::Unknown(format!(
            "{zone} is ambiguous: several zones have this name; name one by its identifier: {ids}"
        ));
    }
    for (client, Zone { id, .. }) in named {
        match client.get_mapping(&id, ip, &CallBudget::new(BUDGET)).await {
            Ok(Some(mapping)) => return Answer::Mapped(id, mapping),
            Ok(None) => return Answer::NotMapped(id),
            Err(error) => failure = Some(error),
        }
    }
    Answer::Unknown(match failure {
        Some(error) => format!("cannot tell: {error}"),
        None => format!("no configured account has a zone {zone}"),
    })
}

/// The account's zones that match. A string that looks like an identifier is taken as one, which
/// avoids listing the zones.
async fn find(client: &Client, zone: &str, call: &CallBudget) -> Result<Vec<Zone>, ApiError> {
    let hex = zone.len() == ID_DIGITS && zone.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let (true, Ok(id)) = (hex, ZoneId::parse(zone)) {
        return Ok(vec![Zone::unknown(id)]);
    }
    let mut zones = client.list_zones(call).await?.rows;
    zones.retain(|found| found.answers_to(zone));
    Ok(zones)
}
