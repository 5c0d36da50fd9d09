//! Validates the configuration, and with `--online` also tries each account and zone.

mod sources;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::sources::Sources;
use super::parts::Parts;
use super::{Error, USAGE, logging, output, secret_check, table};
use crate::cloudflare::{CallBudget, Client, Credentials, Secret, TokenState, TokenStatus};
use crate::config::{self, ConfigErrors, Environment, ProcessFlags, Settings};
use crate::config_tree::nearest;
use crate::http_client::{HttpClient, HttpClientError};
use crate::snapshot::rows::ZoneRow;
use crate::snapshot::{AccountState, Directory};
use crate::web::Protection;

/// The time limit for verifying one token.
const BUDGET: Duration = Duration::from_mins(1);

/// An account or zone could not be read, or there is no zone.
const FAILED: u8 = 1;

/// Exit code 0 if all is well, 1 if an account or zone could not be read, and 2 if the
/// configuration, the web configuration file or a credential is invalid. Nothing is logged.
pub(super) async fn run(
    flags: &ProcessFlags,
    environment: &Environment,
    online: bool,
) -> Result<ExitCode, Error> {
    let (settings, errors) = read(flags, environment);
    let Some(settings) = settings.filter(|_| errors.is_empty()) else {
        for error in errors {
            logging::print(&format!("error: {error}"));
        }
        return Ok(ExitCode::from(USAGE));
    };
    let mut text = format!(
        "The configuration is good: {} account(s), each zone polled every {}.\n",
        settings.accounts.len(),
        humantime::format_duration(settings.poller.interval),
    );
    for warning in &settings.warnings {
        let _ = writeln!(text, "Warning: {warning}");
    }
    let good = !online || try_online(&settings, &mut text).await?;
    output::write(None, text.as_bytes())?;
    Ok(ExitCode::from(if good { 0 } else { FAILED }))
}

/// Reads both files, with their certificates, authorities and credentials, and collects all errors.
fn read(flags: &ProcessFlags, environment: &Environment) -> (Option<Settings>, BTreeSet<String>) {
    let mut errors = BTreeSet::new();
    if let Err(error) = Protection::load(flags.web().web_config_file.as_deref()) {
        errors.extend(error.to_string().lines().map(str::to_owned));
    }
    let (settings, mistakes) = match config::load_in_part(flags, environment) {
        Ok((settings, mistakes)) => (Some(settings), mistakes),
        Err(mistakes) => (None, Some(mistakes)),
    };
    let mistakes = mistakes.iter().flat_map(ConfigErrors::iter);
    errors.extend(mistakes.map(ToString::to_string));
    let Some(settings) = settings else {
        return (None, errors);
    };
    // This reads the authorities, as the daemon does at startup.
    if let Err(error) = HttpClient::new(settings.cloudflare.ca_file.as_deref()) {
        let key = match error {
            HttpClientError::CaFile { .. } => "cloudflare.ca_file: ",
            HttpClientError::Client(_) => "",
        };
        errors.insert(format!("{key}{error}"));
    }
    for account in &settings.accounts {
        let key = match &account.credentials {
            Credentials::Token(_) => "api_token",
            Credentials::Key { .. } => "api_key",
        };
        let secret = account.credentials.secret();
        let suffix = match secret {
            Secret::Inline(_) => "",
            Secret::File(_) => "_file",
        };
        if let Some(problem) = secret_check::problem(secret) {
            errors.insert(format!(
                "account {}: {key}{suffix}: {problem}",
                account.name
            ));
        }
    }
    (Some(settings), errors)
}

async fn try_online(settings: &Settings, text: &mut String) -> Result<bool, Error> {
    let (parts, poller) = Parts::new(settings)?;
    let clients = parts.clients.load_full();
    let ranges = parts.ranges.refresh_all_once().await;
    let round = poller.run_once().await;
    let directory = parts.snapshot.directory();
    text.push_str("\nAccounts\n");
    let mut rows = Vec::new();
    for (client, account) in clients.iter().zip(&directory.accounts) {
        let (owner, call) = (owner(&directory, account), CallBudget::new(BUDGET));
        let token = match client.verify_token(owner.as_deref(), &call).await {
            Ok(status) => describe(&status),
            Err(error) => format!("could not be verified ({})", error.reason),
        };
        let zones = account.zones.polled.to_string();
        let state = account.error.clone().unwrap_or_else(|| "ok".to_owned());
        rows.push([account.name.to_string(), token, zones, state]);
    }
    text.push_str(&table::render(
        ["account", "token", "zones", "listing"],
        rows,
    ));
    text.push_str("\nZones\n");
    text.push_str(&zone_table(&directory));
    text.push_str("\nSources\n");
    let mut sources = Sources::new(settings, &round.readings, &ranges);
    sources.add_audit_logs(&clients, &directory).await;
    text.push_str(&sources.render());
    for slot in &directory.zones {
        let zone = ZoneRow::of(&slot.load(), None, Timestamp::now());
        for declaration in &zone.unsupported_declarations {
            let _ = writeln!(
                text,
                "\nWarning: expect.zones.{}: Cloudflare does not support the declared vendor or region of {declaration}",
                zone.zone
            );
        }
    }
    let unmatched = directory.unmatched.by_key();
    let names = if unmatched.iter().any(|(_, names)| !names.is_empty()) {
        listed_names(&clients).await
    } else {
        Vec::new()
    };
    for (key, unmatched) in unmatched {
        for name in unmatched {
            let nearest = nearest(name, names.iter().map(String::as_str));
            let nearest = nearest.map(|near| format!(", did you mean {near}?"));
            let nearest = nearest.unwrap_or_default();
            let _ = writeln!(text, "\nWarning: {key}: no zone matches {name}{nearest}");
        }
    }
    if directory.zones.is_empty() {
        text.push_str(
            "\nError: no zone is watched: the accounts list none that the configuration selects.\n",
        );
    }
    let base_url = &settings.cloudflare.base_url;
    let listed = directory
        .accounts
        .iter()
        .all(|account| account.up == Some(true));
    if !listed && !base_url.path().ends_with("/client/v4") {
        text.push_str("\nWarning: cloudflare.base_url does not end in /client/v4, as Cloudflare's address does.\n");
    }
    let limit = settings.cloudflare.rate_limit;
    for client in clients.iter() {
        if let Some(fitting) = round.fitting_intervals.get(client.account()) {
            let _ = writeln!(
                text,
                "\nAccount {}: its zones need more than the {} requests that are allowed in {}; an \
                 interval of {} would fit.",
                client.account(),
                limit.budget(),
                humantime::format_duration(limit.window),
                humantime::format_duration(*fitting),
            );
        }
    }
    let mut zones = directory.zones.iter();
    let read = zones.all(|slot| slot.load().last_success.is_some());
    Ok(listed && read && !directory.zones.is_empty())
}

/// The names of all zones that the accounts list, selected or not.
async fn listed_names(clients: &[Client]) -> Vec<String> {
    let mut names = Vec::new();
    for client in clients {
        if let Ok(list) = client.list_zones(&CallBudget::new(BUDGET)).await {
            names.extend(list.rows.iter().map(|zone| zone.name.to_string()));
        }
    }
    names
}

fn describe(token: &TokenStatus) -> String {
    let state = match token.state {
        TokenState::Active => "active",
        TokenState::Disabled => "disabled",
        TokenState::Expired => "expired",
        TokenState::Unknown => "in an unknown state",
        TokenState::NotAToken => "none (a global API key)",
    };
    match token.expires_on {
        Some(at) => format!("{state}, expires on {at}"),
        None => state.to_owned(),
    }
}

fn owner(directory: &Directory, account: &AccountState) -> Option<Arc<str>> {
    let mut states = directory.zones.iter().map(|slot| slot.load());
    states
        .find(|state| state.account == account.name)
        .and_then(|state| state.zone.owner.clone())
}

fn zone_table(directory: &Directory) -> String {
    let rows = directory.zones.iter().map(|slot| {
        let state = slot.load();
        let mappings = state.data.as_ref().map(|data| data.mappings.len());
        let error = state.last_poll.as_ref().and_then(|poll| poll.error.clone());
        [
            state.zone.name.to_string(),
            state.zone.id.to_string(),
            state.account.to_string(),
            mappings.map(|count| count.to_string()).unwrap_or_default(),
            error.unwrap_or_else(|| "ok".to_owned()),
        ]
    });
    table::render(["zone", "zone id", "account", "mappings", "state"], rows)
}
