//! Reads the configuration, and on request tries each account and zone.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::parts::{self, Parts};
use super::{AppError, output, table};
use crate::cloudflare::{CallBudget, Credentials, Secret, TokenState, TokenStatus};
use crate::config::Settings;
use crate::poller::Load;
use crate::snapshot::{AccountState, Directory};
use crate::web::Protection;

/// What verifying one token may spend.
const BUDGET: Duration = Duration::from_mins(1);

/// Exit code 0 where all is well, 1 where an account or zone could not be read. A configuration
/// with errors does not come this far.
pub(super) async fn run(settings: Settings, online: bool) -> Result<ExitCode, AppError> {
    Protection::load(settings.web.web_config_file.as_deref())?;
    // The authorities are read here as at the start.
    parts::build_http_client(&settings)?;
    let mut text = format!(
        "The configuration is good: {} account(s), each zone polled every {}.\n",
        settings.accounts.len(),
        humantime::format_duration(settings.poller.interval),
    );
    for warning in &settings.warnings {
        let _ = writeln!(text, "Warning: {warning}");
    }
    for account in &settings.accounts {
        // The daemon starts without it, for a secret may be mounted later.
        if let Some((path, error)) = unreadable_secret(&account.credentials) {
            let (name, path) = (&account.name, path.display());
            let _ = writeln!(text, "Warning: account {name}: cannot read {path}: {error}");
        }
    }
    let good = if online {
        try_online(&settings, &mut text).await?
    } else {
        true
    };
    output::write(None, text.as_bytes())?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The file of a secret that cannot be opened now.
fn unreadable_secret(credentials: &Credentials) -> Option<(&Path, io::Error)> {
    let (Credentials::Token(secret) | Credentials::Key { key: secret, .. }) = credentials;
    match secret {
        Secret::Inline(_) => None,
        Secret::File(path) => File::open(path).err().map(|error| (path.as_path(), error)),
    }
}

async fn try_online(settings: &Settings, text: &mut String) -> Result<bool, AppError> {
    let parts = Parts::new(settings)?;
    let clients = parts.clients.load_full();
    parts.ranges.refresh_all_once().await;
    parts.poller.run_once().await;
    let directory = parts.snapshot.directory();
    text.push_str("\nAccounts\n");
    let mut rows = Vec::new();
    for (client, account) in clients.iter().zip(&directory.accounts) {
        let token = match client
            .verify_token(
                owner(&directory, account).as_deref(),
                &CallBudget::new(BUDGET),
            )
            .await
        {
            Ok(status) => describe(&status),
            Err(error) => format!("could not be verified ({})", error.reason),
        };
        let zones = account.zones.polled.to_string();
        let state = account.error.clone().unwrap_or_else(|| "ok".to_owned());
        rows.push(vec![account.name.to_string(), token, zones, state]);
    }
    text.push_str(&table::render(
        &["account", "token", "zones", "listing"],
        &rows,
    ));
    text.push_str("\nZones\n");
    text.push_str(&zone_table(&directory));
    for (key, names) in directory.unmatched.by_key() {
        if !names.is_empty() {
            let names = names.join(", ");
            let _ = writeln!(text, "\nWarning: {key}: no zone answers to {names}");
        }
    }
    for (client, account) in clients.iter().zip(&directory.accounts) {
        tell_fitting_interval(settings, &directory, account, client.budget(), text);
    }
    let listed = directory
        .accounts
        .iter()
        .all(|account| account.up == Some(true));
    let read = directory
        .zones
        .iter()
        .all(|slot| slot.load().last_success.is_some());
    Ok(listed && read)
}

fn describe(token: &TokenStatus) -> String {
    let state = match token.state {
        TokenState::Active => "active",
        TokenState::Disabled => "disabled",
        TokenState::Expired => "expired",
        TokenState::Unknown => "in a state that is not known",
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
    let rows: Vec<Vec<String>> = directory
        .zones
        .iter()
        .map(|slot| {
            let state = slot.load();
            let mappings = state
                .data
                .as_ref()
                .map(|data| data.mappings.len().to_string());
            let error = state.last_poll.as_ref().and_then(|poll| poll.error.clone());
            vec![
                state.zone.name.to_string(),
                state.zone.id.to_string(),
                state.account.to_string(),
                mappings.unwrap_or_default(),
                error.unwrap_or_else(|| "ok".to_owned()),
            ]
        })
        .collect();
    table::render(&["zone", "zone id", "account", "mappings", "state"], &rows)
}

fn tell_fitting_interval(
    settings: &Settings,
    directory: &Directory,
    account: &AccountState,
    budget: u32,
    text: &mut String,
) {
    let limit = &settings.cloudflare.rate_limit;
    let load = Load::of(directory, &account.name, &settings.poller, &settings.expect);
    if let Some(fitting) = load.fitting_interval(settings.poller.interval, budget, limit.window) {
        let _ = writeln!(
            text,
            "\nAccount {}: its zones need more than the {budget} requests that are allowed in {}; \
             an interval of {} would fit.",
            account.name,
            humantime::format_duration(limit.window),
            humantime::format_duration(fitting),
        );
    }
}
