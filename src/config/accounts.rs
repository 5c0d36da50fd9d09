//! The accounts: their names, credentials and zones.

use std::collections::BTreeSet;

use super::file::{Account, Zones};
use super::values::{self, Folder};
use crate::cloudflare::{Credentials, Secret};
use crate::config_tree::{ConfigError, Located, Location, Place, Reader};
use crate::poller::{AccountSettings, ZoneSelection};

/// The keys of an account that are credentials.
pub(super) const CREDENTIALS: [&str; 5] = [
    "api_token",
    "api_token_file",
    "email",
    "api_key",
    "api_key_file",
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
        let credentials = credentials(account, &at, folder, reader).unwrap_or_else(|problem| {
            reader.push(match at.place {
                Place::Environment => ConfigError::whole(Place::Environment, problem),
                _ => at.error(problem),
            });
            None
        });
        if let (Some(name), Some(credentials)) = (name, credentials) {
            selected.push(AccountSettings {
                name: name.value.0,
                credentials,
                zones,
            });
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
    let from_environment = at.place == Place::Environment;
    let shown = |key: &str| {
        if from_environment {
            credential_variable(key)
        } else {
            key.to_owned()
        }
    };
    let exclusive = |a: &str, b: &str| {
        let remove = if from_environment { "unset" } else { "remove" };
        let (a, b) = (shown(a), shown(b));
        Err(format!(
            "{a} and {b} cannot be combined: {remove} one of them"
        ))
    };
    let inline = |secret: values::Secret| Secret::Inline(secret.0);
    let file = |path| Secret::File(folder.path(path));
    let given = |given: bool, key: &str| given || reader.is_wrong(&format!("{}.{key}", at.path));
    let has_email = given(account.email.is_some(), "email");
    let mut secrets = [
        ("api_token", account.api_token.map(inline)),
        ("api_token_file", account.api_token_file.map(file)),
        ("api_key", account.api_key.map(inline)),
        ("api_key_file", account.api_key_file.map(file)),
    ]
    .into_iter()
    .filter(|(key, secret)| given(secret.is_some(), key));
    match (secrets.next(), secrets.next(), has_email) {
        (Some((one, _)), Some((other, _)), _) => exclusive(one, other),
        (Some((key, secret)), None, has_email) => match (key.starts_with("api_token"), has_email) {
            (true, false) => Ok(secret.map(Credentials::Token)),
            (true, true) => exclusive(key, "email"),
            (false, true) => {
                let both = account.email.zip(secret);
                Ok(both.map(|(email, key)| Credentials::Key {
                    email: email.0,
                    key,
                }))
            }
            (false, false) => Err(format!("{} requires {}", shown(key), shown("email"))),
        },
        (None, _, true) => {
            let [email, key, file] = ["email", "api_key", "api_key_file"].map(shown);
            Err(format!("{email} requires {key} or {file}"))
        }
        (None, _, false) if from_environment => Err(
            "no Cloudflare credentials: set CLOUDFLARE_API_TOKEN or CLOUDFLARE_API_TOKEN_FILE, or \
             name a file with accounts by --config.file, or try the command \"demo\", which needs \
             none"
                .to_owned(),
        ),
        (None, _, false) => Err(
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
