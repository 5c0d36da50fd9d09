//! Looks up one mapping.

use std::process::ExitCode;
use std::time::Duration;

use prometheus::Registry;

use super::{AppError, output, parts};
use crate::cloudflare::{ApiError, CallBudget, Client, Metrics, Secrets};
use crate::config::Settings;
use crate::domain::{OriginIp, Zone, ZoneId};

/// What the whole look-up may spend.
const BUDGET: Duration = Duration::from_mins(2);
/// Cloudflare's own identifiers have this many hexadecimal digits.
const ID_DIGITS: usize = 32;

const MAPPED: u8 = 0;
const NOT_MAPPED: u8 = 1;
const COULD_NOT_TELL: u8 = 2;

/// Exit code 0 where the origin is mapped, 1 where it is not, 2 where that could not be told.
pub(super) async fn run(
    settings: Settings,
    zone: &str,
    ip: OriginIp,
) -> Result<ExitCode, AppError> {
    let http = parts::build_http_client(&settings)?;
    let clients = parts::clients(
        &settings,
        &http,
        &Metrics::register(&Registry::new())?,
        &Secrets::default(),
    );
    let (code, text) = match look_up(&clients, zone, ip).await {
        Ok(Answer::Mapped(text)) => (MAPPED, text),
        Ok(Answer::NotMapped) => (NOT_MAPPED, format!("{ip} has no mapping in {zone}")),
        Ok(Answer::NoSuchZone) => (
            COULD_NOT_TELL,
            format!("no account of the configuration has a zone {zone}"),
        ),
        Err(error) => (COULD_NOT_TELL, format!("cannot tell: {error}")),
    };
    output::write(None, format!("{text}\n").as_bytes())?;
    Ok(ExitCode::from(code))
}

enum Answer {
    Mapped(String),
    NotMapped,
    NoSuchZone,
}

/// Asks each account for the zone until one has it. An account that fails makes the answer
/// uncertain only where no other has the zone.
async fn look_up(clients: &[Client], zone: &str, ip: OriginIp) -> Result<Answer, ApiError> {
    let mut failure = None;
    for client in clients {
        let call = CallBudget::new(BUDGET);
        match find(client, zone, &call).await {
            Ok(None) => {}
            Ok(Some(id)) => match client.get_mapping(&id, ip, &call).await {
                Ok(Some(mapping)) => {
                    let modified = mapping
                        .modified_on
                        .map(|at| format!(", last modified {at}"));
                    let (vendor, region) = (mapping.vendor, mapping.region);
                    let modified = modified.unwrap_or_default();
                    return Ok(Answer::Mapped(format!(
                        "{ip} is in {vendor} {region}{modified}"
                    )));
                }
                Ok(None) => return Ok(Answer::NotMapped),
                Err(error) => failure = Some(error),
            },
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(Answer::NoSuchZone), Err)
}

/// The zone's identifier: what looks like one is taken for one, and saves listing the zones.
async fn find(client: &Client, zone: &str, call: &CallBudget) -> Result<Option<ZoneId>, ApiError> {
    let hex = zone.len() == ID_DIGITS && zone.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let (true, Ok(id)) = (hex, ZoneId::parse(zone)) {
        return Ok(Some(id));
    }
    let zones = client.list_zones(call).await?.zones;
    let mut named: Vec<Zone> = zones
        .into_iter()
        .filter(|found| found.answers_to(zone))
        .collect();
    named.sort_by_key(|zone| !zone.is_active());
    Ok(named.into_iter().next().map(|zone| zone.id))
}
