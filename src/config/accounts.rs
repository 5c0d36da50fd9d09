//! The accounts: their names, credentials and zones.

use std::collections::BTreeSet;

use super::file::{Account, Zones};
use super::values::{self, Email, Folder};
use crate::cloudflare::{Credentials, Secret};
use crate::config_tree::{ConfigError, Located, Location, Place, Reader};
use crate::poller::{AccountSettings, ZoneSelection};

/// The keys of an account that are credentials.
pub(super) const CREDENTIALS: [&str; 5] = [
    "api_token",
    "api_token_file",
    "api_key",
    "api_key_file",
    "email",
];

/// The environment variable that sets this credential for the default account.
pub(super) fn credential_variable(key: &str) -> String {
    format!("CLOUDFLARE_{}", key.to_ascii_uppercase())
}

/// Validates the accounts. Invalid ones are left out and reported.
pub(super) fn read(
    accounts: Vec<Located<Account>>,
    folder: Folder<'_>,
    reader: &mut Reader,
) -> Vec<AccountSettings> {
    let mut names = BTreeSet::new();
    let mut selected = Vec::new();
    for account in accounts {
        let (at, mut account) = (account.at, account.value);
        match &account.name {
            None if reader.is_wrong(&format!("{}.name", at.path)) => {}
            None => reader.push(at.error("expected a name for this account (key \"name\")")),
            Some(name) if !names.insert(name.value.0.clone()) => {
                let expected = "a name that no other account has";
                reader.push(name.at.expected(expected, name.value.0.as_str()));
            }
            Some(_) => {}
        }
        let zones = selection(account.zones.take(), reader);
        let name = account.name.take();
        match credentials(account, &at, folder, reader) {
            Ok(credentials) => {
                let account = name.zip(credentials);
                selected.extend(account.map(|(name, credentials)| AccountSettings {
                    name: name.value.0,
                    credentials,
                    zones,
                }));
            }
            Err(problem) => reader.push(match at.place {
                Place::Environment => ConfigError::whole(Place::Environment, problem),
                _ => at.error(problem),
            }),
        }
    }
    selected
}

/// The credentials of an account. `Ok(None)` if a single value is invalid, which is already
/// reported. Fails if the credentials conflict or are incomplete.
fn credentials(
    account: Account,
    at: &Location,
    folder: Folder<'_>,
    reader: &Reader,
) -> Result<Option<Credentials>, String> {
    let inline = |secret: values::Secret| Secret::Inline(secret.0);
    let file = |path| Secret::File(folder.path(path));
    let email = account.email;
    let secrets = [
        account.api_token.map(inline),
        account.api_token_file.map(file),
        account.api_key.map(inline),
        account.api_key_file.map(file),
    ];
    let is_set = secrets.iter().map(Option::is_some).chain([email.is_some()]);
    let is_given =
        |(key, is_set): &(&str, bool)| *is_set || reader.is_wrong(&format!("{}.{key}", at.path));
    let given = CREDENTIALS.into_iter().zip(is_set).filter(is_given);
    let given: Vec<_> = given.map(|(key, _)| key).collect();
    let secret = secrets.into_iter().flatten().next();
    let from_environment = at.place == Place::Environment;
    let shown = |key: &str| match at.place {
        Place::Environment => credential_variable(key),
        _ => key.to_owned(),
    };
    match given[..] {
        ["api_token" | "api_token_file"] => Ok(secret.map(Credentials::Token)),
        ["api_key" | "api_key_file", "email"] => {
            let both = email.zip(secret);
            Ok(both.map(|(Email(email), key)| Credentials::Key { email, key }))
        }
        ["email"] => {
            let [email, key, file] = ["email", "api_key", "api_key_file"].map(shown);
            Err(format!("{email} requires {key} or {file}"))
        }
        [key] => Err(format!("{} requires {}", shown(key), shown("email"))),
        [one, other, ..] => {
            let remove = if from_environment { "unset" } else { "remove" };
            let (one, other) = (shown(one), shown(other));
            Err(format!(
                "{one} and {other} cannot be combined: {remove} one of them"
            ))
        }
        [] if from_environment => Err(
            "no Cloudflare credentials: set CLOUDFLARE_API_TOKEN or CLOUDFLARE_API_TOKEN_FILE, or \
             name a file with accounts by --config.file, or try the command \"demo\", which needs \
             none"
                .to_owned(),
        ),
        [] => Err(
            "expected credentials: api_token, api_token_file, or email with api_key or \
             api_key_file"
                .to_owned(),
        ),
    }
}

fn selection(zones: Option<Located<Zones>>, reader: &mut Reader) -> ZoneSelection {
    let (at, zones) = zones.map(|zones| (zones.at, zones.value)).unzip();
    let zones: Zones = zones.unwrap_or_default();
    let include: Vec<_> = zones.include.into_iter().map(|glob| glob.0).collect();
    let exclude: Vec<_> = zones.exclude.into_iter().map(|glob| glob.0).collect();
    if zones.ids.is_empty() {
        return ZoneSelection::Filter { include, exclude };
    }
    if let Some(at) = at.filter(|_| !include.is_empty() || !exclude.is_empty()) {
        let problem = "ids cannot be combined with include or exclude: remove one of them";
        reader.push(at.error(problem));
    }
    let mut seen = BTreeSet::new();
    for id in &zones.ids {
        if !seen.insert(&id.value.0) {
            reader.push(id.at.expected("each id once", id.value.0.as_str()));
        }
    }
    ZoneSelection::Ids(zones.ids.into_iter().map(|id| id.value.0).collect())
}
