//! Looks up one mapping.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::parts::Parts;
use super::{Error, USAGE, output};
use crate::cloudflare::{ApiError, CallBudget, Client};
use crate::config::Settings;
use crate::config::cli::GetFormat;
use crate::domain::{Mapping, OriginIp, Zone, ZoneId};

/// The time limit for the whole lookup.
const BUDGET: Duration = Duration::from_mins(2);
/// The number of hexadecimal digits in Cloudflare's identifiers.
const ID_DIGITS: usize = 32;

const NOT_MAPPED: u8 = 1;

/// The zone and its mapping of the origin; or why the answer is unknown.
type Answer = Result<(ZoneId, Option<Mapping>), String>;

/// Exit code 0 if the origin is mapped, 1 if it is not, 2 if the answer is unknown.
pub(super) async fn run(
    settings: Settings,
    zone: &str,
    ip: OriginIp,
    format: GetFormat,
) -> Result<ExitCode, Error> {
    let (parts, _) = Parts::new(&settings)?;
    let answer = look_up(&parts.clients.load_full(), zone, ip).await;
    let text = match format {
        GetFormat::Text => as_text(&answer, zone, ip),
        GetFormat::Json => as_json(&answer, zone, ip).to_string(),
    };
    output::write(None, format!("{text}\n").as_bytes())?;
    Ok(ExitCode::from(match answer {
        Ok((_, Some(_))) => 0,
        Ok((_, None)) => NOT_MAPPED,
        Err(_) => USAGE,
    }))
}

fn as_text(answer: &Answer, zone: &str, ip: OriginIp) -> String {
    match answer {
        Ok((_, Some(mapping))) => {
            let Mapping { vendor, region, .. } = mapping;
            let modified = mapping.modified_on;
            let modified = modified.map(|at| format!(", last modified {at}"));
            let modified = modified.unwrap_or_default();
            format!("{ip} is in {vendor} {region}{modified}")
        }
        Ok((_, None)) => format!("{ip} has no mapping in {zone}"),
        Err(problem) => problem.clone(),
    }
}

fn as_json(answer: &Answer, zone: &str, ip: OriginIp) -> Value {
    let known = answer.as_ref().ok();
    let mapping = known.and_then(|(_, mapping)| mapping.as_ref());
    json!({
        "zone": zone,
        "zone_id": known.map(|(id, _)| id.as_str()),
        "origin_ip": ip.to_string(),
        "mapped": known.map(|(_, mapping)| mapping.is_some()),
        "vendor": mapping.map(|mapping| mapping.vendor.as_str()),
        "region": mapping.map(|mapping| mapping.region.as_str()),
        "modified_on": mapping.and_then(|mapping| mapping.modified_on),
        "error": answer.as_ref().err(),
    })
}

/// Queries the accounts that have the zone, and returns the first answer. Active zones take
/// precedence over others with the same name; several that remain are ambiguous. A failing account
/// makes the answer unknown only if no other one answers.
async fn look_up(clients: &[Client], zone: &str, ip: OriginIp) -> Answer {
    let mut failure = None;
    let mut named: Vec<(&Client, Zone)> = Vec::new();
    for client in clients {
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
        return Err(format!(
            "{zone} is ambiguous: several zones have this name; name one by its identifier: {ids}"
        ));
    }
    for (client, Zone { id, .. }) in named {
        match client.get_mapping(&id, ip, &CallBudget::new(BUDGET)).await {
            Ok(mapping) => return Ok((id, mapping)),
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
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
